//! The methods with one policy on finite games beside Nash-MD and RLHF, one file each.
//!
//! A method says what an answer is *worth* to it: minus the slope of its loss in log π(y), the samples not differentiated.
//! [`Engine`] turns worths into a direction of the logits, exactly (the expectation over y ~ μ, who samples) or from a
//! group of drawn answers, for both paths alike.

mod best_of_n;
mod engine;
mod grpo;
mod inpo;
mod online_dpo;
mod online_ipo;
mod problem;
mod rloo;
mod self_refinement;
mod sft;
mod sppo;

use std::sync::Arc;

use slhf_game::Game;
use slhf_plan::{GamePlan, Method};

pub(crate) use engine::{Draws, Engine};
pub(crate) use problem::Seen;
pub(crate) use sppo::MeanPolicy;

use crate::LearnError;
use crate::problem::{Payoff, Problem};

/// A method with one policy.
pub(crate) trait FiniteMethod: std::fmt::Debug + Send + Sync {
    /// Who samples what is trained on.
    fn sampler(&self) -> Sampler {
        Sampler::Policy
    }

    /// Updates on the same samples, at least 1.
    fn num_iterations(&self) -> u32 {
        1
    }

    /// Whether the mean of the iterates is what the method is about.
    fn keeps_mean(&self) -> bool {
        false
    }

    /// The worth of every answer, in expectation over all that it is compared with, drawn from μ.
    fn expected(&self, at: &Position<'_>, worths: &mut [f64]);

    /// The worth of each answer of a group of two or more, drawn from μ.
    fn of_group(&self, at: &Position<'_>, group: &[usize], worths: &mut [f64]);
}

/// Who samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// The policy as it was when the step began.
    Policy,
    /// The reference.
    Reference,
}

/// Where a run stands in one update; all slices have an entry an action.
#[derive(Clone, Copy)]
pub(crate) struct Position<'a> {
    pub(crate) payoff: &'a Payoff,
    /// τ
    pub(crate) tau: f64,
    pub(crate) log_reference: &'a [f64],
    /// log π
    pub(crate) log_policy: &'a [f64],
    /// log μ, who samples.
    pub(crate) log_sampled: &'a [f64],
    /// μ
    pub(crate) sampled: &'a [f64],
}

impl Position<'_> {
    /// log π − log `π_ref`
    pub(crate) fn log_ratio(&self, y: usize) -> f64 {
        self.log_policy[y] - self.log_reference[y]
    }

    /// log π − log μ
    pub(crate) fn moved(&self, y: usize) -> f64 {
        self.log_policy[y] - self.log_sampled[y]
    }

    /// ℓ(y, z); ½ where there are no pairs.
    pub(crate) fn label(&self, y: usize, z: usize) -> f64 {
        match self.payoff {
            Payoff::Pairs(labels) => labels[y * self.log_policy.len() + z],
            Payoff::Scores(_) => 0.5,
        }
    }

    /// `Σ_z μ(z) f(z)`
    pub(crate) fn mean(&self, f: impl Fn(usize) -> f64) -> f64 {
        self.sampled.iter().enumerate().map(|(z, p)| p * f(z)).sum()
    }

    /// The reward of y: its score, or its mean label against μ.
    pub(crate) fn expected_reward(&self, y: usize) -> f64 {
        match self.payoff {
            Payoff::Scores(scores) => scores[y],
            Payoff::Pairs(_) => self.mean(|z| self.label(y, z)),
        }
    }

    /// The rewards of a group: scores, or mean labels against the others.
    pub(crate) fn group_rewards(&self, group: &[usize]) -> Vec<f64> {
        match self.payoff {
            Payoff::Scores(scores) => group.iter().map(|&y| scores[y]).collect(),
            Payoff::Pairs(_) => mean_of_pairs(group, |y, z| self.label(y, z)),
        }
    }
}

/// The mean over the others of a group of a function of a pair.
pub(crate) fn mean_of_pairs(group: &[usize], of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let others = (group.len().max(2) - 1) as f64;
    let mean = |i: usize| {
        let others_of = group.iter().enumerate().filter(|(j, _)| *j != i);
        others_of.map(|(_, &z)| of(group[i], z)).sum::<f64>() / others
    };
    (0..group.len()).map(mean).collect()
}

/// A method's settings as what it sees of a game, and its target.
pub(crate) trait Sees {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError>;
}

/// What a method makes of a game, and how it learns where it learns anything.
type Registered<'a> = (&'a dyn Sees, Option<Arc<dyn FiniteMethod>>);

/// The methods: a line each. Who trains nothing has no [`FiniteMethod`].
fn registered(method: &Method) -> Option<Registered<'_>> {
    Some(match method {
        Method::Rloo(method) => (method, Some(Arc::new(rloo::Rloo))),
        Method::Grpo(method) => (method, Some(Arc::new(grpo::Grpo::of(method)))),
        Method::OnlineDpo(method) => (method, Some(Arc::new(online_dpo::OnlineDpo))),
        Method::OnlineIpo(method) => (method, Some(Arc::new(online_ipo::OnlineIpo))),
        Method::Sppo(method) => (method, Some(Arc::new(sppo::Sppo::of(method)))),
        Method::Inpo(method) => (method, Some(Arc::new(inpo::Inpo::of(method)))),
        Method::Sft(method) => (method, Some(Arc::new(sft::Sft))),
        Method::BestOfN(method) => (method, None),
        Method::SelfRefinement(method) => (method, None),
        Method::StackelbergGda(_) | Method::NashMd(_) | Method::Rlhf(_) => return None,
    })
}

/// The method of a plan, if it is one of these and trains something.
pub(crate) fn of(method: &Method) -> Option<Arc<dyn FiniteMethod>> {
    registered(method)?.1
}

/// The problem of one of the methods here.
pub(crate) fn problem(game: &Game, run: i64, plan: &GamePlan, method: &Method) -> Result<Problem, LearnError> {
    let (method, _) = registered(method).ok_or_else(|| LearnError::Setting {
        run,
        key: "method.name".to_owned(),
        problem: "has a problem of its own".to_owned(),
    })?;
    method.problem(&Seen { game, run, plan })
}
