//! Games for the tests: random ones from seeds and proptest strategies, and small helpers.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use slhf_game::{
    Distribution, FollowerReference, Game, PreferenceMatrix, TemperatureValues, Temperatures, total_variation,
};

/// The same cases on every run, on every machine.
pub(crate) fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(20_260_923),
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

pub(crate) fn matrix<Row: AsRef<[f64]>>(rows: &[Row]) -> PreferenceMatrix {
    PreferenceMatrix::from_rows(rows).expect("a valid matrix")
}

/// A complementary matrix from the margins above its diagonal.
pub(crate) fn complementary(actions: usize, mut margin: impl FnMut(usize, usize) -> f64) -> PreferenceMatrix {
    let mut entries = vec![0.5; actions * actions];
    for first in 0..actions {
        for second in first + 1..actions {
            let margin = margin(first, second).clamp(-0.5, 0.5);
            entries[first * actions + second] = 0.5 + margin;
            entries[second * actions + first] = 0.5 - margin;
        }
    }
    PreferenceMatrix::new(actions, entries).expect("a valid matrix")
}

pub(crate) fn temperatures(leader: f64, follower: f64, nash: f64, rlhf: f64) -> Temperatures {
    Temperatures::new(TemperatureValues { leader, follower, nash, rlhf }).expect("valid temperatures")
}

/// Uniform references, one temperature for everything that accepts it.
pub(crate) fn uniform_game(preferences: PreferenceMatrix, tau: f64) -> Game {
    Game::with_uniform_references(preferences, temperatures(tau, tau, tau, 1.0))
}

/// A distribution proportional to the exponentials.
pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|l| (l - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

pub(crate) fn logarithms(probabilities: &[f64]) -> Vec<f64> {
    probabilities.iter().map(|p| p.ln()).collect()
}

pub(crate) fn reference(logits: &[f64]) -> Distribution {
    Distribution::new(&softmax(logits)).expect("full support")
}

pub(crate) fn follower_reference(actions: usize, logits: &[f64]) -> FollowerReference {
    let entries: Vec<f64> = logits.chunks_exact(actions).flat_map(softmax).collect();
    FollowerReference::new(actions, &entries).expect("full support")
}

pub(crate) fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// TV of two distributions given as probabilities.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    total_variation(&logarithms(a), &logarithms(b))
}

pub(crate) fn times(rows: &PreferenceMatrix, vector: &[f64]) -> Vec<f64> {
    rows.rows().map(|row| row.iter().zip(vector).map(|(p, v)| p * v).sum()).collect()
}

pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Complementary matrices of 2 to `actions_max` actions.
pub(crate) fn complementary_matrices(actions_max: usize) -> impl Strategy<Value = PreferenceMatrix> {
    (2..=actions_max).prop_flat_map(|actions| {
        prop::collection::vec(-0.5..=0.5_f64, actions * actions)
            .prop_map(move |margins| complementary(actions, |i, j| margins[i * actions + j]))
    })
}

/// Complementary matrices whose entries are eighths: many ties, all exact.
pub(crate) fn coarse_matrices(actions_max: usize) -> impl Strategy<Value = PreferenceMatrix> {
    (2..=actions_max).prop_flat_map(|actions| {
        prop::collection::vec(-4_i8..=4, actions * actions)
            .prop_map(move |margins| complementary(actions, |i, j| f64::from(margins[i * actions + j]) / 8.0))
    })
}

/// Any matrices, not complementary in general.
pub(crate) fn any_matrices(actions_max: usize) -> impl Strategy<Value = PreferenceMatrix> {
    (2..=actions_max).prop_flat_map(|actions| {
        prop::collection::vec(0.0..=1.0_f64, actions * actions)
            .prop_map(move |entries| PreferenceMatrix::new(actions, entries).expect("a valid matrix"))
    })
}

/// The same preferences with random references and random positive temperatures.
pub(crate) fn with_random_rest(preferences: impl Strategy<Value = PreferenceMatrix>) -> impl Strategy<Value = Game> {
    preferences.prop_flat_map(|preferences| {
        let n = preferences.actions();
        let logits = prop::collection::vec(-1.5..1.5_f64, n + n * n);
        let taus = prop::array::uniform4(0.03..1.5_f64);
        (logits, taus).prop_map(move |(logits, taus)| {
            Game::new(
                preferences.clone(),
                reference(&logits[..n]),
                follower_reference(n, &logits[n..]),
                temperatures(taus[0], taus[1], taus[2], taus[3]),
            )
            .expect("parts of one size")
        })
    })
}

/// A game with a learned pair (log π, log ω) that is neither its equilibrium nor its reference.
pub(crate) fn with_learned_pair(
    preferences: impl Strategy<Value = PreferenceMatrix>,
) -> impl Strategy<Value = (Game, Vec<f64>, Vec<f64>)> {
    with_random_rest(preferences).prop_flat_map(|game| {
        let n = game.actions();
        prop::collection::vec(-3.0..3.0_f64, n + n * n).prop_map(move |logits| {
            let log_pi = logarithms(&softmax(&logits[..n]));
            let log_omega: Vec<f64> = logits[n..].chunks_exact(n).flat_map(|row| logarithms(&softmax(row))).collect();
            (game.clone(), log_pi, log_omega)
        })
    })
}
