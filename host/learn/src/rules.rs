//! What the runs of a group have in common, and what each has of its own: lowered from the plan, and checked.

use std::sync::Arc;

use slhf_plan::{
    ComputePath, ControlVariate, Curve, GameRunPlan, Gradient, GroupPlan, Kappa, LanguagePlan, Method, MethodName,
    Optimizer, Precision, Preconditioner, Realisation, Schedule,
};

use crate::LearnError;
use crate::finite::{self, FiniteMethod};

/// What all runs of a group agree in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) method: MethodName,
    pub(crate) gradient: Gradient,
    pub(crate) preconditioner: Preconditioner,
    pub(crate) optimizer: Optimizer,
    pub(crate) realisation: Realisation,
    pub(crate) steps: u64,
    pub(crate) generations: usize,
    pub(crate) actions: usize,
}

impl Rules {
    /// The rules of the first run; an error names the first run that differs or that is not valid.
    pub(crate) fn of(group: &GroupPlan) -> Result<Option<Self>, LearnError> {
        let mut rules = None;
        for run in &group.runs {
            let game = group.games.get(run.game).ok_or(LearnError::NoSuchGame {
                run: run.run,
                game: run.game,
                games: group.games.len(),
            })?;
            let found = Self::of_run(run, game.actions.len());
            found.agrees(rules.get_or_insert(found), run.run)?;
            check(group, run)?;
        }
        Ok(rules)
    }

    fn of_run(run: &GameRunPlan, actions: usize) -> Self {
        let training = run.method.training();
        Self {
            method: run.method.name(),
            gradient: training.gradient,
            preconditioner: training.preconditioner,
            optimizer: training.optimizer,
            realisation: run.schedule.realisation,
            steps: training.steps,
            generations: training.num_generations as usize,
            actions,
        }
    }

    fn agrees(&self, first: &Self, run: i64) -> Result<(), LearnError> {
        let differences = [
            ("method.name", self.method == first.method),
            ("method.gradient", self.gradient == first.gradient),
            ("method.preconditioner", self.preconditioner == first.preconditioner),
            ("method.optimizer", self.optimizer == first.optimizer),
            ("schedule.realisation", self.realisation == first.realisation),
            ("method.steps", self.steps == first.steps),
            ("method.num_generations", self.generations == first.generations),
            ("the number of actions", self.actions == first.actions),
        ];
        match differences.into_iter().find(|(_, agree)| !agree) {
            Some((key, _)) => Err(LearnError::Disagreement { run, key }),
            None => Ok(()),
        }
    }

    /// Whether there is a Follower to be trained.
    pub(crate) fn has_follower(&self) -> bool {
        self.method == MethodName::StackelbergGda
    }

    pub(crate) fn is_natural(&self) -> bool {
        self.preconditioner == Preconditioner::Natural
    }

    pub(crate) fn is_sampled(&self) -> bool {
        self.gradient == Gradient::Sampled
    }

    pub(crate) fn uses_adam(&self) -> bool {
        self.optimizer == Optimizer::Adam
    }
}

/// What one run has of its own, besides its game.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) logit_scale: f64,
    pub(crate) schedule: Schedule,
    /// Nash-MD's m over the run; 0 for the other methods.
    pub(crate) mixture: Curve,
    /// The method, where it is one of [`crate::finite`] and trains something.
    pub(crate) finite: Option<Arc<dyn FiniteMethod>>,
}

impl Course {
    /// Whether the mean of the iterates is kept.
    pub(crate) fn keeps_mean(&self) -> bool {
        self.finite.as_ref().is_some_and(|method| method.keeps_mean())
    }

    /// Of a language model, which has neither start logits nor a mixture here.
    pub(crate) fn of_language(plan: &LanguagePlan) -> Self {
        Self {
            run: plan.run,
            seed: plan.seed,
            steps: plan.method.training().steps,
            logit_scale: 0.0,
            schedule: plan.schedule,
            mixture: Curve::Constant { value: 0.0 },
            finite: None,
        }
    }

    pub(crate) fn of(run: &GameRunPlan) -> Self {
        let training = run.method.training();
        let mixture = match &run.method {
            Method::NashMd(method) => method.mixture_coef,
            _ => Curve::Constant { value: 0.0 },
        };
        Self {
            run: run.run,
            seed: run.seed,
            steps: training.steps,
            logit_scale: training.initial.logit_scale,
            schedule: run.schedule,
            mixture,
            finite: finite::of(&run.method),
        }
    }
}

/// The combinations that have no meaning. The lab refuses them when it plans, in words of its own; here they are
/// refused again, because a worker must not trust what it is sent.
fn check(group: &GroupPlan, run: &GameRunPlan) -> Result<(), LearnError> {
    let training = run.method.training();
    let schedule = &run.schedule;
    let sampled = training.gradient == Gradient::Sampled;
    let stackelberg = matches!(run.method, Method::StackelbergGda(_));
    let refuse = |key, problem: &str| Err(LearnError::Setting { run: run.run, key, problem: problem.to_owned() });

    if group.device.path == ComputePath::Scalar && group.device.precision == Precision::F32 {
        return refuse("device.precision", "f32 needs the tensor path; the scalar path computes in f64");
    }
    if sampled && training.preconditioner == Preconditioner::Natural {
        return refuse("method.preconditioner", "natural needs exact gradients; use \"none\" with sampled ones");
    }
    if sampled && training.num_generations == 0 {
        return refuse("method.num_generations", "is 0; a sampled gradient needs at least 1");
    }
    if sampled && training.score_baseline == ControlVariate::LeaveOneOut && training.num_generations < 2 {
        return refuse("method.score_baseline", "leave_one_out needs num_generations of at least 2");
    }
    if let ControlVariate::MovingAverage { decay } = training.score_baseline
        && !(0.0..1.0).contains(&decay)
    {
        return refuse("method.score_baseline.decay", "must be in [0, 1)");
    }
    if stackelberg && schedule.realisation == Realisation::LossWeight && training.optimizer == Optimizer::Adam {
        return refuse(
            "schedule.realisation",
            "loss_weight does nothing under Adam, which rescales it away; use learning_rate_ratio",
        );
    }
    if !(training.initial.logit_scale.is_finite() && training.initial.logit_scale >= 0.0) {
        return refuse("method.initial.logit_scale", "must be finite and not negative");
    }
    if let Method::NashMd(method) = &run.method
        && ![1, training.steps].iter().all(|&step| (0.0..=1.0).contains(&method.mixture_coef.at(step, training.steps)))
    {
        return refuse("method.mixture_coef", "must be in [0, 1] at every step");
    }
    let actions = group.games.get(run.game).map_or(0, |game| game.actions.len());
    finite::check(run, actions)?;
    check_schedule(run.run, training.steps, schedule, stackelberg)
}

/// What every schedule must be, on games and on language models.
pub(crate) fn check_schedule(run: i64, steps: u64, schedule: &Schedule, has_follower: bool) -> Result<(), LearnError> {
    let refuse = |key, problem: &str| Err(LearnError::Setting { run, key, problem: problem.to_owned() });
    // Every curve is monotone: its ends bound it.
    let ends = |curve: &Curve| [curve.at(1, steps), curve.at(steps, steps)];
    let rate = |value: &f64| value.is_finite() && *value >= 0.0;
    if schedule.follower_learning_rate.is_some() && schedule.realisation != Realisation::LearningRateRatio {
        return refuse("schedule.follower_learning_rate", "needs realisation = \"learning_rate_ratio\"");
    }
    if !ends(&schedule.learning_rate).iter().all(rate) {
        return refuse("schedule.learning_rate", "must be finite and not negative at every step");
    }
    if let Some(curve) = &schedule.follower_learning_rate
        && !ends(curve).iter().all(rate)
    {
        return refuse("schedule.follower_learning_rate", "must be finite and not negative at every step");
    }
    if !has_follower {
        return Ok(());
    }
    match (&schedule.kappa, schedule.kappa.curve()) {
        (_, Some(curve)) if !ends(&curve).iter().all(rate) => {
            refuse("schedule.kappa", "must be finite and not negative at every step")
        }
        (Kappa::Constant { value }, _)
            if schedule.realisation == Realisation::UpdatesPerLeaderUpdate
                && !(value.fract() == 0.0 && (1.0..=65_535.0).contains(value)) =>
        {
            refuse("schedule.kappa", "must be a whole number from 1 to 65535 with updates_per_leader_update")
        }
        (Kappa::Adaptive(rule), _)
            if !(rule.target > 0.0
                && rule.minimum > 0.0
                && rule.minimum <= rule.start
                && rule.start <= rule.maximum
                && rule.maximum.is_finite()
                && (0.0..1.0).contains(&rule.smoothing)
                && rule.gain.is_finite()
                && rule.interval > 0) =>
        {
            refuse(
                "schedule.kappa",
                "(adaptive) needs target > 0, 0 < minimum ≤ start ≤ maximum, smoothing in [0, 1), interval ≥ 1",
            )
        }
        _ => Ok(()),
    }
}
