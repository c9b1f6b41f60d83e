//! Win rates of a model against a baseline, plain and controlled for length as `AlpacaEval` 2.0 does it (Dubois et al.,
//! arXiv 2404.04475, section 3; the regression as its package computes it, `length_controlled_v1`).
//!
//! ```text
//! p_i = σ( w_len · tanh(Δ_i / s) + w_dif · difficulty_i + w_own · own_i ),      Δ = length_1 − length_2, s its deviation
//! ```
//!
//! fitted to the annotator's preferences by cross-entropy with an L1 penalty, without intercept; `own` is 1 for the
//! model's rows, and 0 for those of two gamed baselines (the baseline told to be verbose, and to be concise) that join with
//! weight 0.2 / 2 and hold the length coefficient down. The controlled win rate is the mean prediction for the model's rows
//! at Δ = 0.
//!
//! Difficulties and gamed rows are tables that their owner publishes elsewhere. Without them [`LengthControl::Estimate`] holds
//! the length coefficient at the value that the published results imply, which is what the gamed rows do to it, and
//! leaves difficulty out.

mod estimate;
mod published;
mod rows;

pub use published::{AuxiliaryTables, GamedRow};
pub use rows::{Annotation, LENGTH_CONTROL_RESAMPLES, LengthControl, LengthControlled};

use crate::{Sample, StatisticsError};
use rows::{Rows, unavailable};

/// Of the rows that have a preference; rates in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WinRates {
    /// Mean preference.
    pub win_rate: f64,
    /// Standard deviation (n − 1) over √n; `None` for one row.
    pub standard_error: Option<f64>,
    /// A preference above one half counts 1, one half ½.
    pub discrete_win_rate: f64,
    /// Rows with a preference.
    pub n_total: usize,
    /// Rows without.
    pub n_missing: usize,
}

/// Plain win rates. Errors: no row has a preference.
pub fn win_rates(annotations: &[Annotation]) -> Result<WinRates, StatisticsError> {
    let preferences: Vec<f64> = annotations.iter().filter_map(|row| row.preference).collect();
    let n_total = preferences.len();
    let discrete: f64 = preferences.iter().map(|p| f64::from(*p > 0.5) + 0.5 * f64::from(*p == 0.5)).sum();
    let sample = Sample::new(preferences)?;
    Ok(WinRates {
        win_rate: sample.mean(),
        standard_error: sample.standard_error(),
        discrete_win_rate: discrete / n_total as f64,
        n_total,
        n_missing: annotations.len() - n_total,
    })
}

/// The controlled win rate, by the published definition where its tables are given. `seed` is of the interval.
#[must_use]
pub fn length_controlled(
    annotations: &[Annotation],
    auxiliary: Option<&AuxiliaryTables>,
    seed: u64,
) -> LengthControlled {
    let Some(rows) = Rows::of(annotations) else {
        return unavailable("the lengths of both outputs differ by the same number in every row");
    };
    match rows.mean_preference() {
        None => unavailable("no row has a preference"),
        Some(mean) if mean <= 0.0 || mean >= 1.0 => {
            unavailable("the annotator prefers one side in every row, so that no finite coefficient describes it")
        }
        Some(_) => match auxiliary {
            Some(tables) => published::controlled(&rows, tables, seed),
            None => estimate::controlled(annotations, &rows, seed),
        },
    }
}
