//! A cell before it gets its seeds.

use slhf_plan::RewardTrainingPlan;

/// One cell with nothing left open but the run's number and seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResolvedReward {
    pub(super) plan: RewardTrainingPlan,
    /// `data.pairs` as it was named.
    pub(super) data_name: String,
    /// Parameters of the model, roughly.
    pub(super) parameters: f64,
    /// Tokens of a text, roughly.
    pub(super) text_tokens: f64,
    /// Held-out pairs.
    pub(super) held_out_pairs: usize,
}
