//! Samples, their means, and intervals for the mean.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::StatisticsError;

/// At least one finite value: one number a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    values: Vec<f64>,
}

/// A confidence level, in (0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level(f64);

impl Level {
    /// 95 %.
    pub const PERCENT_95: Self = Self(0.95);

    /// Checks that the level is between 0 and 1, both excluded.
    pub fn new(level: f64) -> Result<Self, StatisticsError> {
        if level > 0.0 && level < 1.0 { Ok(Self(level)) } else { Err(StatisticsError::Level { level }) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A two-sided interval for a mean, in the units of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The confidence level it was made for.
    pub level: Level,
    /// The number of values it rests on.
    pub n: usize,
}

impl Interval {
    /// Half its width: the number after ±.
    pub fn half_width(&self) -> f64 {
        self.high / 2.0 - self.low / 2.0
    }

    /// Whether 0 lies outside: for a paired difference, whether the two differ at this level.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// What a table shows of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The number of values.
    pub n: usize,
    /// The arithmetic mean.
    pub mean: f64,
    /// With n − 1 in the denominator; `None` for one value.
    pub standard_deviation: Option<f64>,
    /// The 95 % t-interval for the mean; `None` for one value.
    pub interval: Option<Interval>,
}

impl Sample {
    /// Checks that there is a value and that all are finite.
    pub fn new(values: Vec<f64>) -> Result<Self, StatisticsError> {
        if values.is_empty() {
            return Err(StatisticsError::Empty);
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(StatisticsError::NotFinite { index, value: values[index] });
        }
        Ok(Self { values })
    }

    /// The differences `first − second`, value by value: the same seeds under two methods.
    pub fn paired_differences(first: &Self, second: &Self) -> Result<Self, StatisticsError> {
        if first.n() != second.n() {
            return Err(StatisticsError::Unpaired { first: first.n(), second: second.n() });
        }
        let pairs = first.values.iter().zip(&second.values);
        Self::new(pairs.map(|(a, b)| a - b).collect())
    }

    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The number of values, at least 1.
    pub fn n(&self) -> usize {
        self.values.len()
    }

    /// The arithmetic mean; exact for equal values.
    pub fn mean(&self) -> f64 {
        mean(&self.values)
    }

    /// The sample standard deviation, n − 1 in the denominator; `None` for one value.
    pub fn standard_deviation(&self) -> Option<f64> {
        if self.n() < 2 {
            return None;
        }
        let mean = self.mean();
        let deviations = self.values.iter().map(|value| (value - mean).abs());
        let largest = deviations.clone().fold(0.0, f64::max);
        if largest == 0.0 {
            return Some(0.0);
        }
        // In units of the largest, so that no square overflows or vanishes.
        let squares: f64 = deviations.map(|d| (d / largest) * (d / largest)).sum();
        Some(largest * (squares / (self.n() - 1) as f64).sqrt())
    }

    /// The standard error of the mean; `None` for one value.
    pub fn standard_error(&self) -> Option<f64> {
        Some(self.standard_deviation()? / (self.n() as f64).sqrt())
    }

    /// `mean ± t · s/√n` with Student's t at n − 1 degrees of freedom; `None` for one value.
    pub fn mean_interval(&self, level: Level) -> Option<Interval> {
        let standard_error = self.standard_error()?;
        let half = student_t_quantile(0.5 + level.get() / 2.0, self.n() - 1) * standard_error;
        let mean = self.mean();
        Some(Interval { low: mean - half, high: mean + half, level, n: self.n() })
    }

    /// Count, mean, deviation and 95 % t-interval.
    pub fn summary(&self) -> Summary {
        Summary {
            n: self.n(),
            mean: self.mean(),
            standard_deviation: self.standard_deviation(),
            interval: self.mean_interval(Level::PERCENT_95),
        }
    }
}

/// Two passes: the second removes the rounding of the first.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let first: f64 = values.iter().map(|value| value / n).sum();
    let correction: f64 = values.iter().map(|value| (value - first) / n).sum();
    if correction.is_finite() { first + correction } else { first }
}

/// The quantile of Student's t at `probability` in [1/2, 1).
pub(crate) fn student_t_quantile(probability: f64, degrees_of_freedom: usize) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees_of_freedom as f64) {
        Ok(distribution) => distribution.inverse_cdf(probability),
        // Unreachable: the scale is 1 and there is at least one degree of freedom.
        Err(_) => f64::INFINITY,
    }
}
