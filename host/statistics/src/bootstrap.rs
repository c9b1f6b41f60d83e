//! The percentile bootstrap for a mean, reproducible from its seed.

use std::num::NonZeroU32;

use crate::sample::{Interval, Level, Sample, mean};
use slhf_random::SplitMix64;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many resamples are drawn; 10,000 by default.
    pub resamples: NonZeroU32,
    /// The same seed gives the same interval, on every machine.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: NonZeroU32::MIN.saturating_add(9_999), seed: 0 }
    }
}

impl Bootstrap {
    /// The percentile interval for the mean: quantiles (linearly interpolated) of the means of
    /// samples drawn with replacement. Of one value, that value twice.
    pub fn mean_interval(&self, sample: &Sample, level: Level) -> Interval {
        let mut generator = SplitMix64::new(self.seed);
        let values = sample.values();
        let mut resample = vec![0.0; values.len()];
        let mut means: Vec<f64> = (0..self.resamples.get())
            .map(|_| {
                for value in &mut resample {
                    *value = values[generator.below(values.len())];
                }
                mean(&resample)
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let tail = (1.0 - level.get()) / 2.0;
        Interval { low: quantile(&means, tail), high: quantile(&means, 1.0 - tail), level, n: sample.n() }
    }
}

/// The percentile interval of a statistic from its values on resamples, which are sorted: from the quantile (1 − level)/2 to
/// (1 + level)/2, interpolated linearly. `None` of no values.
pub fn percentile_interval(values: &mut [f64], level: Level) -> Option<Interval> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level.get()) / 2.0;
    Some(Interval { low: quantile(values, tail), high: quantile(values, 1.0 - tail), level, n: values.len() })
}

/// The quantile of sorted values, interpolated linearly between order statistics (Hyndman and
/// Fan's type 7).
pub(crate) fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let position = probability * (sorted.len() - 1) as f64;
    let below = (position.floor() as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    let share = position - below as f64;
    sorted[below] * (1.0 - share) + sorted[above] * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_between_order_statistics() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        for (probability, expected) in [(0.0, 1.0), (0.5, 2.5), (0.25, 1.75), (1.0, 4.0)] {
            assert!((quantile(&sorted, probability) - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn a_percentile_interval_leaves_the_same_share_at_both_ends() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let interval = percentile_interval(&mut values, Level::new(0.9).expect("a level")).expect("values");
        assert!((interval.low - 5.0).abs() < 1e-12 && (interval.high - 95.0).abs() < 1e-12);
        assert_eq!(percentile_interval(&mut [], Level::PERCENT_95), None);
    }
}
