//! What a run's judge said in training, of which pairs.

use std::collections::HashMap;

use slhf_judge::Response;
use slhf_plan::PluginPlan;
use slhf_record::{Completion, Record, RecordedVerdict};

use crate::error::ComparisonError;
use crate::field::language_plan;
use crate::policy::{HeldOutResponse, response};
use crate::prompts::{HeldOut, PromptFiles, PromptKey};
use crate::say::Say;

/// The verdicts that a run was trained on, as far as they are recorded.
#[derive(Debug)]
pub struct TrainingPairs {
    /// The prompts that were asked, each once, in the order in which they were met.
    pub prompts: Vec<HeldOut>,
    /// By step; within a step by the positions of the responses.
    pub verdicts: Vec<AskedVerdict>,
    /// Who said them.
    pub training_judge: PluginPlan,
}

/// One verdict, with what was asked.
#[derive(Clone, Debug)]
pub struct AskedVerdict {
    /// The training step.
    pub step: i64,
    /// Among the prompts.
    pub prompt: usize,
    /// The response that stood first.
    pub first: Response,
    /// The one that stood second.
    pub second: Response,
    /// What was said, with the responses' positions in the step.
    pub said: RecordedVerdict,
}

/// Reads them from the record. What the user should know is told to `say`.
pub fn training_pairs(record: &mut Record, run: i64, say: Say<'_>) -> Result<TrainingPairs, ComparisonError> {
    let steps = record.training_verdict_steps(run)?;
    let plan = language_plan(record, run)?.filter(|_| !steps.is_empty());
    let judge = plan.as_ref().and_then(|plan| plan.judge.clone());
    let (Some(plan), Some(judge)) = (plan, judge) else { return Err(ComparisonError::NoVerdictsOfRun { run }) };
    let mut files = PromptFiles::default();
    files.add(&plan.data, None, say);
    let mut found = Found::default();
    for step in steps {
        let completions = record.completions(run, step)?;
        let said = record.training_verdicts(run, step)?;
        let asked: Vec<Completion> =
            completions.into_iter().filter(|completion| !completion.role.is_held_out).collect();
        let keys = files.keys(&plan.data, &asked.iter().map(as_response).collect::<Vec<_>>());
        found.step(step, &asked, &keys, said);
    }
    if let Some(bad) =
        found.verdicts.iter().find_map(|verdict| verdict.said.probability.filter(|value| !(0.0..=1.0).contains(value)))
    {
        return Err(ComparisonError::RecordedVerdict { run, probability: bad });
    }
    Ok(TrainingPairs {
        prompts: files.told(found.prompts, say),
        verdicts: found.verdicts,
        training_judge: judge.plugin,
    })
}

fn as_response(completion: &Completion) -> HeldOutResponse {
    HeldOutResponse {
        prompt_id: completion.prompt_id,
        prompt: completion.prompt.clone(),
        who: completion.position.to_string(),
        response: told(completion),
    }
}

fn told(completion: &Completion) -> Response {
    response(&completion.text, completion.finished, u32::try_from(completion.tokens).unwrap_or(u32::MAX))
}

#[derive(Default)]
struct Found {
    prompts: Vec<(PromptKey, String)>,
    places: HashMap<PromptKey, usize>,
    verdicts: Vec<AskedVerdict>,
}

impl Found {
    fn step(&mut self, step: i64, completions: &[Completion], keys: &[PromptKey], said: Vec<RecordedVerdict>) {
        let by_position: HashMap<i64, usize> =
            completions.iter().enumerate().map(|(place, completion)| (completion.position, place)).collect();
        for said in said {
            let place = |position: i64| by_position.get(&position).copied();
            let (Some(first), Some(second)) = (place(said.first), place(said.second)) else { continue };
            let prompt = self.place(&keys[first], &completions[first].prompt);
            let (first, second) = (told(&completions[first]), told(&completions[second]));
            self.verdicts.push(AskedVerdict { step, prompt, first, second, said });
        }
    }

    fn place(&mut self, key: &PromptKey, text: &str) -> usize {
        *self.places.entry(key.clone()).or_insert_with_key(|key| {
            self.prompts.push((key.clone(), text.to_owned()));
            self.prompts.len() - 1
        })
    }
}
