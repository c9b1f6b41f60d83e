//! Keys that several methods have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{Key, Problems, Reader};

/// What a verdict in [0, 1] says of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// Its probability, whole: the expectation over labels drawn from it, without the noise of a draw.
    #[default]
    Soft,
    /// Who is more likely to win: 1, 0, or ½ for a tie.
    Hard,
}

/// Updates on the same samples beyond which nobody means it.
const ITERATIONS_MAX: u64 = 1024;

const LABELS: Key = Key::new("labels", "What a verdict says of a pair.")
    .example(r#""hard""#)
    .why_not("the others take verdicts as they are");

pub(super) const NUM_ITERATIONS: Key = Key::new("num_iterations", "Updates on the same samples, 1 to 1024.")
    .example("2")
    .why_not("the others are on-policy: one update a sample");

pub(super) fn labels(reader: &mut Reader<'_>) -> Labels {
    reader.or(LABELS, Labels::default())
}

/// Why a reference may not be renewed whose methods take these labels.
pub(super) fn only_soft(labels: Labels) -> Option<&'static str> {
    let why = "whose labels = \"hard\" make another game of the verdicts, with a Nash policy of its own: use labels = \"soft\", or no \
               reference";
    (labels == Labels::Hard).then_some(why)
}

pub(super) fn num_iterations(reader: &mut Reader<'_>) -> u32 {
    reader.or(NUM_ITERATIONS, 1)
}

pub(super) fn check_num_iterations(num_iterations: u32, problems: &mut Problems) {
    problems.whole("method.num_iterations", u64::from(num_iterations), 1, ITERATIONS_MAX);
}

/// Steps of a method that learns. Their range is asked of files alone: a run of no steps can be computed, but nobody means it.
pub(super) fn read_steps(reader: &mut Reader<'_>, (key, usual, most): (Key, u64, u64)) -> u64 {
    let steps = reader.or(key, usual);
    if !(1..=most).contains(&steps) {
        reader.problem(key, format!("{steps}; expected 1 to {most}"));
    }
    steps
}
