//! Training of reward models: losses on the values of a head, and the loop.
//!
//! What a loss says is one number a value: ∂loss/∂value, in closed form. [`ValueModel`] runs the forward pass, shows the values, is told
//! the numbers, and runs the backward pass. This module never touches a tensor of a model.
//!
//! [`RewardTrainer`] is the loop: pairs, passes, updates, evaluations on held-out pairs, checkpoints. Begin with `loss.rs`.
//!
//! Invariant: a run that was cut at any step and resumed computes the numbers of one that was not.

mod baseline;
mod evaluation;
mod loss;
mod pairs;
mod state;
mod training;

pub use loss::{PairLoss, RewardLoss};
pub use pairs::{PairSource, PairTarget, RatingTarget, TrainedPair, ValueModel};
pub use state::REWARD_STATE_VERSION;
pub use training::{RewardCounters, RewardTrainer};
