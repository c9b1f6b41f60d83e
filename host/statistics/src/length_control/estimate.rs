//! Without the auxiliary tables: the length coefficient is held where the published results imply it.

use std::collections::HashMap;

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::rows::{Annotation, LENGTH_CONTROL_RESAMPLES, LengthControl, LengthControlled, Rows, percentile_interval};
use crate::logistic::{Observation, fit, sigmoid};
use slhf_random::SplitMix64;

/// `w_len` of the published results: of 34 entries of `AlpacaEval` 2.0's leaderboard (annotator `weighted_alpaca_eval_gpt4_turbo`)
/// it is the value at which the mean error of this estimate is least. Leaving one entry out at a time, it is found within
/// −1.13 to −1.07 (`docs/evaluation.md`).
const LENGTH_COEFFICIENT: f64 = -1.1;
/// Spread over those entries of the value at which the estimate is exact.
const LENGTH_COEFFICIENT_DEVIATION: f64 = 0.19;
/// Weight of the data against the penalty of the two fits here: as good as none.
const UNPENALISED: f64 = 1e6;

/// Beyond these an entry is unlike any ordinary one: of those 34 entries the slope on length lies between −4.4 and −0.8, the
/// variation of the outputs' lengths (deviation over mean) between 0.5 and 1.5, and no length is shared by more than 3 %.
const SLOPES: [f64; 2] = [-6.0, 1.0];
const VARIATIONS: [f64; 2] = [0.15, 2.5];
const SAME_LENGTH_SHARE_MAX: f64 = 0.25;
/// Characters below which an output hardly says anything, and the share of such outputs: 0.05 at most of those entries.
const EMPTY_CHARACTERS: f64 = 10.0;
const EMPTY_SHARE_MAX: f64 = 0.25;
/// Rows below which shapes say little.
const ROWS_MIN: usize = 30;

pub(super) fn controlled(annotations: &[Annotation], rows: &Rows, seed: u64) -> LengthControlled {
    let known: Vec<(f64, f64)> =
        rows.rows.iter().filter_map(|&(length, _, preference)| Some((length, preference?))).collect();
    let constant = constant(&known, LENGTH_COEFFICIENT, 0.0);
    let mut generator = SplitMix64::new(seed);
    // Its quantiles are those of a deviation of 1: finite for every uniform in (0, 1).
    let normal = Normal::standard();
    let resampled = (0..LENGTH_CONTROL_RESAMPLES).map(|_| {
        let coefficient = LENGTH_COEFFICIENT + LENGTH_COEFFICIENT_DEVIATION * normal.inverse_cdf(generator.uniform());
        let drawn: Vec<(f64, f64)> = (0..known.len()).map(|_| known[generator.below(known.len())]).collect();
        sigmoid(self::constant(&drawn, coefficient, constant))
    });
    let interval = percentile_interval(resampled.collect(), known.len());
    let reasons = if known.len() < ROWS_MIN { Vec::new() } else { strangeness(annotations, &known) };
    LengthControlled {
        win_rate: Some(sigmoid(constant)),
        interval: Some(interval),
        length_coefficient: Some(LENGTH_COEFFICIENT),
        control: if reasons.is_empty() { LengthControl::Estimate } else { LengthControl::OutsideModel },
        reasons,
    }
}

/// `w_own` beside a length coefficient that is held.
fn constant(known: &[(f64, f64)], coefficient: f64, start: f64) -> f64 {
    let rows: Vec<Observation<2>> =
        known.iter().map(|&(x, target)| Observation { features: [x, 1.0], target, weight: 1.0 }).collect();
    fit(&rows, UNPENALISED, [coefficient, start], [false, true])[1]
}

/// In what the entry is unlike ordinary ones.
fn strangeness(annotations: &[Annotation], known: &[(f64, f64)]) -> Vec<String> {
    let mut reasons = Vec::new();
    let lengths: Vec<f64> = annotations.iter().map(|row| row.length_2).collect();
    let count = lengths.len() as f64;
    let mean = lengths.iter().sum::<f64>() / count;
    let deviation = (lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let variation = if mean > 0.0 { deviation / mean } else { 0.0 };
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for length in &lengths {
        *seen.entry(length.to_bits()).or_default() += 1;
    }
    let same = seen.values().max().map_or(0.0, |most| *most as f64 / count);
    let empty = lengths.iter().filter(|length| **length < EMPTY_CHARACTERS).count() as f64 / count;
    if same > SAME_LENGTH_SHARE_MAX {
        reasons.push(format!("{:.0} % of the model's outputs have one and the same length", 100.0 * same));
    }
    if empty > EMPTY_SHARE_MAX {
        reasons.push(format!(
            "{:.0} % of the model's outputs have fewer than {EMPTY_CHARACTERS} characters",
            100.0 * empty
        ));
    }
    if !(VARIATIONS[0]..=VARIATIONS[1]).contains(&variation) {
        reasons.push(format!(
            "the lengths of its outputs vary by {variation:.2} of their mean, where ordinary entries vary by 0.5 to 1.5"
        ));
    }
    let slope = free_slope(known);
    if !(SLOPES[0]..=SLOPES[1]).contains(&slope) {
        reasons.push(format!(
            "preference follows length with a coefficient of {slope:.1}, where ordinary entries have −4.4 to −0.8"
        ));
    }
    reasons
}

/// `w_len` where nothing holds it.
fn free_slope(known: &[(f64, f64)]) -> f64 {
    let rows: Vec<Observation<2>> =
        known.iter().map(|&(x, target)| Observation { features: [x, 1.0], target, weight: 1.0 }).collect();
    fit(&rows, UNPENALISED, [0.0; 2], [true; 2])[0]
}
