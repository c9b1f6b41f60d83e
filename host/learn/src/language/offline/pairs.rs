//! Pairs of responses, as a run learns from them.

use crate::language::traits::{Answer, Prompt};

/// Two responses to one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledPair {
    /// x
    pub prompt: Prompt,
    /// y and y′, in the tokens of the run's model; none empty.
    pub responses: [Answer; 2],
    /// The probability that y is better, in [0, 1]; ½: a tie.
    pub first_is_better: f64,
}

/// The pairs of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreferencePairs {
    /// Trained on, in the order of the file.
    pub training: Vec<LabeledPair>,
    /// Never trained on: those of the held-out prompts.
    pub held_out: Vec<LabeledPair>,
}
