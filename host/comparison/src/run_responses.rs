//! What one run's policies responded to its held-out prompts.

use slhf_judge::Response;
use slhf_plan::PluginPlan;
use slhf_record::Record;

use crate::error::ComparisonError;
use crate::field::{Gathered, language_plan, last_held_out};
use crate::prompts::HeldOut;
use crate::say::Say;

/// A run's last recorded responses to held-out prompts.
#[derive(Debug)]
pub struct RunResponses {
    /// The prompts, each with the different responses of the run's policies to it.
    pub prompts: Vec<(HeldOut, Vec<Response>)>,
    /// What the run was trained on; `None`: a file of preferences.
    pub training_judge: Option<PluginPlan>,
}

/// Reads them from the record. What the user should know is told to `say`.
pub fn run_responses(record: &mut Record, run: i64, say: Say<'_>) -> Result<RunResponses, ComparisonError> {
    let Some(plan) = language_plan(record, run)? else { return Err(ComparisonError::NoResponsesOfRun { run }) };
    let found = last_held_out(record, run)?;
    let mut gathered = Gathered::default();
    gathered.files.add(&plan.data, None, say);
    let keys = gathered.files.keys(&plan.data, &found);
    gathered.add("", 0, keys, found);
    let Gathered { files, prompts, answers, .. } = gathered;
    let mut responses: Vec<Vec<Response>> = vec![Vec::new(); prompts.len()];
    for (_, by_place) in answers {
        for ((_, prompt), response) in by_place {
            let known = &mut responses[prompt];
            if known.iter().all(|one| one.text != response.text) {
                known.push(response);
            }
        }
    }
    let prompts: Vec<(HeldOut, Vec<Response>)> = files.told(prompts, say).into_iter().zip(responses).collect();
    if prompts.is_empty() {
        return Err(ComparisonError::NoResponsesOfRun { run });
    }
    Ok(RunResponses { prompts, training_judge: plan.judge.map(|judge| judge.plugin) })
}
