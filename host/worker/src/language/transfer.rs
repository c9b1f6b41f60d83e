//! What others answered to the held-out prompts: read from a file, or asked of another model.

use std::path::Path;

use slhf_data::responses::{Asked, read_responses};
use slhf_learn::language::{Answer, GivenAnswers, Prompt, other_model_row};
use slhf_plan::{LanguagePlan, ModelWeights, TransferPlan, TransferSource};
use slhf_policy::{GenerateRow, Player, Tokens};

use super::load;
use crate::environment;
use crate::error::WorkerError;

/// An answer as its author left it.
struct Foreign {
    text: String,
    /// Whether it ended by itself.
    finished: bool,
}

/// Everybody that the plan names, in the plan's order. Another model is loaded, asked, and let go.
pub(super) fn others(
    plan: &LanguagePlan,
    held_out: &[Prompt],
    tokens: &Tokens,
) -> Result<Vec<GivenAnswers>, WorkerError> {
    let mut others = Vec::with_capacity(plan.evaluation.transfer.len());
    for (place, TransferPlan { name, source }) in plan.evaluation.transfer.iter().enumerate() {
        let foreign = match source {
            TransferSource::Responses { path, sha256 } => of_file(path, sha256, held_out)?,
            TransferSource::Model { .. } => of_model(plan, source, held_out, place as u16)?,
        };
        let answers = foreign.into_iter().map(|foreign| own(foreign, tokens)).collect::<Result<_, _>>()?;
        others.push(GivenAnswers { name: name.clone(), answers });
    }
    Ok(others)
}

/// Another model's answer is taken over as text: its tokens mean nothing to this one.
fn own(foreign: Foreign, own: &Tokens) -> Result<Answer, WorkerError> {
    let mut tokens = own.encode(&foreign.text)?;
    let end = own.end_tokens().first().copied();
    if foreign.finished || tokens.is_empty() {
        tokens.extend(end);
    }
    if tokens.is_empty() {
        return Err(WorkerError::EmptyResponse);
    }
    let finished = tokens.last().copied() == end;
    Ok(Answer { tokens: tokens.into(), finished, text: foreign.text.into(), draws: [].into() })
}

fn of_file(path: &str, expected: &str, held_out: &[Prompt]) -> Result<Vec<Foreign>, WorkerError> {
    let responses = read_responses(Path::new(path)).map_err(|source| WorkerError::Data { source })?;
    if responses.sha256 != expected {
        let (path, expected) = (path.to_owned(), expected.to_owned());
        return Err(WorkerError::ResponsesChanged { path, expected, found: responses.sha256 });
    }
    let asked: Vec<Asked<'_>> =
        held_out.iter().map(|prompt| Asked { id: Some(prompt.identity), messages: &prompt.messages }).collect();
    let answers = responses.to(&asked).map_err(|source| WorkerError::Data { source })?;
    let foreign = |(prompt, answer): (&Prompt, Option<&str>)| {
        let text = answer.ok_or_else(|| {
            let asked = prompt.messages.last().map_or("", |message| message.content.as_str());
            WorkerError::Unanswered { path: path.to_owned(), prompt: asked.to_owned() }
        })?;
        Ok(Foreign { text: text.to_owned(), finished: true })
    };
    held_out.iter().zip(answers).map(foreign).collect()
}

fn of_model(
    plan: &LanguagePlan,
    source: &TransferSource,
    held_out: &[Prompt],
    place: u16,
) -> Result<Vec<Foreign>, WorkerError> {
    let TransferSource::Model { path, sha256, thinking, chat_template, .. } = source else { return Ok(Vec::new()) };
    let path = Path::new(path);
    load::check_files(path, sha256)?;
    let (mut engine, tokens) = load::engine(
        path,
        load::Purpose {
            device: environment::resolve(&plan.device.name)?,
            precision: plan.device.precision,
            thinking: load::thinking(*thinking),
            chat_template: chat_template.clone(),
            weights: ModelWeights::Packed,
            activation_checkpointing: false,
            training: None,
            agents: Vec::new(),
            adapter: None,
            seed: 0,
        },
    )?;
    let mut foreign = Vec::with_capacity(held_out.len());
    for batch in held_out.chunks((plan.evaluation.batch_size as usize).max(1)) {
        let row = |prompt: &Prompt| -> Result<GenerateRow, WorkerError> {
            Ok(GenerateRow { context: tokens.prompt(&prompt.messages)?, row: other_model_row(prompt.id, place) })
        };
        let rows = batch.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let (generated, _) = engine.generate(Player::Leader, &rows, plan.seed, &plan.evaluation.sampling)?;
        for one in generated {
            foreign.push(Foreign { text: tokens.decode(&one.tokens)?, finished: one.finished });
        }
    }
    Ok(foreign)
}
