//! Who judges.

use slhf_experiment::named_plugin;
use slhf_plan::{EvaluationJudgePlan, PluginPlan};

use crate::error::ComparisonError;
use crate::field::Field;
use crate::plugins::{chain, is_same, present, sha256};
use crate::say::Say;

/// What stands for the training judge on the command line.
pub const TRAINING: &str = "training";

/// A judge that was asked for.
#[derive(Debug)]
pub struct Named {
    /// What is asked.
    pub plan: PluginPlan,
    /// `outer over inner` where one wraps another.
    pub name: String,
    /// The policies were trained on it.
    pub is_training_judge: bool,
}

/// Says anew, after models were granted, who is the training judge.
pub fn mark_training_judge(judges: &mut [Named], field: &Field) -> Result<(), ComparisonError> {
    // What is to be said of it was said when it was named.
    let trained = trained_on(field, &mut |_| {})?;
    for judge in judges {
        judge.is_training_judge = is_trained_on(&judge.plan, trained.as_ref());
    }
    Ok(())
}

/// The training judge, where there is one.
fn trained_on(field: &Field, say: Say<'_>) -> Result<Option<PluginPlan>, ComparisonError> {
    field.training_judge.as_ref().map(|judge| present(judge, say)).transpose()
}

fn is_trained_on(plan: &PluginPlan, trained: Option<&PluginPlan>) -> bool {
    trained.is_some_and(|trained| is_same(plan, trained))
}

/// One judge of the command line: NAME, NAME=JSON with parameters, or OUTER over INNER.
pub fn judge_plan(named: &str) -> Result<PluginPlan, ComparisonError> {
    let one = |part: &str, upstream: Option<PluginPlan>| -> Result<PluginPlan, ComparisonError> {
        let (name, parameters) = part.trim().split_once('=').unwrap_or((part.trim(), "{}"));
        let mut plan = named_plugin::plan(name, parameters, upstream.map(Box::new))?;
        plan.sha256 = sha256(&plan.path)?;
        Ok(plan)
    };
    let mut parts = named.rsplit(" over ");
    let innermost = one(parts.next().unwrap_or_default(), None)?;
    parts.try_fold(innermost, |inner, part| one(part, Some(inner)))
}

/// The judges of the command line; the training judge and those of `[evaluation]` without any.
pub fn named(asked: &[String], field: &Field, say: Say<'_>) -> Result<Vec<Named>, ComparisonError> {
    let trained = trained_on(field, say)?;
    let training = || match &trained {
        Some(plan) => Ok(Named { name: chain(plan), plan: plan.clone(), is_training_judge: true }),
        None => Err(ComparisonError::NoTrainingJudge { experiment: field.experiment.clone() }),
    };
    let mut judges = Vec::new();
    if asked.is_empty() {
        if trained.is_some() || field.evaluation_judges.is_empty() {
            judges.push(training()?);
        }
        for EvaluationJudgePlan { name, judge } in &field.evaluation_judges {
            let plan = present(&judge.plugin, say)?;
            let is_training_judge = is_trained_on(&plan, trained.as_ref());
            judges.push(Named { name: name.clone(), is_training_judge, plan });
        }
        return Ok(judges);
    }
    for one in asked {
        if one == TRAINING {
            judges.push(training()?);
            continue;
        }
        let plan = judge_plan(one)?;
        let is_training_judge = is_trained_on(&plan, trained.as_ref());
        judges.push(Named { name: chain(&plan), plan, is_training_judge });
    }
    Ok(judges)
}
