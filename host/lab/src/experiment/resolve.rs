//! From one cell's settings to everything that its runs do: defaults filled in, nothing left open.

use slhf_plan::{
    ComputePath, ControlVariate, Curve, DevicePlan, GamePlan, GameTraining, Gradient, InitialPolicy, Kappa, Method,
    NashMd, Optimizer, PairDistribution, Preconditioner, Realisation, Rlhf, Schedule, StackelbergGda, Temperatures,
};

use super::config::{
    BaselineConfig, DeviceConfig, ExperimentConfig, GameConfig, MethodConfig, MethodKind, PathConfig, ScheduleConfig,
};

/// One cell with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) game: GamePlan,
    /// `game.file` as it was named, with its SHA-256.
    pub(crate) data: Option<(String, String)>,
    /// Whether the judge is the shipped `table` that the lab chose because the matrix was given.
    pub(crate) judge_is_implied: bool,
    pub(crate) temperatures: Temperatures,
    pub(crate) method: Method,
    pub(crate) schedule: Schedule,
    pub(crate) device: DevicePlan,
    pub(crate) evaluation_every: u64,
    pub(crate) checkpoint_every: u64,
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

/// The method. `plugin` is the control variate where it is a plugin.
pub(crate) fn method(config: &MethodConfig, plugin: Option<ControlVariate>) -> Method {
    let gradient = config.gradient.unwrap_or(Gradient::Exact);
    let optimizer = config.optimizer.unwrap_or(Optimizer::Sgd);
    let preconditioner = config.preconditioner.unwrap_or_else(|| preconditioner(config.name, gradient, optimizer));
    let given = config.score_baseline.as_ref().and_then(BaselineConfig::without_plugin);
    let training = GameTraining {
        steps: config.steps.unwrap_or(if preconditioner == Preconditioner::Natural { 2_000 } else { 20_000 }),
        gradient,
        preconditioner,
        optimizer,
        // One number for all exact runs, so that it never parts them into groups.
        num_generations: if gradient == Gradient::Sampled { config.num_generations.unwrap_or(16) } else { 1 },
        score_baseline: match gradient {
            Gradient::Sampled => plugin.or(given).unwrap_or(ControlVariate::Constant { value: 0.5 }),
            Gradient::Exact => ControlVariate::Constant { value: 0.5 },
        },
        initial: config.initial.unwrap_or(InitialPolicy { logit_scale: 1.0 }),
    };
    match config.name {
        MethodKind::StackelbergGda => Method::StackelbergGda(StackelbergGda { training }),
        MethodKind::NashMd => Method::NashMd(NashMd {
            mixture_coef: config.mixture_coef.unwrap_or(Curve::Constant { value: 0.0 }),
            training,
        }),
        MethodKind::Rlhf => {
            Method::Rlhf(Rlhf { pairs: config.pairs.clone().unwrap_or(PairDistribution::Uniform), training })
        }
    }
}

/// Plain for StackelbergGDA, as its paper has it; mirror descent for the others where it is defined: the plain softmax
/// gradient of an action shrinks with its probability, so that a policy which once left an action hardly returns.
fn preconditioner(method: MethodKind, gradient: Gradient, optimizer: Optimizer) -> Preconditioner {
    match (method, gradient, optimizer) {
        (MethodKind::NashMd | MethodKind::Rlhf, Gradient::Exact, Optimizer::Sgd) => Preconditioner::Natural,
        _ => Preconditioner::None,
    }
}

/// The schedule. What a method with one policy has no use for is set to one value, so that it parts no groups.
pub(crate) fn schedule(config: &ScheduleConfig, method: &Method) -> Schedule {
    let learning_rate =
        config.learning_rate.unwrap_or_else(|| Curve::Constant { value: learning_rate(method.training()) });
    let warmup_steps = config.warmup_steps.unwrap_or(0);
    if !matches!(method, Method::StackelbergGda(_)) {
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

/// A natural step is the advantage itself; a plain one is that times two probabilities, hence the larger rate; Adam's
/// step is about the rate, whatever the gradient.
fn learning_rate(training: &GameTraining) -> f64 {
    match (training.optimizer, training.preconditioner) {
        (Optimizer::Adam, _) => 0.01,
        (Optimizer::Sgd, Preconditioner::Natural) => 0.5,
        (Optimizer::Sgd, Preconditioner::None) => 2.0,
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
