//! Intervals of shares: Wilson's, at the number of independent trials that the variance is worth.

use crate::crossed::{CrossedTable, Over, PooledSeeds};
use crate::sample::{Interval, Level, student_t_quantile};

/// In units of p (1 − p).
const ROUNDING: f64 = 1e-12;

/// Wilson's score interval (1927) of a share of `n` independent trials, `z` standard deviations to each side. It lies in
/// [0, 1] and has a width at any n above 0, also where nothing or everything was a success.
pub(crate) fn wilson(share: f64, n: f64, z: f64) -> (f64, f64) {
    if z.is_infinite() {
        return (0.0, 1.0);
    }
    let square = z * z / n;
    let center = (share + square / 2.0) / (1.0 + square);
    let half = half_width(share, n, z);
    // Rounding must not put a share of 0 or 1 outside of its own interval.
    ((center - half).max(0.0).min(share), (center + half).min(1.0).max(share))
}

/// Wilson's 95 % score interval (1927) of a share of independent trials. A trial that counts half, as a tie does, makes it wider than it must be.
#[must_use]
pub fn share_of_trials(share: f64, trials: usize) -> Interval {
    let (low, high) = wilson(share, trials as f64, normal_quantile());
    Interval { low, high, level: Level::PERCENT_95, n: trials }
}

/// The variance that half of [`wilson`]'s width stands for.
pub(crate) fn wilson_variance(share: f64, n: f64) -> f64 {
    let half = half_width(share, n, normal_quantile());
    (half / normal_quantile()).powi(2)
}

fn half_width(share: f64, n: f64, z: f64) -> f64 {
    let square = z * z / n;
    z / (1.0 + square) * (share * (1.0 - share) / n + square / (4.0 * n)).max(0.0).sqrt()
}

/// Of the normal distribution, at 95 %.
fn normal_quantile() -> f64 {
    1.959_963_984_540_054
}

/// A share with the design it was found in.
pub(crate) struct DesignedShare<'a> {
    pub(crate) share: f64,
    /// One value a seed and prompt, whose mean is the share and whose variance is that of the share.
    pub(crate) table: &'a CrossedTable,
    /// Prompts that say anything.
    pub(crate) prompts: usize,
    /// Trials that were counted, where each was a success or none; `None` for degrees.
    pub(crate) trials: Option<f64>,
}

impl DesignedShare<'_> {
    /// 95 %: Wilson's at `n* = p (1 − p) / v` trials (Korn & Graubard 1998), v the variance of the crossed design, no more of them
    /// than were counted, and as many as prompts where v is 0. Several seeds: Student's t at S − 1 degrees of freedom in the
    /// place of 1.96. One seed: over prompts, where single trials a prompt make it Wilson's own.
    pub(crate) fn interval(&self) -> (Interval, Over) {
        let seeds = self.table.seeds();
        let level = Level::PERCENT_95;
        let prompts = self.prompts as f64;
        let variance = self.table.variance_of_mean(&PooledSeeds::default());
        let spread = self.share * (1.0 - self.share);
        // A table of prompts divides by P − 1 where p (1 − p) divides by P.
        let divisor = if seeds < 2 && self.prompts > 1 { prompts / (prompts - 1.0) } else { 1.0 };
        // A variance that rounding makes is none.
        let worth = if variance > ROUNDING * spread && spread > 0.0 { spread * divisor / variance } else { prompts };
        let n = self.trials.map_or(worth, |trials| worth.min(trials));
        let is_single = seeds < 2 && self.trials.is_some_and(|trials| trials == prompts);
        let z = match seeds {
            0 | 1 if is_single || self.prompts < 2 => normal_quantile(),
            0 | 1 => student_t_quantile(0.5 + level.get() / 2.0, self.prompts - 1),
            _ => student_t_quantile(0.5 + level.get() / 2.0, seeds - 1),
        };
        let (low, high) = wilson(self.share, n, z);
        (Interval { low, high, level, n: seeds * self.prompts }, Over::seeds(seeds))
    }
}

/// The mean of one share a training, each of `prompts` answers to the same prompts, with the 95 % interval over other trainings on
/// these prompts: as [`crate::crossed_ratio_of_sums`] of several seeds, with the variance of the trainings alone. One training: over
/// prompts. `None` without a value, without a prompt, or with a value outside of [0, 1].
#[must_use]
pub fn share_over_seeds(shares: &[f64], prompts: usize) -> Option<(f64, Interval)> {
    if shares.is_empty() || prompts == 0 || shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
        return None;
    }
    let level = Level::PERCENT_95;
    let mean = crate::sample::mean(shares).clamp(0.0, 1.0);
    let spread = mean * (1.0 - mean);
    let seeds = CrossedTable::new(shares.len(), 1, shares.to_vec());
    let variance = if shares.len() > 1 { seeds.variance_of_mean(&PooledSeeds::default()) } else { 0.0 };
    let worth = if variance > ROUNDING * spread && spread > 0.0 { spread / variance } else { prompts as f64 };
    let all = shares.len() * prompts;
    let z = match shares.len() {
        1 => normal_quantile(),
        many => student_t_quantile(0.5 + level.get() / 2.0, many - 1),
    };
    let (low, high) = wilson(mean, worth.min(all as f64), z);
    Some((mean, Interval { low, high, level, n: all }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_is_the_published_one() {
        // R: prop.test(x, n, correct = FALSE)
        for (successes, n, low, high) in
            [(0.0, 64.0, 0.0, 0.056_624_18), (10.0, 20.0, 0.299_298_0, 0.700_702_0), (64.0, 64.0, 0.943_375_8, 1.0)]
        {
            let found = wilson(successes / n, n, normal_quantile());
            assert!((found.0 - low).abs() < 1e-6 && (found.1 - high).abs() < 1e-6, "{found:?}");
        }
    }
}
