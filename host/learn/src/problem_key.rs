//! Which problem a run has.

use slhf_game::{
    Distribution, Divergence, FollowerReference, Game, GameError, Held, PreferenceMatrix, TemperatureValues,
    Temperatures,
};
use slhf_plan::{Curve, GamePlan, GameRunPlan, Method, PairDistribution};

use crate::problem::Problem;
use crate::{LearnError, finite};

/// Two runs with equal keys share one [`Problem`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProblemKey {
    game: usize,
    temperatures: slhf_plan::Temperatures,
    detail: Detail,
}

#[derive(Clone, Debug, PartialEq)]
enum Detail {
    Stackelberg(Held),
    /// Nash-MD's m where it is constant, whether its reference is renewed, and what holds its policy.
    Nash(Option<f64>, bool, Divergence),
    Rlhf(PairDistribution),
    /// One of [`crate::finite`]; its own settings may decide what its target is.
    Finite(Box<Method>),
}

impl ProblemKey {
    pub(crate) fn of(run: &GameRunPlan) -> Self {
        let detail = match &run.method {
            // Shares that are none were refused before.
            Method::StackelbergGda(method) => Detail::Stackelberg(method.players.held().unwrap_or_default()),
            Method::NashMd(method) => {
                let mixture = match method.mixture_coef {
                    Curve::Constant { value } => Some(value),
                    _ => None,
                };
                let divergence = method.own.regularizer.divergence().unwrap_or_default();
                Detail::Nash(mixture, method.training.reference.is_some(), divergence)
            }
            Method::Rlhf(method) => Detail::Rlhf(method.pairs.clone()),
            method => Detail::Finite(Box::new(method.clone())),
        };
        Self { game: run.game, temperatures: run.temperatures, detail }
    }
}

impl Problem {
    pub(crate) fn of(
        key: &ProblemKey,
        run: i64,
        plan: &GamePlan,
        preferences: &PreferenceMatrix,
    ) -> Result<Self, LearnError> {
        let game = game_of(key, plan, preferences).map_err(|source| LearnError::Game { run, source })?;
        match &key.detail {
            Detail::Stackelberg(held) => Ok(Self::stackelberg(&game, *held)),
            Detail::Nash(mixture, renews, divergence) => {
                Self::nash(&game, *mixture, *renews, *divergence).map_err(|source| LearnError::Game { run, source })
            }
            Detail::Rlhf(pairs) => Self::rlhf(&game, run, plan, pairs),
            Detail::Finite(method) => finite::problem(&game, run, plan, method),
        }
    }
}

fn game_of(key: &ProblemKey, plan: &GamePlan, preferences: &PreferenceMatrix) -> Result<Game, GameError> {
    let values = &key.temperatures;
    Game::new(
        preferences.clone(),
        Distribution::named(&plan.reference_leader, slhf_game::Part::ReferenceLeader)?,
        FollowerReference::from_rows(&plan.reference_follower)?,
        Temperatures::new(TemperatureValues {
            leader: values.tau_leader,
            follower: values.tau_follower,
            nash: values.tau_nash,
            rlhf: values.tau_rlhf,
        })?,
    )
}
