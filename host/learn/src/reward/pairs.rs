//! What training needs of data and models.

use std::sync::Arc;

use slhf_plan::Passed;

use crate::Cause;

/// What is known of two responses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairTarget {
    /// The probability that the first is better; `None`: nobody says.
    pub first_is_better: Option<f64>,
    /// How much better the better one is, not negative.
    pub strength: f64,
    /// One a label of an attribute head; `None`: nobody rated both.
    pub ratings: Vec<Option<RatingTarget>>,
}

/// What an attribute says of two responses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatingTarget {
    /// One a response.
    pub values: [f64; 2],
    /// The probability that the first is better by it.
    pub first_is_better: f64,
}

/// Two responses to one prompt, as the model reads them.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedPair {
    /// Which prompt: pairs of one are no independent observations.
    pub prompt: u32,
    /// The conversation with each response, as tokens; none empty.
    pub texts: [Arc<[u32]>; 2],
    /// Characters of each response.
    pub characters: [u32; 2],
    /// What is known of them.
    pub target: PairTarget,
}

/// The pairs of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairSource {
    /// Trained on; at least one.
    pub training: Vec<TrainedPair>,
    /// Never trained on.
    pub held_out: Vec<TrainedPair>,
}

/// A model whose head gives values, one a label.
pub trait ValueModel {
    /// One forward pass of texts, `weigh` on their values (one row a text, in order), one backward pass with what it returns:
    /// ∂loss/∂value in the same shape. Gradients accumulate. `weigh` is called exactly once.
    ///
    /// (`step`, `micro_batch`) is unique in a run: what dropout is seeded by.
    #[expect(clippy::type_complexity, reason = "a name for it would hide what is asked and what comes back")]
    fn pass(
        &mut self,
        texts: &[&[u32]],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[Vec<f64>]) -> Result<Vec<Vec<f64>>, Cause>,
    ) -> Result<Passed, Cause>;

    /// The values of one text, without gradients and without dropout: what depends on the text alone.
    fn values(&mut self, text: &[u32]) -> Result<Vec<f64>, Cause>;

    /// Clips, takes one optimizer step with what was accumulated, and clears it; returns the norm before clipping. A gradient that is
    /// not finite changes nothing and is an error.
    fn update(&mut self, learning_rate: f64, max_grad_norm: f64) -> Result<f64, Cause>;

    /// Trained parameters and optimizer state, as bytes.
    fn save(&self) -> Result<Vec<u8>, Cause>;

    /// Takes up what [`ValueModel::save`] gave.
    fn restore(&mut self, state: &[u8]) -> Result<(), Cause>;
}
