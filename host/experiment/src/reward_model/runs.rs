//! The runs of an experiment that trains reward models, and the hash of what each computes.

use serde_json::json;
use slhf_plan::{RewardTrainingPlan, Work};

use super::resolved::ResolvedReward;
use crate::grouping::forget_paths;
use crate::planned::{PlannedGroup, PlannedRun};

/// Raised when what the hash covers changes, or what it computes.
const HASH_VERSION: u32 = 1;

/// Parameters of the model that was measured.
const MEASURED_PARAMETERS: f64 = 134.5e6;
/// Seconds a token of a forward and backward pass on two cores in f32.
const TRAIN_SECONDS: f64 = 4e-3;
/// Of a forward pass.
const READ_SECONDS: f64 = 2e-3;
/// A worker links libtorch and reads the weights.
const START_SECONDS: f64 = 5.0;
/// A GPU against those two cores, a careful guess.
const CUDA_SPEED: f64 = 100.0;

/// The runs, cell by cell: each is a group of its own, because each is one worker.
pub(crate) fn plan(cells: &[ResolvedReward], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    let mut runs = Vec::with_capacity(cells.len() * seeds.len());
    let mut groups = Vec::with_capacity(cells.len() * seeds.len());
    for (index, cell) in cells.iter().enumerate() {
        for &seed in seeds {
            let mut plan = cell.plan.clone();
            plan.run = i64::try_from(runs.len()).unwrap_or(i64::MAX);
            plan.seed = seed;
            let content_hash = content_hash(&plan);
            let estimated_seconds = seconds(cell);
            groups.push(PlannedGroup {
                runs: vec![runs.len()],
                template: Work::RewardModel(Box::new(plan)),
                estimated_seconds,
            });
            runs.push(PlannedRun { cell: index, seed, group: groups.len() - 1, content_hash });
        }
    }
    (runs, groups)
}

/// SHA-256 over everything that influences the run's numbers.
///
/// Paths are left out (the hashes of model and data are in), and so is how often checkpoints are written and kept, and what is saved in
/// the end: none changes bits.
fn content_hash(plan: &RewardTrainingPlan) -> String {
    let mut content = json!({ "version": HASH_VERSION, "reward_model": plan });
    if let Some(plan) = content["reward_model"].as_object_mut() {
        for key in ["run", "checkpoint_every", "checkpoint_keep", "save"] {
            plan.remove(key);
        }
    }
    if let Some(model) = content["reward_model"]["model"].as_object_mut() {
        model.remove("name");
    }
    forget_paths(&mut content);
    slhf_files::sha256_hex(content.to_string().as_bytes())
}

/// How long a run may take: a guess for people, by a fixed model. Nothing is decided by it.
fn seconds(cell: &ResolvedReward) -> f64 {
    let plan = &cell.plan;
    let scale = cell.parameters / MEASURED_PARAMETERS;
    let speed = match plan.device.name.as_str() {
        "cpu" => f64::from(plan.device.threads.clamp(1, 16)) / 2.0,
        _ => CUDA_SPEED,
    };
    let steps = plan.training.steps;
    let pairs = steps as f64 * f64::from(plan.training.pairs_per_step);
    let evaluations = 2.0 + steps.checked_div(plan.evaluation_every).unwrap_or(0) as f64;
    let read = evaluations * cell.held_out_pairs as f64;
    let whole = 2.0 * cell.text_tokens * (pairs * TRAIN_SECONDS + read * READ_SECONDS);
    START_SECONDS * scale.max(1.0) + whole * scale / speed
}
