//! The published definition.

use std::collections::HashMap;

use super::rows::{LENGTH_CONTROL_RESAMPLES, LengthControl, LengthControlled, Rows, percentile_interval, unavailable};
use crate::logistic::{Observation, cross_entropy, dot, fit, sigmoid};
use slhf_random::SplitMix64;

/// Weight of a row of one of the two gamed baselines: 0.2, divided by two.
const GAMED_WEIGHT: f64 = 0.1;
/// Folds of the choice of the penalty.
const FOLDS: usize = 5;
/// Penalties that are tried: 1e-4 to 1e4, as the reference library tries them.
const STRENGTHS: usize = 10;

/// A row of a gamed baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GamedRow {
    /// `Δ / s`, as published.
    pub standardised_difference: f64,
    /// The instruction's difficulty.
    pub difficulty: f64,
    /// In [0, 1].
    pub preference: f64,
}

/// What the published definition needs beside a model's rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuxiliaryTables {
    /// Rows of both gamed baselines.
    pub gamed: Vec<GamedRow>,
    /// By the instruction's number.
    pub difficulty: HashMap<u64, f64>,
}

/// Features: length, difficulty, own.
type Features = Observation<3>;

pub(super) fn controlled(rows: &Rows, tables: &AuxiliaryTables, seed: u64) -> LengthControlled {
    let mut difficulties = Vec::with_capacity(rows.rows.len());
    for (_, instruction, _) in &rows.rows {
        let Some(&difficulty) = tables.difficulty.get(instruction) else {
            return unavailable(&format!("the auxiliary tables have no difficulty of instruction {instruction}"));
        };
        difficulties.push(difficulty);
    }
    let gamed = tables.gamed.iter().map(|row| Observation {
        features: [row.standardised_difference.tanh(), row.difficulty, 0.0],
        target: row.preference,
        weight: GAMED_WEIGHT,
    });
    let gamed: Vec<Features> = gamed.collect();
    let own: Vec<Option<Features>> = rows
        .rows
        .iter()
        .zip(&difficulties)
        .map(|(&(length, _, preference), &difficulty)| {
            let features = [length, difficulty, 1.0];
            preference.map(|target| Observation { features, target, weight: 1.0 })
        })
        .collect();
    let all: Vec<Features> = gamed.iter().copied().chain(own.iter().copied().flatten()).collect();
    let strength = chosen_strength(&all);
    let found = fit(&all, strength, [0.0; 3], [true; 3]);
    let resampled = resampled(&gamed, &own, &difficulties, (strength, found, seed));
    LengthControlled {
        win_rate: Some(at_equal_length(&found, &difficulties)),
        interval: Some(percentile_interval(resampled, all.len() - gamed.len())),
        length_coefficient: Some(found[0]),
        control: LengthControl::PublishedDefinition,
        reasons: Vec::new(),
    }
}

/// Mean prediction of a model's rows at Δ = 0.
fn at_equal_length(coefficients: &[f64; 3], difficulties: &[f64]) -> f64 {
    let sum: f64 = difficulties.iter().map(|difficulty| sigmoid(dot(&[0.0, *difficulty, 1.0], coefficients))).sum();
    sum / difficulties.len() as f64
}

/// The penalty with the least cross-entropy on the folds that were left out; a row is in one fold, by its place.
fn chosen_strength(all: &[Features]) -> f64 {
    let mut losses = [0.0; STRENGTHS];
    for fold in 0..FOLDS {
        let (left_out, kept): (Vec<_>, Vec<_>) =
            all.iter().copied().enumerate().partition(|(place, _)| place % FOLDS == fold);
        let kept: Vec<Features> = kept.into_iter().map(|(_, one)| one).collect();
        let mut coefficients = [0.0; 3];
        for (index, loss) in losses.iter_mut().enumerate() {
            coefficients = fit(&kept, strength(index), coefficients, [true; 3]);
            let of = |(_, one): &(usize, Features)| {
                one.weight * cross_entropy(dot(&one.features, &coefficients), one.target)
            };
            *loss += left_out.iter().map(of).sum::<f64>() / left_out.len().max(1) as f64;
        }
    }
    let best = (0..STRENGTHS).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(STRENGTHS - 1);
    strength(best)
}

fn strength(index: usize) -> f64 {
    10.0_f64.powf(-4.0 + 8.0 * index as f64 / (STRENGTHS - 1) as f64)
}

/// Controlled win rates of resampled rows of the model.
fn resampled(
    gamed: &[Features],
    own: &[Option<Features>],
    difficulties: &[f64],
    (strength, start, seed): (f64, [f64; 3], u64),
) -> Vec<f64> {
    let mut generator = SplitMix64::new(seed);
    (0..LENGTH_CONTROL_RESAMPLES)
        .map(|_| {
            let drawn: Vec<usize> = (0..own.len()).map(|_| generator.below(own.len())).collect();
            let rows: Vec<Features> = gamed.iter().copied().chain(drawn.iter().filter_map(|&row| own[row])).collect();
            let of_drawn: Vec<f64> = drawn.iter().map(|&row| difficulties[row]).collect();
            at_equal_length(&fit(&rows, strength, start, [true; 3]), &of_drawn)
        })
        .collect()
}
