//! Methods that learn from a file of preferences: pairs of responses to a prompt, of which one is better.
//!
//! Nothing is sampled and nobody judges in training. A step takes the next pairs of a permutation that is a function of (seed, epoch), as
//! prompts are taken elsewhere; both responses are read by the policy and by the reference in one pass, and a method says
//! ∂loss/∂log `π(y_t)` of both ([`PreferenceLoss`], a file each). Held-out pairs are scored without gradients.

mod dpo;
mod evaluation;
mod ipo;
mod loss;
mod pairs;
mod sft_chosen;
mod step;

pub(crate) use evaluation::OfflineEvaluation;
pub(crate) use step::{OfflineResult, OfflineStep};

pub use dpo::DpoLoss;
pub use ipo::IpoLoss;
pub use loss::{PairOfScores, PreferenceLoss, WeighedResponses};
pub use pairs::{LabeledPair, PreferencePairs};
pub use sft_chosen::SftChosenLoss;
