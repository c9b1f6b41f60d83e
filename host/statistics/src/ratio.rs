//! Ratios of sums over clusters, such as followed instructions over all instructions where a prompt has several.

use crate::bootstrap::quantile;
use crate::random::SplitMix64;
use crate::sample::student_t_quantile;
use crate::tournament::weights;
use crate::{Interval, Level, Sample, TournamentSettings};

/// `Σ s / Σ n` of clusters `(s, n)`, with the interval of the linearised ratio (Cochran, *Sampling Techniques*, § 6.5):
/// the variance of the mean of `s − r n` over the mean of n squared, Student's t over clusters. With n = 1 everywhere it is the
/// mean and [`Sample::mean_interval`]. `None` without a cluster, where the n do not add up to more than 0, or where a number is
/// not finite; no interval of one cluster.
pub fn ratio_of_sums(clusters: &[(f64, f64)], level: Level) -> Option<(f64, Option<Interval>)> {
    let total: f64 = clusters.iter().map(|(_, n)| n).sum();
    let ratio = clusters.iter().map(|(s, _)| s).sum::<f64>() / total;
    if !(total > 0.0 && total.is_finite() && ratio.is_finite()) {
        return None;
    }
    let mean_n = total / clusters.len() as f64;
    let residuals = clusters.iter().map(|(s, n)| (s - ratio * n) / mean_n).collect();
    let interval = Sample::new(residuals).ok().and_then(|residuals| {
        let half =
            student_t_quantile(0.5 + level.get() / 2.0, residuals.n().checked_sub(1)?) * residuals.standard_error()?;
        Some(Interval { low: ratio - half, high: ratio + half, level, n: residuals.n() })
    });
    Some((ratio, interval))
}

/// Likewise of a crossed design, `sums[seed][prompt]` = (s, n), (0, 0) where there is none: the mean over seeds of each seed's
/// ratio, with the 95 % interval of the bootstrap by which policies are compared (seeds, then prompts, the same ones under every
/// seed). `None` where no seed has a ratio.
pub fn crossed_ratio_of_sums(sums: &[Vec<(f64, f64)>], settings: &TournamentSettings) -> Option<(f64, Interval)> {
    let prompts = sums.iter().map(Vec::len).max().unwrap_or(0);
    let ratio = |seeds: &[f64], prompts: &[f64]| {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (of_seed, own) in sums.iter().zip(seeds).filter(|(_, own)| **own > 0.0) {
            let weighed = of_seed.iter().zip(prompts);
            let (s, n) = weighed.fold((0.0, 0.0), |(s, n), (cluster, by)| (s + by * cluster.0, n + by * cluster.1));
            if n > 0.0 {
                sum += own * s / n;
                weight += own;
            }
        }
        (weight > 0.0).then(|| sum / weight).filter(|ratio| ratio.is_finite())
    };
    let observed = ratio(&vec![1.0; sums.len()], &vec![1.0; prompts])?;
    let mut generator = SplitMix64::new(settings.seed);
    let mut drawn: Vec<f64> = (0..settings.resamples.max(1))
        .map(|_| {
            let seeds = weights(sums.len(), &mut generator);
            ratio(&seeds, &weights(prompts, &mut generator)).unwrap_or(observed)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let tail = (1.0 - Level::PERCENT_95.get()) / 2.0;
    let (low, high) = (quantile(&drawn, tail), quantile(&drawn, 1.0 - tail));
    Some((observed, Interval { low, high, level: Level::PERCENT_95, n: sums.len() * prompts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_of_one_are_a_sample() {
        let values = [0.0, 1.0, 1.0, 0.5, 0.25];
        let clusters: Vec<(f64, f64)> = values.iter().map(|value| (*value, 1.0)).collect();
        let (ratio, interval) = ratio_of_sums(&clusters, Level::PERCENT_95).expect("there");
        let sample = Sample::new(values.to_vec()).expect("finite");
        let (found, expected) = (interval.expect("five"), sample.mean_interval(Level::PERCENT_95).expect("five"));
        assert!((ratio - sample.mean()).abs() < 1e-15);
        assert!((found.low - expected.low).abs() < 1e-12 && (found.high - expected.high).abs() < 1e-12);
    }

    #[test]
    fn a_cluster_counts_by_its_size() {
        // One prompt with three instructions, none followed, and one with one that was.
        let (ratio, _) = ratio_of_sums(&[(0.0, 3.0), (1.0, 1.0)], Level::PERCENT_95).expect("there");
        assert_eq!(ratio, 0.25);
        let (ratio, interval) = ratio_of_sums(&[(2.0, 4.0)], Level::PERCENT_95).expect("there");
        assert_eq!((ratio, interval), (0.5, None));
        // No spread between clusters, no width, whatever their sizes.
        let (_, interval) = ratio_of_sums(&[(1.0, 2.0), (3.0, 6.0)], Level::PERCENT_95).expect("there");
        assert_eq!(interval.map(|interval| interval.high - interval.low), Some(0.0));
    }

    #[test]
    fn what_has_no_ratio_has_none() {
        for clusters in [&[][..], &[(1.0, 0.0)], &[(f64::NAN, 1.0)], &[(1.0, f64::INFINITY)]] {
            assert_eq!(ratio_of_sums(clusters, Level::PERCENT_95), None, "{clusters:?}");
        }
    }

    #[test]
    fn seeds_count_alike_and_missing_prompts_not_at_all() {
        let settings = TournamentSettings::default();
        // One seed follows 3 of 4 instructions, the other 1 of 1; its other prompt failed.
        let sums = [vec![(1.0, 1.0), (2.0, 3.0)], vec![(0.0, 0.0), (1.0, 1.0)]];
        let (ratio, interval) = crossed_ratio_of_sums(&sums, &settings).expect("there");
        assert_eq!(ratio, 0.875);
        assert!(interval.low <= ratio && ratio <= interval.high, "{interval:?}");
        assert_eq!(crossed_ratio_of_sums(&sums, &settings), Some((ratio, interval)));
        assert_eq!(crossed_ratio_of_sums(&[vec![(0.0, 0.0)]], &settings), None);
        assert_eq!(crossed_ratio_of_sums(&[], &settings), None);
    }

    /// The interval holds the true ratio about as often as it says.
    #[test]
    fn the_interval_covers() {
        let mut covered = 0;
        let worlds = 400;
        let mut state = 1_u64;
        let mut uniform = || {
            // A linear congruential generator will do for a coverage.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for _ in 0..worlds {
            let clusters: Vec<(f64, f64)> = (0..60)
                .map(|_| {
                    let n = 1.0 + (3.0 * uniform()).floor();
                    let s = (0..n as usize).filter(|_| uniform() < 0.3).count() as f64;
                    (s, n)
                })
                .collect();
            let (_, interval) = ratio_of_sums(&clusters, Level::PERCENT_95).expect("there");
            let interval = interval.expect("sixty");
            covered += u32::from(interval.low <= 0.3 && 0.3 <= interval.high);
        }
        let share = f64::from(covered) / f64::from(worlds);
        assert!((0.91..0.99).contains(&share), "{share}");
    }
}
