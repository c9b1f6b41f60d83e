//! How long a group may take: a guess for people, by a fixed model. Nothing is decided by it.
//!
//! Seconds = start-up + run-steps × (a constant + a share for every number of the state). The constants are
//! figures of one machine (two Zen 3 cores, one thread), rounded up; other machines differ by small factors.

use slhf_plan::{ComputePath, ControlVariate, GameRunPlan, Gradient, GroupPlan};

use crate::phases::Phases;

/// A worker links libtorch, and its judge is compiled or loaded.
const START_SECONDS: f64 = 0.5;
/// One step of one run on the scalar path.
const SCALAR_STEP_SECONDS: f64 = 0.3e-6;
/// One number of the state in a scalar step: an exponential and a few multiplications.
const SCALAR_NUMBER_SECONDS: f64 = 12e-9;
/// One step of a whole group on the tensor path: a few dozen kernels.
const TENSOR_STEP_SECONDS: f64 = 250e-6;
/// One number of the state in a tensor step.
const TENSOR_NUMBER_SECONDS: f64 = 15e-9;
/// One sampled pair.
const SAMPLE_SECONDS: f64 = 60e-9;
/// Asking a control variate that is a plugin, once an agent and step.
const PLUGIN_STEP_SECONDS: f64 = 60e-6;

/// One pair of answers that a method compares: a derivative, in online DPO an exponential.
const PAIR_SECONDS: f64 = 6e-9;

/// Estimated seconds of one group.
pub(crate) fn seconds(group: &GroupPlan) -> f64 {
    let Some(first) = group.runs.first() else { return 0.0 };
    START_SECONDS + first.method.training().steps as f64 * step_seconds(group, first)
}

/// Estimated seconds of its parts. What a game is evaluated by is part of a step.
pub(crate) fn phases(group: &GroupPlan) -> Phases {
    let runs = group.runs.len().max(1) as f64;
    let step = group.runs.first().map_or(0.0, |first| step_seconds(group, first) / runs);
    Phases { start: START_SECONDS, step, ..Phases::default() }
}

/// One step of all runs.
fn step_seconds(group: &GroupPlan, first: &GameRunPlan) -> f64 {
    let training = first.method.training();
    let n = group.games.get(first.game).map_or(0, |game| game.actions.len()) as f64;
    let numbers = if first.method.has_follower() { n * n + n } else { n * n / 4.0 + n };
    let samples = match training.gradient {
        Gradient::Exact => 0.0,
        Gradient::Sampled => f64::from(training.num_generations) * SAMPLE_SECONDS,
    };
    let asking = |run: &&GameRunPlan| {
        training.gradient == Gradient::Sampled
            && matches!(run.method.training().score_baseline, ControlVariate::Plugin { .. })
    };
    let asked = group.runs.iter().filter(asking).count() as f64 * PLUGIN_STEP_SECONDS;
    let iterations = first.method.num_iterations();
    let pairs = match (first.method.uses().compares, training.gradient) {
        (false, _) => 0.0,
        (true, Gradient::Exact) => n * n,
        (true, Gradient::Sampled) => f64::from(training.num_generations).powi(2),
    };
    let samples = samples + f64::from(iterations) * pairs * PAIR_SECONDS;
    let runs = group.runs.len() as f64;
    let step = match group.device.path {
        ComputePath::Scalar => runs * (SCALAR_STEP_SECONDS + numbers * SCALAR_NUMBER_SECONDS + samples),
        ComputePath::Tensor => TENSOR_STEP_SECONDS + runs * (numbers * TENSOR_NUMBER_SECONDS + samples),
    };
    step + asked
}
