//! The runs of an experiment that trains reward models, and what the hash of each covers.

use slhf_plan::{RewardTrainingPlan, Work};

use super::resolved::ResolvedReward;
use crate::alone::{self, Alone, Hashed};
use crate::phases::{MEASURED_PARAMETERS, Phases};
use crate::planned::{PlannedGroup, PlannedRun, TextSizes};

/// How often checkpoints are written and kept, what the model is called, and what is saved in the end change no bits.
const HASHED: Hashed<'static> = Hashed {
    version: 3,
    name: "reward_model",
    left_out: &[&["run"], &["checkpoint_every"], &["checkpoint_keep"], &["save"], &["model", "name"]],
};

/// Seconds a token of a forward and backward pass on two cores in f32.
const TRAIN_SECONDS: f64 = 4e-3;
/// Of a forward pass.
const READ_SECONDS: f64 = 2e-3;
/// A worker links libtorch and reads the weights.
const START_SECONDS: f64 = 5.0;
/// A GPU against those two cores, a careful guess.
const CUDA_SPEED: f64 = 100.0;

/// The runs, cell by cell.
pub(crate) fn plan(cells: &[ResolvedReward], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    alone::plan(cells, seeds, |cell, run, seed| {
        let plan = RewardTrainingPlan { run, seed, ..cell.plan.clone() };
        Alone {
            content_hash: HASHED.hash(&plan),
            estimated_seconds: seconds(cell),
            sizes: TextSizes {
                text_tokens: cell.text_tokens,
                held_out_pairs: cell.held_out_pairs as f64,
                ..TextSizes::default()
            },
            work: Work::RewardModel(Box::new(plan)),
        }
    })
}

/// How long a run may take: a guess for people, by a fixed model. Nothing is decided by it.
fn seconds(cell: &ResolvedReward) -> f64 {
    let plan = &cell.plan;
    let phases = with_sizes(plan, cell.parameters, (cell.text_tokens, cell.held_out_pairs as f64));
    let steps = plan.training.steps;
    let evaluations = 2.0 + steps.checked_div(plan.evaluation_every).unwrap_or(0) as f64;
    phases.start + steps as f64 * phases.step + evaluations * phases.evaluation
}

/// Of its parts, where nobody has read the data: a conversation is half as long as it may be, and a prompt has one pair.
pub(crate) fn phases(plan: &RewardTrainingPlan, parameters: f64) -> Phases {
    with_sizes(plan, parameters, (f64::from(plan.data.max_tokens) / 2.0, f64::from(plan.data.held_out)))
}

fn with_sizes(plan: &RewardTrainingPlan, parameters: f64, (text_tokens, held_out_pairs): (f64, f64)) -> Phases {
    let scale = parameters / MEASURED_PARAMETERS;
    let speed = match plan.device.name.as_str() {
        "cpu" => f64::from(plan.device.threads.clamp(1, 16)) / 2.0,
        _ => CUDA_SPEED,
    };
    let pair = 2.0 * text_tokens * scale / speed;
    let evaluation = held_out_pairs * READ_SECONDS * pair;
    Phases {
        start: START_SECONDS * scale.max(1.0),
        step: f64::from(plan.training.pairs_per_step) * TRAIN_SECONDS * pair,
        evaluation,
        last_evaluation: evaluation,
        every: plan.evaluation_every,
        evaluates_first: true,
    }
}
