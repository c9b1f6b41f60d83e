//! Where policies on closed sets stand before the first step.

use slhf_learn::language::LanguageTrainer;
use slhf_plan::{LanguagePlan, ModelAnswer};

use super::judge::Judge;
use super::policies::Policies;
use super::{baselines, prompts};
use crate::error::WorkerError;
use crate::judging::host;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;

/// Loads what a run would load, and evaluates it.
pub(crate) fn of(plan: &LanguagePlan, outgoing: &Outgoing) -> Result<ModelAnswer, WorkerError> {
    let host = host(plan.device.threads, outgoing, None)?;
    // Closed sets are judged: a plan of them without a judge is refused.
    let asked = plan.judge.as_ref().ok_or(WorkerError::NothingTrained)?;
    let mut judge = Judge::load(&host, asked, plan.method.reward(), (&Stop::default(), None))?;
    let baselines = baselines(plan, &host)?;
    let mut policies = Policies::load(plan)?;
    let source = prompts::read(&plan.data, prompts::Closed::of(plan), &policies.tokens, outgoing)?;
    let mut trainer = LanguageTrainer::new(plan, source, baselines.estimators().remove(&plan.run))?;
    let (rows, note) = trainer.start(&mut policies, &mut judge)?;
    Ok(ModelAnswer::Start { rows, note })
}
