//! Ratios of sums over clusters, such as followed instructions over all instructions where a prompt has several.

use crate::crossed::{CrossedTable, Located, Over, PooledSeeds};
use crate::sample::Interval;
use crate::share::DesignedShare;

/// A number with its 95 % interval, and what the interval speaks about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// In the units of the values.
    pub value: f64,
    /// 95 %; `None` where one value is all there is.
    pub interval: Option<Interval>,
    /// Whom the interval speaks about.
    pub over: Over,
}

/// `Σ s / Σ n` of one training's prompts `(s, n)`, such as its mean with n = 1. See [`crossed_ratio_of_sums`]. `None` without a
/// prompt, where the n do not add up to more than 0, or where a number is not finite.
#[must_use]
pub fn ratio_of_sums(clusters: &[(f64, f64)]) -> Option<Estimate> {
    crossed_ratio_of_sums(std::slice::from_ref(&clusters))
}

/// Of a crossed design, `sums[seed][prompt]` = (s, n), (0, 0) where there is none: the mean over seeds of each seed's ratio.
///
/// The ratio is linearized (Cochran, *Sampling Techniques*, § 6.5): its variance is that of the mean of `(s − r n) / mean n` over
/// seeds and prompts. Where no s is below 0 or above its n the ratio is a share and has the interval of a share: Wilson's at the
/// number of trials that the variance is worth (Korn & Graubard 1998). Else Student's t, over prompts for one training and at S − 1
/// degrees of freedom for several. Seeds without a single n are left out. `None` where no seed has a ratio.
#[must_use]
pub fn crossed_ratio_of_sums<Row: AsRef<[(f64, f64)]>>(sums: &[Row]) -> Option<Estimate> {
    let total = |row: &[(f64, f64)]| row.iter().map(|(_, n)| n).sum::<f64>();
    let known: Vec<&[(f64, f64)]> = sums.iter().map(AsRef::as_ref).filter(|row| total(row) > 0.0).collect();
    let prompts = known.iter().map(|row| row.len()).max()?;
    let mut values = Vec::with_capacity(known.len() * prompts);
    let mut ratios = Vec::with_capacity(known.len());
    for row in &known {
        let ratio = row.iter().map(|(s, _)| s).sum::<f64>() / total(row);
        ratios.push(ratio);
        // Prompts without any n say nothing, and stand at the ratio.
        let said = row.iter().filter(|(_, n)| *n > 0.0).count() as f64;
        let mean_n = total(row) / said;
        let stretched = prompts as f64 / said;
        let missing = std::iter::repeat_n(&(0.0, 0.0), prompts - row.len());
        values.extend(row.iter().chain(missing).map(|(s, n)| ratio + stretched * (s - ratio * n) / mean_n));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let table = CrossedTable::new(known.len(), prompts, values);
    let clusters = || known.iter().copied().flatten().filter(|(_, n)| *n > 0.0);
    let value = crate::sample::mean(&ratios);
    if clusters().all(|(s, n)| (0.0..=*n).contains(s)) {
        let is_counted = clusters().all(|(s, n)| s.fract() == 0.0 && n.fract() == 0.0);
        let share = DesignedShare {
            // Rounding must not leave [0, 1].
            share: value.clamp(0.0, 1.0),
            table: &table,
            prompts: (0..prompts)
                .filter(|prompt| known.iter().any(|row| row.get(*prompt).is_some_and(|(_, n)| *n > 0.0)))
                .count(),
            trials: is_counted.then(|| clusters().map(|(_, n)| n).sum()),
        };
        let (interval, over) = share.interval();
        return Some(Estimate { value: share.share, interval: Some(interval), over });
    }
    let degrees_of_freedom = if table.seeds() > 1 { table.seeds() - 1 } else { table.prompts() - 1 };
    let located =
        Located { mean: value, variance: table.variance_of_mean(&PooledSeeds::default()), degrees_of_freedom };
    let interval = (degrees_of_freedom > 0).then(|| located.interval(clusters().count()));
    Some(Estimate { value, interval, over: Over::seeds(table.seeds()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, Sample};

    #[test]
    fn clusters_of_one_that_are_no_shares_are_a_sample() {
        let values = [0.0, 1.0, -1.0, 0.5, 2.25];
        let clusters: Vec<(f64, f64)> = values.iter().map(|value| (*value, 1.0)).collect();
        let found = ratio_of_sums(&clusters).expect("there");
        let sample = Sample::new(values.to_vec()).expect("finite");
        let (interval, expected) =
            (found.interval.expect("five"), sample.mean_interval(Level::PERCENT_95).expect("five"));
        assert!((found.value - sample.mean()).abs() < 1e-15 && found.over == Over::Prompts);
        assert!((interval.low - expected.low).abs() < 1e-12 && (interval.high - expected.high).abs() < 1e-12);
        assert_eq!(ratio_of_sums(&[(-3.0, 1.0)]).map(|found| found.interval), Some(None));
    }

    #[test]
    fn a_cluster_counts_by_its_size() {
        // One prompt with three instructions, none followed, and one with one that was.
        assert_eq!(ratio_of_sums(&[(0.0, 3.0), (1.0, 1.0)]).expect("there").value, 0.25);
        // Clusters of equal size are worth as many trials as there are clusters where all in one agree, more where they do not.
        let alike: Vec<(f64, f64)> = (0..40).map(|prompt| (f64::from(4 * (prompt % 2)), 4.0)).collect();
        let mixed: Vec<(f64, f64)> = (0..40).map(|_| (2.0, 4.0)).chain([(4.0, 4.0), (0.0, 4.0)]).collect();
        let width = |clusters: &[(f64, f64)]| {
            let interval = ratio_of_sums(clusters).expect("there").interval.expect("a share");
            interval.high - interval.low
        };
        let (alike, mixed) = (width(&alike), width(&mixed));
        assert!((alike - 0.30).abs() < 0.02 && (mixed - 0.155).abs() < 0.02, "{alike} {mixed}");
    }

    #[test]
    fn what_has_no_ratio_has_none() {
        for clusters in [&[][..], &[(1.0, 0.0)], &[(f64::NAN, 1.0)], &[(1.0, f64::INFINITY)]] {
            assert_eq!(ratio_of_sums(clusters), None, "{clusters:?}");
        }
    }

    #[test]
    fn seeds_count_alike_and_missing_prompts_not_at_all() {
        // One seed follows 3 of 4 instructions, the other 1 of 1; its other prompt failed.
        let sums = [vec![(1.0, 1.0), (2.0, 3.0)], vec![(0.0, 0.0), (1.0, 1.0)]];
        let found = crossed_ratio_of_sums(&sums).expect("there");
        let interval = found.interval.expect("a share");
        assert_eq!((found.value, found.over), (0.875, Over::SeedsAndPrompts));
        assert!(interval.low <= found.value && found.value <= interval.high, "{interval:?}");
        assert_eq!(crossed_ratio_of_sums(&[vec![(0.0, 0.0)]]), None);
        assert_eq!(crossed_ratio_of_sums::<Vec<(f64, f64)>>(&[]), None);
    }
}
