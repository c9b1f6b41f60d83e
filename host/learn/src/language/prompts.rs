//! The prompts of a run.

use std::collections::HashMap;
use std::sync::Arc;

use super::offline::PreferencePairs;
use super::traits::{Answer, Prompt};

/// The prompts of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptSource {
    /// Trained on.
    pub training: Vec<Prompt>,
    /// Never trained on; evaluations use the first so many.
    pub held_out: Vec<Prompt>,
    /// Others who answered the held-out prompts.
    pub others: Vec<GivenAnswers>,
    /// Closed sets of answers by the prompts' numbers, of a run that has them.
    pub answers: HashMap<u32, Arc<[Answer]>>,
    /// Pairs of responses, of a run that learns from a file of them.
    pub pairs: PreferencePairs,
}

/// Answers of somebody who is no policy of the run, in the tokens of the run's model.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenAnswers {
    /// What they are called in evaluations.
    pub name: String,
    /// One a held-out prompt, in their order; none empty.
    pub answers: Vec<Answer>,
}
