//! What the training of a reward model costs.

use slhf_plan::{AdapterPlan, RewardTrainingPlan};

use super::flow::{Flow, Pass};
use super::price::{Price, PriceError};
use crate::planned::TextSizes;
use crate::shapes::Shapes;

/// Of one run.
pub(super) fn price(plan: &RewardTrainingPlan, sizes: &TextSizes, shapes: &mut Shapes) -> Result<Price, PriceError> {
    let shape = shapes.of(&plan.model.path).map_err(PriceError::Model)?;
    let training = match plan.model.adapter {
        AdapterPlan::Full => Pass::TrainAll,
        AdapterPlan::Lora { .. } => Pass::TrainAdapters,
    };
    let steps = plan.training.steps;
    // The head has a row a label: nothing beside the blocks.
    let texts = |pairs: f64| Flow::of(sizes.text_tokens, 0.0).times(2.0 * pairs);
    let trained = texts(steps as f64 * f64::from(plan.training.pairs_per_step));
    // Before the first step, after the last, and on the way.
    let on_the_way = match plan.evaluation_every {
        0 => 0,
        every => steps.saturating_sub(1) / every,
    };
    let read = texts((2 + on_the_way) as f64 * sizes.held_out_pairs);
    Ok(Price {
        trained_tokens: trained.tokens,
        read_tokens: read.tokens,
        pass_operations: trained.operations(&shape, training) + read.operations(&shape, Pass::Read),
        ..Price::default()
    })
}
