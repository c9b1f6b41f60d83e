//! What only the record knows of.

use std::path::PathBuf;

/// The reward model that a run has trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedRewardModel {
    /// The folder of the whole model, or the model that it was trained over.
    pub path: PathBuf,
    /// The folder of its adapter, where the run saved that alone.
    pub adapter: Option<PathBuf>,
}

/// Finds the reward model that a run has trained; an error is a sentence.
pub type FindRun<'a> = dyn Fn(&str) -> Result<TrainedRewardModel, String> + 'a;
