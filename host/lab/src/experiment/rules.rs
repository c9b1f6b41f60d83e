//! What fits together and what does not, each refusal with its reason.

use slhf_game::{GameError, TemperatureValues};
use slhf_plan::{
    AdaptiveRule, ComputePath, ControlVariate, Curve, Gradient, Kappa, Method, Optimizer, Precision, Preconditioner,
    Realisation, Schedule,
};

use super::config::{ExperimentConfig, MethodKind, ParametersConfig};
use super::method_rules;
use super::resolve::Resolved;

/// Steps beyond which a run is refused.
const STEPS_MAX: u64 = 1_000_000_000;
/// Threads beyond which libtorch is not asked.
const THREADS_MAX: u32 = 1024;

/// A refusal: the dotted key, and what is wrong with it and why.
pub(crate) type Refusal = (&'static str, String);

pub(super) fn refuse<T>(key: &'static str, problem: impl Into<String>) -> Result<T, Refusal> {
    Err((key, problem.into()))
}

/// What can be said before a plugin is asked or a default filled in.
pub(crate) fn check_settings(config: &ExperimentConfig) -> Result<(), Refusal> {
    let (method, schedule) = (&config.method, &config.schedule);
    if method.parameters == Some(ParametersConfig::Shared) {
        return refuse(
            "method.parameters",
            "\"shared\" does not exist on a game: Leader and Follower are tables of their own; remove it",
        );
    }
    method_rules::check_settings(method)?;
    if method.name == MethodKind::StackelbergGda && schedule.follower_learning_rate.is_some() {
        if schedule.kappa.is_some() {
            return refuse(
                "schedule.follower_learning_rate",
                "given beside kappa, but kappa is the ratio of the two rates: give one of them",
            );
        }
        if schedule.realisation.is_some_and(|realisation| realisation != Realisation::LearningRateRatio) {
            return refuse(
                "schedule.follower_learning_rate",
                "a rate of its own is a ratio of learning rates: it needs realisation = \"learning_rate_ratio\"",
            );
        }
    }
    check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(1))
}

/// A device that may exist, and a number of threads that a machine may have.
pub(super) fn check_device_name(name: Option<&str>, threads: u32) -> Result<(), Refusal> {
    let name = name.unwrap_or("auto");
    let number = name.strip_prefix("cuda:").map(str::parse::<u32>);
    if !(["auto", "cpu", "cuda"].contains(&name) || matches!(number, Some(Ok(_)))) {
        return refuse("device.name", format!("\"{name}\" is no device; expected auto, cpu, cuda or cuda:N"));
    }
    if !(1..=THREADS_MAX).contains(&threads) {
        return refuse("device.threads", format!("{threads}; expected 1 to {THREADS_MAX}"));
    }
    Ok(())
}

/// What a resolved cell must satisfy.
pub(crate) fn check(cell: &Resolved) -> Result<(), Refusal> {
    check_temperatures(cell)?;
    check_training(cell)?;
    method_rules::check_method(cell)?;
    check_schedule(cell)?;
    check_device(cell)?;
    for (key, every) in [("evaluation.every", cell.evaluation_every), ("checkpoint.every", cell.checkpoint_every)] {
        if every == 0 {
            return refuse(key, "0; expected a number of steps, at least 1");
        }
    }
    Ok(())
}

fn check_temperatures(cell: &Resolved) -> Result<(), Refusal> {
    let t = cell.temperatures;
    let values =
        TemperatureValues { leader: t.tau_leader, follower: t.tau_follower, nash: t.tau_nash, rlhf: t.tau_rlhf };
    if let Err(error) = slhf_game::Temperatures::new(values) {
        let key = match error {
            GameError::Temperature { name: "tau_leader", .. } => "game.tau_leader",
            GameError::Temperature { name: "tau_follower", .. } => "game.tau_follower",
            GameError::Temperature { name: "tau_nash", .. } => "game.tau_nash",
            _ => "game.tau_rlhf",
        };
        return refuse(key, error.to_string());
    }
    method_rules::check_temperature(&cell.method, t)
}

fn check_training(cell: &Resolved) -> Result<(), Refusal> {
    let training = cell.method.training();
    if !cell.method.name().is_trained() {
        return Ok(());
    }
    if !(1..=STEPS_MAX).contains(&training.steps) {
        return refuse("method.steps", format!("{}; expected 1 to {STEPS_MAX}", training.steps));
    }
    let scale = training.initial.logit_scale;
    if !(scale.is_finite() && scale >= 0.0) {
        return refuse("method.initial.logit_scale", format!("{scale}; expected a finite number, not negative"));
    }
    let natural = training.preconditioner == Preconditioner::Natural;
    if natural && training.optimizer == Optimizer::Adam {
        return refuse(
            "method.preconditioner",
            "\"natural\" under optimizer = \"adam\": Adam rescales every coordinate by itself, so nothing of the natural \
             gradient's geometry is left; use optimizer = \"sgd\" or preconditioner = \"none\"",
        );
    }
    if training.gradient == Gradient::Exact {
        return Ok(());
    }
    if natural {
        return refuse(
            "method.preconditioner",
            "\"natural\" with gradient = \"sampled\": the inverse Fisher matrix multiplies the noise of rare actions \
             without bound; use preconditioner = \"none\"",
        );
    }
    if training.num_generations == 0 {
        return refuse("method.num_generations", "0; expected at least 1 sampled pair a step");
    }
    check_baseline(&training.score_baseline, training.num_generations)
}

/// A control variate that is defined for so many samples.
pub(super) fn check_baseline(baseline: &ControlVariate, num_generations: u32) -> Result<(), Refusal> {
    match *baseline {
        ControlVariate::LeaveOneOut if num_generations < 2 => refuse(
            "method.score_baseline",
            "leave_one_out with num_generations = 1: there is no other sample to take a mean over; use at least 2",
        ),
        ControlVariate::MovingAverage { decay } if !(0.0..1.0).contains(&decay) => {
            refuse("method.score_baseline.decay", format!("{decay}; expected a number in [0, 1)"))
        }
        ControlVariate::Constant { value } if !value.is_finite() => {
            refuse("method.score_baseline.value", format!("{value}; expected a finite number"))
        }
        _ => Ok(()),
    }
}

/// Every curve is monotone: its ends bound it.
fn ends(curve: &Curve, steps: u64) -> [f64; 2] {
    [curve.at(1, steps), curve.at(steps, steps)]
}

pub(super) fn check_rate(key: &'static str, curve: &Curve, steps: u64) -> Result<(), Refusal> {
    let [start, end] = ends(curve, steps);
    if !(start.is_finite() && start > 0.0) {
        return refuse(key, format!("starts at {start}; expected a finite number above 0"));
    }
    if !(end.is_finite() && end >= 0.0) {
        return refuse(key, format!("ends at {end}; expected a finite number, not negative"));
    }
    match curve {
        Curve::Power { offset, .. } if !(offset.is_finite() && *offset >= 0.0) => {
            refuse(key, format!("has an offset of {offset}; expected a finite number of steps, not negative"))
        }
        _ => Ok(()),
    }
}

/// A weight over a run.
pub(super) fn check_weight_curve(key: &'static str, curve: &Curve, steps: u64) -> Result<(), Refusal> {
    match ends(curve, steps).iter().find(|weight| !(0.0..=1.0).contains(*weight)) {
        Some(weight) => refuse(key, format!("becomes {weight}; expected a weight in [0, 1] at every step")),
        None => Ok(()),
    }
}

/// What holds of every schedule, whatever is trained with it.
pub(super) fn check_rate_and_warmup(schedule: &Schedule, steps: u64) -> Result<(), Refusal> {
    check_rate("schedule.learning_rate", &schedule.learning_rate, steps)?;
    if schedule.warmup_steps > steps {
        return refuse(
            "schedule.warmup_steps",
            format!("{} of {steps} steps; expected no more than the run has", schedule.warmup_steps),
        );
    }
    Ok(())
}

fn check_schedule(cell: &Resolved) -> Result<(), Refusal> {
    let (schedule, training) = (&cell.schedule, cell.method.training());
    check_rate_and_warmup(schedule, training.steps)?;
    if !matches!(cell.method, Method::StackelbergGda(_)) {
        return Ok(());
    }
    if schedule.realisation == Realisation::LossWeight && training.optimizer == Optimizer::Adam {
        return refuse(
            "schedule.realisation",
            "\"loss_weight\" under optimizer = \"adam\" with separate parameters does nothing: Adam divides every \
             gradient by its own size, so a weight on the Follower's loss cancels; use \"learning_rate_ratio\" or \
             \"updates_per_leader_update\", or optimizer = \"sgd\"",
        );
    }
    match &schedule.follower_learning_rate {
        Some(follower) => {
            check_rate("schedule.follower_learning_rate", follower, training.steps)?;
            check_power_pair(&schedule.learning_rate, follower)
        }
        None => check_kappa(&schedule.kappa, schedule.realisation, training.steps),
    }
}

/// t^−a for the Leader, t^−b for the Follower: two timescales only if the Follower's falls more slowly.
pub(super) fn check_power_pair(leader: &Curve, follower: &Curve) -> Result<(), Refusal> {
    match (leader, follower) {
        (Curve::Power { exponent: a, .. }, Curve::Power { exponent: b, .. }) if b >= a => refuse(
            "schedule.follower_learning_rate.exponent",
            format!(
                "{b}, but the Leader's is {a}: the Follower's rate must fall more slowly than the Leader's (b < a), or it \
                 does not stay on the faster timescale"
            ),
        ),
        _ => Ok(()),
    }
}

pub(super) fn check_kappa(kappa: &Kappa, realisation: Realisation, steps: u64) -> Result<(), Refusal> {
    if let (Kappa::Constant { value }, Realisation::UpdatesPerLeaderUpdate) = (kappa, realisation)
        && !(value.fract() == 0.0 && (1.0..=65_535.0).contains(value))
    {
        return refuse(
            "schedule.kappa",
            format!(
                "{value} with updates_per_leader_update: the Follower takes κ updates for each of the Leader's, so it \
                     must be a whole number from 1 to 65535"
            ),
        );
    }
    match (kappa, kappa.curve()) {
        (_, Some(curve)) => {
            let bad = ends(&curve, steps).into_iter().find(|value| !(value.is_finite() && *value > 0.0));
            match bad {
                Some(value) => {
                    refuse("schedule.kappa", format!("becomes {value}; expected a finite number above 0 at every step"))
                }
                None => Ok(()),
            }
        }
        (Kappa::Adaptive(rule), None) => check_adaptive(rule),
        _ => Ok(()),
    }
}

fn check_adaptive(rule: &AdaptiveRule) -> Result<(), Refusal> {
    let above_zero = [
        ("schedule.kappa.target", rule.target),
        ("schedule.kappa.minimum", rule.minimum),
        ("schedule.kappa.maximum", rule.maximum),
        ("schedule.kappa.gain", rule.gain),
    ];
    for (key, value) in above_zero {
        if !(value.is_finite() && value > 0.0) {
            return refuse(key, format!("{value}; expected a finite number above 0"));
        }
    }
    if !(rule.minimum..=rule.maximum).contains(&rule.start) {
        let AdaptiveRule { start, minimum, maximum, .. } = rule;
        return refuse(
            "schedule.kappa.start",
            format!("{start}; expected a number between minimum ({minimum}) and maximum ({maximum})"),
        );
    }
    if !(0.0..1.0).contains(&rule.smoothing) {
        return refuse("schedule.kappa.smoothing", format!("{}; expected a number in [0, 1)", rule.smoothing));
    }
    if rule.interval == 0 {
        return refuse("schedule.kappa.interval", "0; expected a number of steps, at least 1");
    }
    Ok(())
}

fn check_device(cell: &Resolved) -> Result<(), Refusal> {
    let device = &cell.device;
    if device.path == ComputePath::Scalar && device.precision == Precision::F32 {
        return refuse(
            "device.precision",
            "\"f32\" with path = \"scalar\": the scalar loop computes in f64; use \"tensor\"",
        );
    }
    if device.path == ComputePath::Scalar && device.name != "cpu" {
        return refuse(
            "device.path",
            format!("\"scalar\" on {}: the scalar loop runs on the cpu; use \"tensor\"", device.name),
        );
    }
    Ok(())
}
