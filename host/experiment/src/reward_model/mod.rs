//! Experiments that train reward models: from TOML to one [`slhf_plan::RewardTrainingPlan`] a run.

mod cell;
mod config;
mod parameters;
mod resolve;
mod resolved;
mod runs;

pub use config::RewardExperimentConfig;
pub(crate) use parameters::parameters;
pub(crate) use resolved::ResolvedReward;
pub(crate) use runs::{phases, plan};
