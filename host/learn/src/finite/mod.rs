//! The methods with one policy on finite games beside Nash-MD and RLHF, one file each.
//!
//! A method gives every answer a *coefficient*: minus the derivative of its loss in log π(y), the samples not differentiated.
//! [`Engine`] turns coefficients into a direction of the logits, exactly (the expectation over y ~ μ, who samples) or from a
//! group of drawn answers, for both paths alike.

mod best_of_n;
mod egpo;
mod engine;
mod grpo;
mod inpo;
mod method;
mod mnpo;
mod omwu;
mod online_dpo;
mod online_ipo;
mod problem;
mod rloo;
mod self_play;
mod self_refinement;
mod sft;
mod sppo;

use std::sync::Arc;

use slhf_game::Game;
use slhf_plan::{GamePlan, Method};

pub(crate) use engine::{Draws, Engine};
pub(crate) use method::{FiniteMethod, Held, Scheme};

use crate::LearnError;
use crate::problem::Problem;
use problem::{Seen, Sees};

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
        Method::Mnpo(method) => (method, Some(Arc::new(mnpo::Mnpo::of(method)))),
        Method::Egpo(method) => (method, Some(Arc::new(egpo::Egpo))),
        Method::Omwu(method) => (method, Some(Arc::new(omwu::Omwu))),
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
    let renews = method.training().reference.is_some();
    let (method, _) = registered(method).ok_or_else(|| LearnError::Setting {
        run,
        key: "method.name".to_owned(),
        problem: "has a problem of its own".to_owned(),
    })?;
    method.problem(&Seen { game, run, plan, renews })
}
