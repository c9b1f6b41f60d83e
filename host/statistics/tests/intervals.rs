//! Intervals against published values and against the definitions.

use std::num::NonZeroU32;

use proptest::prelude::*;
use slhf_statistics::{Bootstrap, Level, Sample, StatisticsError};

fn sample(values: &[f64]) -> Sample {
    Sample::new(values.to_vec()).expect("finite values")
}

/// For the sample {−1, 1} stretched to n values, mean 0: half width / standard error is t.
#[test]
fn t_quantiles_match_the_tables() {
    // t(0.975, degrees of freedom), from published tables to ten digits.
    let table = [
        (1, 12.706_204_736_2),
        (2, 4.302_652_729_7),
        (4, 2.776_445_105_2),
        (9, 2.262_157_162_8),
        (29, 2.045_229_642_1),
        (99, 1.984_216_951_5),
    ];
    for (degrees_of_freedom, expected) in table {
        let values: Vec<f64> = (0..=degrees_of_freedom).map(f64::from).collect();
        let sample = sample(&values);
        let interval = sample.mean_interval(Level::PERCENT_95).unwrap();
        let t = interval.half_width() / sample.standard_error().unwrap();
        assert!((t - expected).abs() < 1e-8, "{degrees_of_freedom}: {t} for {expected}");
    }
}

#[test]
fn a_known_sample_has_its_known_summary() {
    // Mean 5, squared deviations 9+1+1+1+0+0+4+16 = 32 over 7.
    let summary = sample(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).summary();
    assert_eq!(summary.n, 8);
    assert!((summary.mean - 5.0).abs() < 1e-15);
    assert!((summary.standard_deviation.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
    let interval = summary.interval.unwrap();
    // 2.364624251 is t(0.975, 7).
    let half = 2.364_624_251_6 * (32.0_f64 / 7.0 / 8.0).sqrt();
    assert!((interval.low - (5.0 - half)).abs() < 1e-8);
    assert!((interval.high - (5.0 + half)).abs() < 1e-8);
    assert_eq!(interval.n, 8);
}

#[test]
fn one_value_has_a_mean_and_no_interval() {
    let summary = sample(&[3.5]).summary();
    assert_eq!((summary.n, summary.mean), (1, 3.5));
    assert_eq!((summary.standard_deviation, summary.interval), (None, None));
}

#[test]
fn equal_values_have_an_interval_of_no_width() {
    let interval = sample(&[0.1; 7]).mean_interval(Level::PERCENT_95).unwrap();
    assert_eq!((interval.low, interval.high), (0.1, 0.1));
}

#[test]
fn extreme_values_do_not_overflow() {
    let summary = sample(&[1e308, -1e308, 1e308]).summary();
    assert!(summary.mean.is_finite());
    assert!(summary.standard_deviation.unwrap().is_finite());
}

#[test]
fn what_is_refused_is_named() {
    let check = |values: &[f64], expected: &str| {
        assert_eq!(Sample::new(values.to_vec()).unwrap_err().to_string(), expected);
    };
    check(&[], "a sample needs at least one value; this one has none");
    check(&[1.0, f64::NAN], "value 2 of the sample is NaN; expected a finite number");
    let unpaired = Sample::paired_differences(&sample(&[1.0]), &sample(&[1.0, 2.0]));
    assert_eq!(unpaired.unwrap_err(), StatisticsError::Unpaired { first: 1, second: 2 });
    for level in [0.0, 1.0, -0.5, f64::NAN] {
        assert!(Level::new(level).is_err(), "{level}");
    }
}

#[test]
fn pairing_removes_what_the_seeds_share() {
    // Seeds differ by far more than the methods do; the difference is 0.1 in every pair or so.
    let first = sample(&[10.1, 20.12, 30.08, 40.1]);
    let second = sample(&[10.0, 20.0, 30.0, 40.0]);
    let differences = Sample::paired_differences(&first, &second).unwrap();
    let interval = differences.mean_interval(Level::PERCENT_95).unwrap();
    assert!((differences.mean() - 0.1).abs() < 1e-12);
    assert!(interval.excludes_zero());
    let of_first = first.mean_interval(Level::PERCENT_95).unwrap();
    let of_second = second.mean_interval(Level::PERCENT_95).unwrap();
    assert!(of_first.low < of_second.high, "unpaired they overlap");
}

#[test]
fn the_bootstrap_is_a_function_of_its_seed() {
    let sample = sample(&[1.0, 2.0, 4.0, 8.0, 16.0]);
    let interval = |seed| {
        let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
        bootstrap.mean_interval(&sample, Level::PERCENT_95)
    };
    assert_eq!(interval(7), interval(7));
    assert_ne!(interval(7), interval(8));
}

/// All resamples of {0, 1} are 00, 01, 10, 11: the 80 % interval of their means is [0, 1], and the
/// 40 % one is the middle.
#[test]
fn the_bootstrap_agrees_with_exhaustive_resampling() {
    let bootstrap = Bootstrap { resamples: NonZeroU32::new(20_000).unwrap(), seed: 1 };
    let check = |level: f64, low: f64, high: f64| {
        let interval = bootstrap.mean_interval(&sample(&[0.0, 1.0]), Level::new(level).unwrap());
        assert_eq!((interval.low, interval.high), (low, high));
    };
    check(0.8, 0.0, 1.0);
    check(0.4, 0.5, 0.5);
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::with_cases(100)
    })]

    /// The t-interval is centred, moves with a shift and stretches with a factor; the bootstrap stays
    /// within the range of the values.
    #[test]
    fn intervals_are_equivariant(
        values in prop::collection::vec(-100.0..100.0_f64, 2..20),
        shift in -10.0..10.0_f64,
        factor in 0.1..10.0_f64,
    ) {
        let plain = sample(&values).mean_interval(Level::PERCENT_95).unwrap();
        let moved: Vec<f64> = values.iter().map(|v| v * factor + shift).collect();
        let moved = sample(&moved).mean_interval(Level::PERCENT_95).unwrap();
        prop_assert!((moved.low - (plain.low * factor + shift)).abs() < 1e-6 * (1.0 + moved.low.abs()));
        prop_assert!((moved.high - (plain.high * factor + shift)).abs() < 1e-6 * (1.0 + moved.high.abs()));

        let bootstrap = Bootstrap { resamples: NonZeroU32::new(50).unwrap(), seed: 3 };
        let interval = bootstrap.mean_interval(&sample(&values), Level::PERCENT_95);
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(smallest - 1e-9 <= interval.low);
        prop_assert!(interval.low <= interval.high && interval.high <= largest + 1e-9);
    }

    /// More confidence takes a wider interval that holds the narrower one; both hold the mean (the bootstrap's means
    /// are means of resamples, so its intervals only nest).
    #[test]
    fn intervals_nest_by_level(
        values in prop::collection::vec(-100.0..100.0_f64, 2..20),
        lower in 0.05..0.9_f64,
        more in 0.01..0.09_f64,
    ) {
        let levels = [lower, lower + more].map(|level| Level::new(level).unwrap());
        let sample = sample(&values);
        let bootstrap = Bootstrap { resamples: NonZeroU32::new(40).unwrap(), seed: 5 };
        for [narrow, wide] in [
            levels.map(|level| sample.mean_interval(level).unwrap()),
            levels.map(|level| bootstrap.mean_interval(&sample, level)),
        ] {
            prop_assert!(wide.low <= narrow.low && narrow.low <= narrow.high && narrow.high <= wide.high);
        }
        let t_interval = sample.mean_interval(levels[0]).unwrap();
        prop_assert!(t_interval.low <= sample.mean() && sample.mean() <= t_interval.high);
    }

    /// Which method is called the first decides the sign of a paired difference and nothing else; the order of the
    /// seeds decides nothing.
    #[test]
    fn paired_differences_are_antisymmetric(
        pairs in prop::collection::vec((-100.0..100.0_f64, -100.0..100.0_f64), 2..20),
    ) {
        let interval = |pairs: &[(f64, f64)]| {
            let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let differences = Sample::paired_differences(&sample(&first), &sample(&second)).unwrap();
            differences.mean_interval(Level::PERCENT_95).unwrap()
        };
        let plain = interval(&pairs);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
        let swapped = interval(&pairs.iter().map(|(first, second)| (*second, *first)).collect::<Vec<_>>());
        prop_assert!(near(swapped.low, -plain.high) && near(swapped.high, -plain.low));
        let reversed = interval(&pairs.iter().rev().copied().collect::<Vec<_>>());
        prop_assert!(near(reversed.low, plain.low) && near(reversed.high, plain.high));
    }
}
