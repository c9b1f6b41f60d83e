//! From one cell's settings to everything that its runs do: defaults filled in, nothing left open.

use slhf_plan::{
    BestOfN, CheckpointKeep, ComputePath, ControlVariate, Curve, DevicePlan, GamePlan, GameReward, GameTraining,
    Gradient, Grpo, GrpoKl, InitialPolicy, Inpo, Kappa, Method, NashMd, OnlineDpo, OnlineIpo, Optimizer,
    PairDistribution, Preconditioner, Realisation, Rlhf, Rloo, Schedule, SelfRefinement, Sft, Sppo, StackelbergGda,
    Temperatures,
};

use super::config::{
    BaselineConfig, DeviceConfig, ExperimentConfig, GameConfig, MethodConfig, MethodKind, PathConfig, RewardConfig,
    ScheduleConfig,
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

/// The method. `plugin` is the control variate where it is a plugin.
pub(crate) fn method(config: &MethodConfig, plugin: Option<ControlVariate>) -> Method {
    let gradient = config.gradient.unwrap_or(Gradient::Exact);
    let optimizer = config.optimizer.unwrap_or(Optimizer::Sgd);
    let preconditioner = config.preconditioner.unwrap_or_else(|| preconditioner(config.name, gradient, optimizer));
    let training = training(config, (gradient, optimizer, preconditioner), plugin);
    let labels = config.labels.unwrap_or_default();
    let num_iterations = config.num_iterations.unwrap_or(1);
    let pairs = || config.pairs.clone().unwrap_or(PairDistribution::Uniform);
    let reward = || match &config.reward {
        None | Some(RewardConfig::BradleyTerry {}) => GameReward::BradleyTerry { pairs: pairs() },
        Some(RewardConfig::Scores { scores }) => GameReward::Scores { scores: scores.clone() },
        Some(RewardConfig::Verdicts {}) => GameReward::Verdicts,
    };
    match config.name {
        MethodKind::StackelbergGda => Method::StackelbergGda(StackelbergGda { training }),
        MethodKind::NashMd => Method::NashMd(NashMd {
            mixture_coef: config.mixture_coef.unwrap_or(Curve::Constant { value: 0.0 }),
            training,
        }),
        MethodKind::Rlhf => Method::Rlhf(Rlhf { pairs: pairs(), training }),
        MethodKind::Rloo => Method::Rloo(Rloo { reward: reward(), training }),
        MethodKind::Grpo => Method::Grpo(Grpo {
            reward: reward(),
            scale_rewards: config.scale_rewards.unwrap_or_default(),
            kl_gradient: config.kl_gradient.unwrap_or(GrpoKl::DifferentiatedK3),
            epsilon: config.epsilon.unwrap_or(0.2),
            num_iterations,
            training,
        }),
        MethodKind::OnlineDpo => Method::OnlineDpo(OnlineDpo { labels, training }),
        MethodKind::OnlineIpo => Method::OnlineIpo(OnlineIpo { labels, training }),
        MethodKind::Sppo => Method::Sppo(Sppo { eta: config.eta.unwrap_or(SPPO_ETA), num_iterations, training }),
        MethodKind::Inpo => {
            Method::Inpo(Inpo { eta: config.eta.unwrap_or(INPO_ETA), num_iterations, labels, training })
        }
        MethodKind::Sft => Method::Sft(Sft { labels, training }),
        MethodKind::BestOfN => Method::BestOfN(BestOfN { reward: reward(), training }),
        MethodKind::SelfRefinement => {
            Method::SelfRefinement(SelfRefinement { rounds: config.rounds.unwrap_or(1), training })
        }
    }
}

/// What the methods have in common. What one has no use for is set to one value, so that it parts no groups.
fn training(
    config: &MethodConfig,
    (gradient, optimizer, preconditioner): (Gradient, Optimizer, Preconditioner),
    plugin: Option<ControlVariate>,
) -> GameTraining {
    let given = config.score_baseline.as_ref().and_then(BaselineConfig::without_plugin);
    let initial = config.initial.unwrap_or(InitialPolicy { logit_scale: 1.0 });
    if matches!(config.name, MethodKind::BestOfN | MethodKind::SelfRefinement) {
        return GameTraining {
            steps: 0,
            gradient: Gradient::Exact,
            preconditioner: Preconditioner::None,
            optimizer: Optimizer::Sgd,
            num_generations: if config.name == MethodKind::BestOfN { config.num_generations.unwrap_or(4) } else { 1 },
            score_baseline: ControlVariate::Constant { value: 0.5 },
            initial: InitialPolicy { logit_scale: 0.0 },
        };
    }
    let few = preconditioner == Preconditioner::Natural && config.name != MethodKind::Sppo;
    GameTraining {
        steps: config.steps.unwrap_or(if few { 2_000 } else { 20_000 }),
        gradient,
        preconditioner,
        optimizer,
        num_generations: if gradient == Gradient::Sampled { config.num_generations.unwrap_or(16) } else { 1 },
        score_baseline: match (gradient, config.name) {
            (Gradient::Sampled, MethodKind::Rloo) => plugin.or(given).unwrap_or(ControlVariate::LeaveOneOut),
            (Gradient::Sampled, _) => plugin.or(given).unwrap_or(ControlVariate::Constant { value: 0.5 }),
            (Gradient::Exact, _) => ControlVariate::Constant { value: 0.5 },
        },
        initial,
    }
}

/// Plain for StackelbergGDA, as its paper has it; mirror descent for the others where it is defined: the plain softmax
/// gradient of an action shrinks with its probability, so that a policy which once left an action hardly returns. SFT's is
/// of the reference's samples, and does not.
fn preconditioner(method: MethodKind, gradient: Gradient, optimizer: Optimizer) -> Preconditioner {
    match (method, gradient, optimizer) {
        (MethodKind::StackelbergGda | MethodKind::Sft, ..) => Preconditioner::None,
        (_, Gradient::Exact, Optimizer::Sgd) => Preconditioner::Natural,
        _ => Preconditioner::None,
    }
}

/// η of SPPO: 20000 steps of it bring the average within a hundredth of Nash (its authors' 1000 is for language models,
/// where a step is a few updates towards an iterate that is never reached).
const SPPO_ETA: f64 = 0.02;
/// η of INPO: stable on every cyclic game at τ = 0.1.
const INPO_ETA: f64 = 2.0;

/// The schedule. What a method with one policy has no use for is set to one value, so that it parts no groups.
pub(crate) fn schedule(config: &ScheduleConfig, method: &Method, temperatures: Temperatures) -> Schedule {
    let usual = || Curve::Constant { value: usual_learning_rate(method, temperatures) };
    let is_trained = method.name().is_trained();
    let learning_rate = config.learning_rate.filter(|_| is_trained).unwrap_or_else(usual);
    let warmup_steps = config.warmup_steps.filter(|_| is_trained).unwrap_or(0);
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
/// step is about the rate, whatever the gradient. A natural step at SPPO's η, or at one over INPO's, is their update itself.
fn usual_learning_rate(method: &Method, temperatures: Temperatures) -> f64 {
    let training = method.training();
    match (method, training.optimizer, training.preconditioner) {
        (Method::Sppo(sppo), Optimizer::Sgd, Preconditioner::Natural) => sppo.eta,
        (Method::Inpo(inpo), Optimizer::Sgd, Preconditioner::Natural) => 1.0 / inpo.eta,
        (Method::OnlineDpo(_), Optimizer::Sgd, Preconditioner::Natural) => 0.2 / temperatures.tau_rlhf,
        (Method::OnlineDpo(_), Optimizer::Sgd, Preconditioner::None) => 2.0 / temperatures.tau_rlhf,
        _ => learning_rate(training),
    }
}

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
