//! The prompts of a run: read, checked against the plan, cut to length, split.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use slhf_data::prompts::{PromptRow, Prompts, Split};
use slhf_data::{PlannedReading, read_planned};
use slhf_learn::language::{Answer, Prompt, PromptSource};
use slhf_plan::{AnswerSetsPlan, AskedPrompt, DataPlan, LanguagePlan, LogLevel, OverLong, PromptId, PromptNumbering};
use slhf_policy::Tokens;

use crate::error::WorkerError;
use crate::outgoing::Outgoing;

/// Closed sets of answers, where a run has them, and the tokens that an answer may have.
#[derive(Clone, Copy)]
pub(super) struct Closed<'a> {
    pub(super) plan: &'a AnswerSetsPlan,
    pub(super) max_new_tokens: u32,
}

impl<'a> Closed<'a> {
    pub(super) fn of(plan: &'a LanguagePlan) -> Option<Self> {
        let max_new_tokens = plan.method.training().sampling.max_new_tokens;
        plan.answers.as_ref().map(|plan| Self { plan, max_new_tokens })
    }
}

/// Reads what the plan names, but for what others answered. What became of prompts that were too long is said, and counted.
pub(super) fn read(
    data: &DataPlan,
    closed: Option<Closed<'_>>,
    tokens: &Tokens,
    outgoing: &Outgoing,
) -> Result<PromptSource, WorkerError> {
    let failed = |source| WorkerError::Data { source };
    let prompts = read_planned(Path::new(&data.path), &PlannedReading::of(data)).map_err(failed)?;
    if prompts.sha256 != data.sha256 {
        let (path, expected, found) = (data.path.clone(), data.sha256.clone(), prompts.sha256);
        return Err(WorkerError::DataChanged { path, expected, found });
    }
    if let Some(sentence) = prompts.skipped.sentence() {
        outgoing.log(LogLevel::Warn, sentence)?;
    }
    // Split before anything is dropped: which prompts are held out depends on the file and the seed alone.
    let split = Split::of(&prompts, data.held_out, data.split_seed).map_err(failed)?;
    let ids = prompts.ids(&data.system);
    let mut too_long = 0;
    let mut take = |indices: &[usize]| -> Result<Vec<Prompt>, WorkerError> {
        let mut taken = Vec::with_capacity(indices.len());
        for &index in indices {
            let row = prompts.rows[index].clone().with_system(&data.system);
            match fitted(row, data, tokens)? {
                Fitted::AsItIs(row) => taken.push(prompt(index, ids[index], row)),
                Fitted::Shortened(row) => {
                    too_long += 1;
                    taken.push(prompt(index, ids[index], row));
                }
                Fitted::Dropped => too_long += 1,
            }
        }
        Ok(taken)
    };
    let (training, held_out) = (take(&split.training)?, take(&split.held_out)?);
    let answers = closed.map(|closed| answer_sets(&prompts, closed, tokens)).transpose()?.unwrap_or_default();
    let source = PromptSource { training, held_out, answers, ..PromptSource::default() };
    if too_long > 0 {
        let fate = match data.over_long {
            OverLong::Drop => "left out",
            OverLong::Truncate => "shortened",
        };
        let (file, most) = (&prompts.file, data.max_prompt_tokens);
        let text =
            format!("{too_long} prompts of {file} have more than {most} tokens and were {fate} (data.over_long)");
        outgoing.log(LogLevel::Warn, text)?;
    }
    Ok(source)
}

/// The closed set of every row, by the row's number.
fn answer_sets(
    prompts: &Prompts,
    closed: Closed<'_>,
    tokens: &Tokens,
) -> Result<HashMap<u32, Arc<[Answer]>>, WorkerError> {
    let sets = prompts.answer_sets(&closed.plan.given).map_err(|source| WorkerError::Data { source })?;
    let mut found = HashMap::with_capacity(sets.len());
    for ((index, texts), row) in sets.into_iter().enumerate().zip(&prompts.rows) {
        let set = tokens.answer_set(&texts, closed.max_new_tokens).map_err(|source| WorkerError::AnswerSet {
            file: prompts.file.clone(),
            row: index + 1,
            id: row.id.clone(),
            source,
        })?;
        let answer = |(tokens, text): (Vec<u32>, String)| Answer {
            tokens: tokens.into(),
            finished: true,
            text: text.into(),
            draws: [].into(),
        };
        found.insert(index as u32, set.into_iter().zip(texts).map(answer).collect());
    }
    Ok(found)
}

/// Prompts that somebody asks in the place of the data's.
pub(super) fn asked(asked: &[AskedPrompt]) -> Vec<Prompt> {
    let mut numbering = PromptNumbering::default();
    let prompt = |(id, asked): (u32, &AskedPrompt)| Prompt {
        id,
        identity: numbering.next_id(&asked.messages, &asked.metadata),
        messages: asked.messages.clone().into(),
        metadata: asked.metadata.as_str().into(),
    };
    (0..).zip(asked).map(prompt).collect()
}

fn prompt(index: usize, identity: PromptId, row: PromptRow) -> Prompt {
    Prompt { id: index as u32, identity, messages: row.messages.into(), metadata: Arc::from(row.metadata) }
}

enum Fitted {
    AsItIs(PromptRow),
    Shortened(PromptRow),
    Dropped,
}

fn fitted(mut row: PromptRow, data: &DataPlan, tokens: &Tokens) -> Result<Fitted, WorkerError> {
    let most = data.max_prompt_tokens as usize;
    let length = tokens.prompt(&row.messages)?.len();
    if length <= most {
        return Ok(Fitted::AsItIs(row));
    }
    if data.over_long == OverLong::Drop {
        return Ok(Fitted::Dropped);
    }
    let Some(last) = row.messages.len().checked_sub(1) else { return Ok(Fitted::Dropped) };
    let content = tokens.encode(&row.messages[last].content)?;
    // Tokens at a new beginning may split otherwise: cut until it fits.
    for cut in (length - most)..content.len() {
        row.messages[last].content = tokens.decode(&content[cut..])?;
        if tokens.prompt(&row.messages)?.len() <= most {
            return Ok(Fitted::Shortened(row));
        }
    }
    Ok(Fitted::Dropped)
}
