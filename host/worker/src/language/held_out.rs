//! Everybody's answers to held-out prompts, sampled again from a run's checkpoint.

use slhf_learn::language::{LanguageTrainer, NobodyJudges, PairJudge, PromptSource};
use slhf_plan::{AskedPrompt, CompletionRow, LanguagePlan, LogLevel, ResumePoint};

use super::judge::Judge;
use super::policies::Policies;
use super::{baselines, prompts, restore, transfer};
use crate::error::WorkerError;
use crate::judging::host;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;

/// The answers of the run's policies, as its last evaluation samples them; to `asked` in the place of the held-out prompts.
pub(crate) fn answers(
    plan: &LanguagePlan,
    point: &ResumePoint,
    asked: Option<&[AskedPrompt]>,
    outgoing: &Outgoing,
) -> Result<Vec<CompletionRow>, WorkerError> {
    let host = host(plan.device.threads, outgoing, None)?;
    let load = |judge| Judge::load(&host, judge, plan.method.reward(), (&Stop::default(), None));
    let mut judge = plan.judge.as_ref().map(load).transpose()?;
    let baselines = baselines(plan, &host)?;
    let mut policies = Policies::load(plan)?;
    let mut source = match asked {
        None => prompts::read(&plan.data, prompts::Closed::of(plan), &policies.tokens, outgoing)?,
        Some(asked) => {
            let held_out = prompts::asked(asked);
            // Nothing is trained here, but a run without training prompts would be refused.
            PromptSource { training: held_out.clone(), held_out, ..PromptSource::default() }
        }
    };
    source.others = transfer::others(plan, &source.held_out, &policies.tokens)?;
    let mut trainer = LanguageTrainer::new(plan, source, baselines.estimators().remove(&plan.run))?;
    restore(&mut trainer, &mut policies, point)?;
    let mut nobody = NobodyJudges;
    let asked: &mut dyn PairJudge = match &mut judge {
        Some(judge) => judge,
        None => &mut nobody,
    };
    let (rows, note) = trainer.answer_held_out(&mut policies, asked)?;
    if let Some(text) = note {
        outgoing.log(LogLevel::Warn, text)?;
    }
    Ok(rows)
}
