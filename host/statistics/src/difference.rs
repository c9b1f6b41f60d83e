//! Whether two samples differ in their mean: Student's t on paired differences, or Welch's on two samples.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{Interval, Level, Sample, StatisticsError};

/// Which test it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceTest {
    /// Student's t on the differences of pairs: the same seed under two methods.
    Paired,
    /// Welch's t on two samples whose variances may differ.
    Welch,
}

/// The difference of two means, first minus second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// In the units of the values.
    pub difference: f64,
    /// For the difference; `None` where a sample has one value.
    pub interval: Option<Interval>,
    /// Two-sided, of the hypothesis that the means are equal; `None` where a sample has one value, or where nothing varies.
    pub p: Option<f64>,
    /// How it was tested.
    pub test: DifferenceTest,
}

impl Difference {
    /// Value by value.
    ///
    /// # Errors
    /// The samples have different sizes.
    pub fn paired(first: &Sample, second: &Sample, level: Level) -> Result<Self, StatisticsError> {
        let differences = Sample::paired_differences(first, second)?;
        let error = differences.standard_error();
        Ok(Self::new(
            DifferenceTest::Paired,
            differences.mean(),
            error,
            (differences.n() as f64) - 1.0,
            (level, differences.n()),
        ))
    }

    /// Of two samples that have nothing in common, with Satterthwaite's degrees of freedom.
    #[must_use]
    pub fn welch(first: &Sample, second: &Sample, level: Level) -> Self {
        let difference = first.mean() - second.mean();
        let n = first.n() + second.n();
        let (Some(a), Some(b)) = (first.standard_error(), second.standard_error()) else {
            return Self::new(DifferenceTest::Welch, difference, None, 0.0, (level, n));
        };
        let freedom =
            (a * a + b * b).powi(2) / (a.powi(4) / (first.n() as f64 - 1.0) + b.powi(4) / (second.n() as f64 - 1.0));
        Self::new(DifferenceTest::Welch, difference, Some(a.hypot(b)), freedom, (level, n))
    }

    fn new(
        test: DifferenceTest,
        difference: f64,
        standard_error: Option<f64>,
        freedom: f64,
        (level, n): (Level, usize),
    ) -> Self {
        let nothing = Self { difference, interval: None, p: None, test };
        let Some(error) = standard_error else { return nothing };
        if error == 0.0 {
            return Self { interval: Some(Interval { low: difference, high: difference, level, n }), ..nothing };
        }
        let Ok(distribution) = StudentsT::new(0.0, 1.0, freedom) else { return nothing };
        let half = distribution.inverse_cdf(0.5 + level.get() / 2.0) * error;
        Self {
            interval: Some(Interval { low: difference - half, high: difference + half, level, n }),
            p: Some((2.0 * distribution.sf((difference / error).abs())).min(1.0)),
            ..nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).expect("finite values")
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
    }

    /// Figures by numerical integration of the density of t.
    #[test]
    fn tests_are_those_of_others() {
        let (a, b) = (sample(&[1.0, 2.0, 3.0, 4.0]), sample(&[2.0, 4.0, 6.0, 9.0]));
        let welch = Difference::welch(&a, &b, Level::PERCENT_95);
        close(welch.difference, -2.75);
        close(welch.p.expect("both vary"), 0.164_702_079_628);
        let interval = welch.interval.expect("both vary");
        close(interval.low, -7.229_925_433_051);
        close(interval.high, -5.5 + 7.229_925_433_051);
        let paired = Difference::paired(&a, &b, Level::PERCENT_95).expect("as many");
        close(paired.p.expect("it varies"), 0.048_566_856_560);
        close(paired.interval.expect("it varies").low, -5.467_530_883_796);
    }

    #[test]
    fn what_does_not_vary_has_no_p() {
        let constant =
            Difference::paired(&sample(&[1.0, 2.0]), &sample(&[0.0, 1.0]), Level::PERCENT_95).expect("pairs");
        assert_eq!((constant.difference, constant.p), (1.0, None));
        assert_eq!(constant.interval.map(|interval| (interval.low, interval.high)), Some((1.0, 1.0)));
        let single = Difference::welch(&sample(&[1.0]), &sample(&[3.0, 4.0]), Level::PERCENT_95);
        assert_eq!((single.difference, single.interval, single.p), (-2.5, None, None));
        assert!(Difference::paired(&sample(&[1.0]), &sample(&[3.0, 4.0]), Level::PERCENT_95).is_err());
    }
}
