//! Which problem a run has.

use slhf_game::{Distribution, FollowerReference, Game, GameError, PreferenceMatrix, TemperatureValues, Temperatures};
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
    Stackelberg,
    /// Nash-MD's m where it is constant, and whether its reference is renewed.
    Nash(Option<f64>, bool),
    Rlhf(PairDistribution),
    /// One of [`crate::finite`]; its own settings may decide what its target is.
    Finite(Box<Method>),
}

impl ProblemKey {
    pub(crate) fn of(run: &GameRunPlan) -> Self {
        let detail = match &run.method {
            Method::StackelbergGda(_) => Detail::Stackelberg,
            Method::NashMd(method) => {
                let mixture = match method.mixture_coef {
                    Curve::Constant { value } => Some(value),
                    _ => None,
                };
                Detail::Nash(mixture, method.training.reference.is_some())
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
            Detail::Stackelberg => Ok(Self::stackelberg(&game)),
            Detail::Nash(mixture, renews) => {
                Self::nash(&game, *mixture, *renews).map_err(|source| LearnError::Game { run, source })
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
