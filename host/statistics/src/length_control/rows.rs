//! What goes into a controlled win rate and what comes out, by either definition.

use crate::{Interval, Level, Sample};

/// Resamples of the interval of a controlled win rate.
pub const LENGTH_CONTROL_RESAMPLES: u32 = 1000;

/// One instruction: two outputs and what an annotator prefers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annotation {
    /// The instruction's number in the auxiliary tables.
    pub instruction: u64,
    /// Characters of the baseline's output.
    pub length_1: f64,
    /// Characters of the model's.
    pub length_2: f64,
    /// Preference for the model's, in [0, 1]; `None` where the annotator gave none.
    pub preference: Option<f64>,
}

/// What a controlled win rate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthControl {
    /// The published definition, with its auxiliary tables.
    PublishedDefinition,
    /// Without them; never the published metric.
    Estimate,
    /// An estimate of what the model does not describe.
    OutsideModel,
    /// There is no number.
    Unavailable,
}

/// A controlled win rate; rates in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct LengthControlled {
    /// `None` only where it is unavailable.
    pub win_rate: Option<f64>,
    /// Over rows, and for an estimate over what the length coefficient may be.
    pub interval: Option<Interval>,
    /// `w_len`
    pub length_coefficient: Option<f64>,
    /// What it is.
    pub control: LengthControl,
    /// Why it is outside of the model or unavailable, and what else a reader should know.
    pub reasons: Vec<String>,
}

pub(super) fn unavailable(reason: &str) -> LengthControlled {
    LengthControlled {
        win_rate: None,
        interval: None,
        length_coefficient: None,
        control: LengthControl::Unavailable,
        reasons: vec![reason.to_owned()],
    }
}

/// A model's rows as the regression sees them.
pub(super) struct Rows {
    /// `tanh(Δ/s)`, instruction, preference.
    pub(super) rows: Vec<(f64, u64, Option<f64>)>,
}

impl Rows {
    /// `None` where Δ does not vary.
    pub(super) fn of(annotations: &[Annotation]) -> Option<Self> {
        let differences: Vec<f64> = annotations.iter().map(|row| row.length_1 - row.length_2).collect();
        let deviation = Sample::new(differences).ok()?.standard_deviation()?;
        if deviation <= 0.0 {
            return None;
        }
        let row =
            |row: &Annotation| (((row.length_1 - row.length_2) / deviation).tanh(), row.instruction, row.preference);
        Some(Self { rows: annotations.iter().map(row).collect() })
    }

    pub(super) fn mean_preference(&self) -> Option<f64> {
        let known: Vec<f64> = self.rows.iter().filter_map(|row| row.2).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }
}

/// The middle 95 % of resampled values.
pub(super) fn percentile_interval(mut values: Vec<f64>, n: usize) -> Interval {
    values.sort_by(f64::total_cmp);
    let level = Level::PERCENT_95;
    let tail = (1.0 - level.get()) / 2.0;
    let at = |probability| crate::bootstrap::quantile(&values, probability);
    Interval { low: at(tail), high: at(1.0 - tail), level, n }
}
