//! Bounds against the definition, candidate by candidate.

use proptest::prelude::*;
use slhf_random::SplitMix64;
use slhf_statistics::{Horizon, Level, LowerBound, Population, Risk, SequentialError, SequentialMean, StopAt};

use crate::worlds::{World, finite, mean, open};

/// ln K⁺ at every moment, straight from the paper: λ̇ by (26), cut at c/μ, μ what is left if the mean of all is `candidate`.
fn log_capitals(values: &[f64], candidate: f64, population: Option<usize>, risk: f64) -> Vec<f64> {
    let mut log = 0.0;
    let mut capitals = Vec::new();
    for t in 1..=values.len() {
        let before = &values[..t - 1];
        let regularized = |n: usize| (0.5 + before[..n].iter().sum::<f64>()) / (n + 1) as f64;
        let squares: f64 = (0..t - 1).map(|i| (before[i] - regularized(i + 1)).powi(2)).sum();
        let variance = (0.25 + squares) / t as f64;
        let bet = (2.0 * (1.0 / risk).ln() / (variance * t as f64 * (t as f64 + 1.0).ln())).sqrt();
        let price = population
            .map_or(candidate, |all| (all as f64 * candidate - before.iter().sum::<f64>()) / (all - (t - 1)) as f64);
        log += (1.0 + bet.min(0.75 / price) * (values[t - 1] - price)).ln();
        capitals.push(log);
    }
    capitals
}

#[test]
fn a_bound_is_where_the_capital_was_too_large() {
    let mut draws = SplitMix64::new(4);
    for world in World::ALL {
        for population in [None, Some(60)] {
            let values = world.population(40, &mut draws);
            let risk = Risk::new(0.05).expect("a risk");
            let all = population.map_or(Population::Unlimited, finite);
            let bound = LowerBound::of(values.iter().copied(), risk, all, Horizon::Open).expect("values");
            let certain = population.map_or(0.0, |all| values.iter().sum::<f64>() / all as f64);
            let is_out = |candidate: f64| {
                log_capitals(&values, candidate, population, 0.05).iter().any(|log| *log >= 20.0_f64.ln())
            };
            // All candidates: what is out is an interval that ends at the bound.
            for step in 1..2_000 {
                let candidate = f64::from(step) / 2_000.0;
                if candidate > certain + 1e-9 && (candidate - bound.bound()).abs() > 1e-8 {
                    let expected = candidate < bound.bound();
                    assert_eq!(is_out(candidate), expected, "{world:?} {population:?}: {candidate} {}", bound.bound());
                    assert_eq!(bound.excludes(candidate), expected);
                }
            }
        }
    }
}

proptest! {
    /// What bisection rests on, also for values far above 1 and in finite populations.
    #[test]
    fn the_capital_never_rises_with_the_candidate(
        values in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1.0_f64, 0.0..50.0_f64], 1..40),
        more in 0_usize..20,
        is_finite: bool,
    ) {
        let population = if is_finite { finite(values.len() + more) } else { Population::Unlimited };
        let risk = Risk::new(0.05).expect("a risk");
        let bound = LowerBound::of(values.iter().copied(), risk, population, Horizon::Open).expect("values");
        let largest = values.iter().copied().fold(0.0, f64::max);
        let capitals: Vec<f64> = (0..200).map(|step| bound.e_value(largest * f64::from(step) / 199.0)).collect();
        for pair in capitals.windows(2) {
            prop_assert!(pair[1] <= pair[0] * (1.0 + 1e-9), "{} then {}", pair[0], pair[1]);
        }
        prop_assert!(bound.bound() >= 0.0 && bound.bound() <= largest);
    }
}

#[test]
fn the_last_value_leaves_no_width() {
    let mut draws = SplitMix64::new(8);
    for world in World::ALL {
        for size in [1, 2, 7, 100] {
            let values = world.population(size, &mut draws);
            let mut seen = open(finite(size));
            let mut last = 1.0;
            for value in &values {
                seen.add(*value).expect("a value");
                let interval = seen.interval();
                assert!(interval.high - interval.low <= last + 1e-9, "{world:?} of {size}: wider than before");
                last = interval.high - interval.low;
            }
            let (interval, truth) = (seen.interval(), mean(&values));
            assert!(seen.is_complete() && interval.high - interval.low < 1e-9, "{world:?} of {size}: {interval:?}");
            assert!(
                (interval.low - truth).abs() < 1e-9 && (interval.high - truth).abs() < 1e-9,
                "{interval:?}, {truth}"
            );
            let differs = if (truth - 0.5).abs() > 1e-6 { seen.excludes(0.5) } else { true };
            assert!(differs && !seen.excludes(truth), "{world:?} of {size}");
            assert_eq!(seen.add(0.5), Err(SequentialError::Exhausted { population: size }));
        }
    }
}

/// What nobody knows may be anything: the interval holds the mean for both extremes, and is as wide as what is missing.
#[test]
fn missing_values_stay_open() {
    let mut seen = open(finite(50));
    for at in 0..50 {
        if at % 10 == 3 { seen.add_missing() } else { seen.add(f64::from(u8::from(at % 3 == 0))) }.expect("a value");
    }
    let known = seen.known().expect("values");
    let sum = known.mean() * known.n() as f64;
    let interval = seen.interval();
    assert_eq!((seen.missing(), known.n(), seen.n()), (5, 45, 50));
    assert!(
        (interval.low - sum / 50.0).abs() < 1e-9 && (interval.high - (sum + 5.0) / 50.0).abs() < 1e-9,
        "{interval:?}"
    );
}

#[test]
fn what_is_no_value_is_refused() {
    let mut seen = open(Population::Unlimited);
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(seen.add(bad), Err(SequentialError::Value { number: 1, .. })), "{bad}");
    }
    let mut bound = LowerBound::new(Risk::of(Level::PERCENT_95), Population::Unlimited, Horizon::Open);
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(bound.add(bad).is_err(), "{bad}");
    }
    bound.add(1e9).expect("large is not too large");
    for bad in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(Risk::new(bad).is_err() && StopAt::width(bad).is_err() && StopAt::difference_from(bad).is_err());
    }
    let interval = SequentialMean::new(Level::PERCENT_95, Population::Unlimited, Horizon::Open).interval();
    assert_eq!((interval.low, interval.high, interval.n), (0.0, 1.0, 0));
}
