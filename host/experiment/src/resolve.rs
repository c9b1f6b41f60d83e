//! From one cell's settings to everything that its runs do: defaults filled in, nothing left open.

use slhf_plan::{
    CheckpointKeep, ComputePath, Curve, DevicePlan, GamePlan, Kappa, Method, Realisation, Schedule, Temperatures,
};

use crate::config::{DeviceConfig, ExperimentConfig, GameConfig, PathConfig, ScheduleConfig};

/// One cell with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) game: GamePlan,
    /// `game.file` as it was named, with its SHA-256.
    pub(crate) data: Option<(String, String)>,
    /// The groups whose matrices were mixed, with their weights.
    pub(crate) group_weights: Vec<(String, f64)>,
    /// Whether the judge is the shipped `table` that the lab chose because the matrix was given.
    pub(crate) judge_is_implied: bool,
    pub(crate) temperatures: Temperatures,
    pub(crate) method: Method,
    pub(crate) schedule: Schedule,
    pub(crate) device: DevicePlan,
    pub(crate) evaluation_every: u64,
    pub(crate) target_distance: Option<f64>,
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_keep: CheckpointKeep,
}

/// Every temperature where a file does not say.
const TAU: f64 = 0.1;

pub(crate) fn temperatures(game: &GameConfig) -> Temperatures {
    Temperatures {
        tau_leader: game.tau_leader.unwrap_or(TAU),
        tau_follower: game.tau_follower.unwrap_or(TAU),
        tau_nash: game.tau_nash.unwrap_or(TAU),
        tau_rlhf: game.tau_rlhf.unwrap_or(TAU),
    }
}

/// The schedule. What a method with one policy has no use for is set to one value, so that it parts no groups.
pub(crate) fn schedule(config: &ScheduleConfig, method: &Method, temperatures: Temperatures) -> Schedule {
    let usual = || Curve::Constant { value: method.usual_learning_rate(temperatures) };
    let is_trained = method.is_trained();
    let learning_rate = config.learning_rate.filter(|_| is_trained).unwrap_or_else(usual);
    let warmup_steps = config.warmup_steps.filter(|_| is_trained).unwrap_or(0);
    if !method.has_follower() {
        let kappa = Kappa::Constant { value: 1.0 };
        let realisation = Realisation::LearningRateRatio;
        return Schedule { realisation, kappa, learning_rate, follower_learning_rate: None, warmup_steps };
    }
    Schedule {
        realisation: config.realisation.unwrap_or(Realisation::LearningRateRatio),
        kappa: config.kappa.unwrap_or(Kappa::Constant { value: 5.0 }),
        learning_rate,
        follower_learning_rate: config.follower_learning_rate,
        warmup_steps,
    }
}

/// The device, with `auto` resolved to `auto_device`.
pub(crate) fn device(
    config: &DeviceConfig,
    auto_device: impl FnOnce(u32) -> Result<String, String>,
) -> Result<DevicePlan, String> {
    let threads = config.threads.unwrap_or(1);
    let name = match config.name.as_deref().unwrap_or("auto") {
        "auto" => auto_device(threads)?,
        "cuda" => "cuda:0".to_owned(),
        name => name.to_owned(),
    };
    let precision = config.precision.unwrap_or_default();
    let path = match config.path.unwrap_or_default() {
        PathConfig::Tensor => ComputePath::Tensor,
        PathConfig::Scalar => ComputePath::Scalar,
        PathConfig::Auto => ComputePath::choose(&name, precision),
    };
    Ok(DevicePlan { name, threads, path, precision })
}

/// (evaluation, checkpoint), in steps: by default about a hundred evaluations and ten checkpoints a run.
pub(crate) fn cadences(config: &ExperimentConfig, steps: u64) -> (u64, u64) {
    let share = |parts: u64| (steps / parts).max(1);
    (config.evaluation.every.unwrap_or_else(|| share(100)), config.checkpoint.every.unwrap_or_else(|| share(10)))
}
