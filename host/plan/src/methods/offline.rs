//! What methods on language models have in common that learn from a file of preferences, and sample nothing in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::language_models::ROWS_MAX;
use super::{Labels, LanguageTraining};
use crate::settings::{Key, Problems, Reader};

/// How the log-probabilities of a response's tokens make the number that a loss on pairs is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogRatio {
    /// Their sum: log π(y) / `π_ref(y)` of the whole response, as the papers have it.
    #[default]
    Sum,
    /// Their mean over the response's tokens, as TRL's `ipo` has it: a long response counts no more than a short one.
    Mean,
}

const PAIRS_PER_STEP: Key = Key::new("pairs_per_step", "Pairs of the file a step.")
    .example("16")
    .why_not("the others sample their responses: prompts_per_step and num_generations say how many");
const LABELS: Key = Key::new(
    "labels",
    "What the file says of a pair, where it says a probability: that probability, or who is more likely to be better.",
)
.example(r#""hard""#)
.why_not("the others take verdicts as they are");
const LOG_RATIO: Key = Key::new(
    "log_ratio",
    "Whether log π − log π_ref is summed over a response's tokens, as in the papers, or their mean, as in TRL's `ipo`.",
)
.example(r#""mean""#)
.why_not("the others have no loss on the pairs of a file");

pub(super) fn pairs_per_step(reader: &mut Reader<'_>) -> u32 {
    reader.or(PAIRS_PER_STEP, 8)
}

pub(super) fn labels(reader: &mut Reader<'_>) -> Labels {
    reader.or(LABELS, Labels::default())
}

pub(super) fn log_ratio(reader: &mut Reader<'_>) -> LogRatio {
    reader.or(LOG_RATIO, LogRatio::default())
}

pub(super) fn check_pairs_per_step(pairs_per_step: u32, problems: &mut Problems) {
    problems.whole("method.pairs_per_step", u64::from(pairs_per_step), 1, ROWS_MAX);
}

/// What a loss of both responses of a pair needs; `name` is the method's.
pub(super) fn check_both(training: &LanguageTraining, name: &str, problems: &mut Problems) {
    problems.above_zero("method.beta", training.beta);
    problems.require(training.micro_batch_size >= 2, "method.micro_batch_size", || {
        format!(
            "{} with {name}: its loss is of both responses of a pair, which must be in one micro-batch; use at least 2",
            training.micro_batch_size
        )
    });
}
