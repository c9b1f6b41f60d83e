//! What fits together in a plan and what does not, each refusal with its reason. The lab asks when it plans, a worker when it is
//! sent a plan.

mod answer_sets;
mod game;
mod language;
mod reward_training;
mod sampler;
mod schedule;

pub use game::{GameCell, check_game};
pub use language::{LanguageCell, check_language};
pub use reward_training::{RewardCell, check_reward};
pub use schedule::check_weight_curve;
