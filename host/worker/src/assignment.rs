//! One piece of work: what kind it is.

use slhf_plan::{Assignment, Work};

use crate::error::WorkerError;
use crate::models::Replies;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;
use crate::{game, language, reward_model};

/// Carries out what the lab froze, and tells the lab everything on the way, but for the last word.
pub(crate) fn carry_out(
    assignment: &Assignment,
    outgoing: &Outgoing,
    lab: (&Stop, &Replies),
) -> Result<(), WorkerError> {
    let work = assignment.work().map_err(|source| WorkerError::Plan { source })?;
    match work {
        Work::Game(group) => game::carry_out(&group, assignment, outgoing, lab),
        Work::LanguageModel(plan) => language::carry_out(&plan, assignment, outgoing, lab),
        Work::RewardModel(plan) => reward_model::carry_out(&plan, assignment, outgoing, lab.0),
    }
}
