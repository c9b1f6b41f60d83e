//! What the runs of a group have in common, and what each has of its own: lowered from the plan, and checked.

use std::sync::Arc;

use slhf_plan::{
    Curve, GameCell, GamePlan, GameRunPlan, Gradient, GroupPlan, LanguagePlan, Method, MethodName, Optimizer,
    Preconditioner, Realisation, Schedule, check_game,
};

use crate::LearnError;
use crate::error::refuse_problems;
use crate::finite::{self, FiniteMethod, Scheme};

/// What all runs of a group agree in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) method: MethodName,
    /// Whether something is learned.
    pub(crate) is_trained: bool,
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
            check(group, run, game)?;
        }
        Ok(rules)
    }

    fn of_run(run: &GameRunPlan, actions: usize) -> Self {
        let training = run.method.training();
        Self {
            method: run.method.name(),
            is_trained: run.method.is_trained(),
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
    /// Steps after which the policy takes the reference's place; `None`: never.
    pub(crate) renew_every: Option<u64>,
}

impl Course {
    /// Whether the mean of the iterates is kept.
    pub(crate) fn keeps_mean(&self) -> bool {
        self.finite.as_ref().is_some_and(|method| method.keeps_mean())
    }

    /// Whether the policy takes the reference's place at the end of `step`.
    pub(crate) fn renews_after(&self, step: u64) -> bool {
        self.renew_every.is_some_and(|every| every > 0 && step.is_multiple_of(every))
    }

    /// Of how many steps before something is remembered after `step`.
    pub(crate) fn remembered(&self, step: u64) -> usize {
        let most = self.finite.as_ref().map_or(0, |method| match method.scheme() {
            Scheme::Optimistic => 1,
            Scheme::Population => method.remembered(),
            Scheme::OneGradient | Scheme::Extragradient => 0,
        });
        usize::try_from(step).map_or(most, |step| step.min(most))
    }

    /// Gradients of a step.
    pub(crate) fn gradients(&self) -> u64 {
        self.finite.as_ref().map_or(1, |method| method.gradients())
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
            renew_every: None,
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
            renew_every: training.reference.map(|renewed| renewed.renew_every),
        }
    }
}

/// What cannot be computed. The lab asks the same when it plans; a worker must not trust what it is sent.
fn check(group: &GroupPlan, run: &GameRunPlan, game: &GamePlan) -> Result<(), LearnError> {
    let cell = GameCell {
        actions: &game.actions,
        is_counted: game.comparison_counts.is_some(),
        temperatures: run.temperatures,
        method: &run.method,
        schedule: &run.schedule,
        device: &group.device,
    };
    refuse_problems(run.run, check_game(&cell))
}
