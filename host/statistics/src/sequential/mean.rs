//! The mean of values in [0, 1], from both sides.

use super::bets::Horizon;
use super::certain::Population;
use super::error::SequentialError;
use super::lower_bound::{LowerBound, Risk};
use crate::sample::{Interval, Level, Sample};

/// An interval of the mean of values in [0, 1] that holds it at every moment at once, with the level's probability: the paper's hedged
/// capital (Theorem 3; section 5 without replacement) at θ = 1/2.
///
/// max(K⁺/2, K⁻/2) ≥ 1/α where K⁺ or K⁻ reaches 2/α: two one-sided bounds, half of the risk each, K⁻ being K⁺ of 1 − X.
#[derive(Debug, Clone)]
pub struct SequentialMean {
    level: Level,
    population: Population,
    /// Of the values, a missing one counted as 0.
    low: LowerBound,
    /// Of 1 less the values, a missing one counted as 1.
    high: LowerBound,
    /// Without the missing ones.
    known: Vec<f64>,
}

impl SequentialMean {
    /// Before any value: [0, 1].
    #[must_use]
    pub fn new(level: Level, population: Population, horizon: Horizon) -> Self {
        let one_side = LowerBound::new(Risk::of(level).part(2), population, horizon);
        Self { level, population, low: one_side.clone(), high: one_side, known: Vec::new() }
    }

    /// The next value.
    pub fn add(&mut self, value: f64) -> Result<(), SequentialError> {
        if !(0.0..=1.0).contains(&value) {
            return Err(SequentialError::Value { number: self.n() + 1, value, expected: "a number from 0 to 1" });
        }
        self.low.add(value)?;
        self.high.add(1.0 - value)?;
        self.known.push(value);
        Ok(())
    }

    /// The next value is not known: it may be anything from 0 to 1, and the bounds take it as what is worst for each. The interval stays one
    /// of the mean of all values, those that nobody knows included.
    pub fn add_missing(&mut self) -> Result<(), SequentialError> {
        self.low.add(0.0)?;
        self.high.add(0.0)?;
        Ok(())
    }

    /// Values so far, missing ones included.
    #[must_use]
    pub fn n(&self) -> usize {
        self.low.n()
    }

    /// Values so far that are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.n() - self.known.len()
    }

    /// The values so far, without the missing ones; `None` before the first.
    #[must_use]
    pub fn known(&self) -> Option<Sample> {
        Sample::new(self.known.clone()).ok()
    }

    /// The interval: of all moments so far (running intersection). Where that is empty some bound was wrong, and what is certain is given;
    /// with the last value of a population that is the mean itself.
    #[must_use]
    pub fn interval(&self) -> Interval {
        let of = |low: f64, high: f64| Interval { low, high, level: self.level, n: self.n() };
        let (low, high) = (self.low.bound(), 1.0 - self.high.bound());
        if low <= high {
            return of(low, high);
        }
        let (low, high) = (self.low.certain(), 1.0 - self.high.certain());
        // The two sums differ by rounding where nothing is left.
        if low <= high { of(low, high) } else { of(high, low) }
    }

    /// Whether `mean` is out, without the ends of the interval.
    #[must_use]
    pub fn excludes(&self, mean: f64) -> bool {
        self.low.excludes(mean) || self.high.excludes(1.0 - mean)
    }

    /// An e-value of "the mean is `mean` or less": large where it is more.
    #[must_use]
    pub fn e_value_above(&self, mean: f64) -> f64 {
        self.low.e_value(mean)
    }

    /// An e-value of "the mean is `mean` or more": large where it is less.
    #[must_use]
    pub fn e_value_below(&self, mean: f64) -> f64 {
        self.high.e_value(1.0 - mean)
    }

    /// An e-value of "the mean is `mean`": the mean of both sides' (θ = 1/2), which is an e-value whatever binds them.
    #[must_use]
    pub fn e_value(&self, mean: f64) -> f64 {
        f64::midpoint(self.e_value_above(mean), self.e_value_below(mean))
    }

    /// Nothing is left to draw.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.population.size().is_some_and(|size| self.n() >= size)
    }
}
