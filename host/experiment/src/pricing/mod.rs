//! What runs cost, counted from their plans before anything starts: tokens, floating-point operations, tokens of servers.
//!
//! Responses are taken to be as long as they may be, prompts as long as they are on average. Operations are counted as the engine
//! counts them (`num_flops`): 2 a number of a matrix and token in a forward pass, 4 with adapters and 6 with all weights in training,
//! attention by the squares of the lengths; what is computed a second time to save memory does not count. A model that is asked the
//! same twice computes it once. For people: nothing is decided by it.

mod certificate;
mod closed;
mod flow;
mod judging;
mod language;
mod price;
mod reward_model;

use slhf_plan::Work;

pub use price::{Price, PriceError};

use crate::planned::{Experiment, PlannedGroup};
use crate::shapes::Shapes;

/// The price of each batch group of an experiment, in their order; none for games, which cost no tokens.
///
/// # Errors
/// The configuration of a model cannot be read.
pub fn price(experiment: &Experiment) -> Result<Vec<Option<Price>>, PriceError> {
    let mut shapes = experiment.shapes.clone();
    experiment.groups.iter().map(|group| of_group(group, &mut shapes)).collect()
}

fn of_group(group: &PlannedGroup, shapes: &mut Shapes) -> Result<Option<Price>, PriceError> {
    match &group.template {
        Work::Game(_) => Ok(None),
        Work::LanguageModel(plan) => language::price(plan, &group.sizes, shapes).map(Some),
        Work::RewardModel(plan) => reward_model::price(plan, &group.sizes, shapes).map(Some),
    }
}
