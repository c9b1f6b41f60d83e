//! What is asked of a model besides training: inspect, score, generate, refine, export.

mod export;
mod refine;
mod score;
mod source;

use slhf_plan::{FromWorker, ModelAnswer, ModelRequest, ModelSource, ModelTask, PromptText, Sampling};
use slhf_policy::{GenerateRow, Player, StoredModel, Tokens};
use slhf_random::Stream;

use self::source::{Opened, Place};
use crate::environment;
use crate::error::WorkerError;
use crate::language::{held_out, load, start};
use crate::outgoing::Outgoing;

/// Carries out one task and tells its answers.
pub(crate) fn carry_out(request: &ModelRequest, outgoing: &Outgoing) -> Result<(), WorkerError> {
    let environment = environment::probe(&request.device, request.threads)?;
    let place = Place::of(&environment.device, request.precision)?;
    outgoing.send(&FromWorker::Environment(environment))?;
    let mut tell = |answer| outgoing.send(&FromWorker::ModelAnswer(answer));
    match &request.task {
        ModelTask::Inspect { model } => tell(describe(model)?),
        ModelTask::LogProbabilities { model, prompt, response } => {
            tell(log_probabilities(model, place, prompt, response)?)
        }
        ModelTask::Generate { model, prompts, sampling, batch_size, seed } => {
            let asked = Asked { prompts, sampling, batch_size: *batch_size, seed: *seed };
            generate(model, place, &asked, &mut tell)
        }
        ModelTask::Score { model, conversations, labels, truncation } => {
            let asked = score::Asked { conversations, labels, truncation: *truncation };
            score::score(model, place, asked, &mut tell)
        }
        ModelTask::HeldOut { run, asked } => {
            let mut plan = source::plan_of(run, place)?;
            asked.0.apply(&mut plan);
            for row in held_out::answers(&plan, &run.checkpoint, asked.0.prompts.as_deref(), outgoing)? {
                tell(ModelAnswer::HeldOut(row))?;
            }
            Ok(())
        }
        ModelTask::Refine { model, from, messages, rounds, sampling, seed } => {
            let asked = refine::Asked { messages, rounds: *rounds, sampling, seed: *seed };
            refine::refine(model, from.as_ref(), place, &asked, &mut tell)
        }
        ModelTask::Start { frozen } => tell(start::of(&source::language_plan(frozen)?, outgoing)?),
        ModelTask::Export { model, folder, adapter_only } => {
            tell(export::write(model, place, folder, export::What::of(*adapter_only))?)
        }
    }
}

fn describe(model: &ModelSource) -> Result<ModelAnswer, WorkerError> {
    let stored = StoredModel::open(model.path.as_ref())?;
    let tokens = load::tokens(&stored, source::thinking(model), model.chat_template.as_deref())?;
    let config = serde_json::to_value(stored.config()).map_err(|source| WorkerError::Plan { source })?;
    let tensors = stored.tensors();
    let parameters: i64 = tensors.iter().map(|tensor| tensor.shape.iter().product::<i64>()).sum();
    let description = serde_json::json!({
        "path": model.path,
        "config": config,
        "parameters": parameters,
        "vocabulary": tokens.vocabulary_size(),
        "beginning_token": tokens.beginning_token(),
        "end_tokens": tokens.end_tokens(),
        "chat_template": tokens.template(),
        "tensors": tensors,
    });
    Ok(ModelAnswer::Description(description.to_string()))
}

fn context(tokens: &Tokens, prompt: &PromptText) -> Result<Vec<u32>, WorkerError> {
    Ok(match prompt {
        PromptText::Messages(messages) => tokens.prompt(messages)?,
        PromptText::Raw(text) => tokens.encode_raw(text)?,
    })
}

fn log_probabilities(
    model: &ModelSource,
    place: Place,
    prompt: &PromptText,
    response: &str,
) -> Result<ModelAnswer, WorkerError> {
    let Opened { mut engine, tokens, .. } = source::open(model, place)?;
    let context = context(&tokens, prompt)?;
    let answer = tokens.encode(response)?;
    if answer.is_empty() {
        return Err(WorkerError::EmptyResponse);
    }
    let mut scored = engine.log_probabilities(Player::Leader, &[(&context, &answer)])?;
    let pieces = tokens.pieces(&answer);
    Ok(ModelAnswer::LogProbabilities { token_ids: answer, tokens: pieces, logprobs: scored.pop().unwrap_or_default() })
}

/// What [`generate`] is asked.
struct Asked<'a> {
    prompts: &'a [PromptText],
    sampling: &'a Sampling,
    batch_size: u32,
    seed: u64,
}

fn generate(
    model: &ModelSource,
    place: Place,
    asked: &Asked<'_>,
    tell: &mut dyn FnMut(ModelAnswer) -> Result<(), WorkerError>,
) -> Result<(), WorkerError> {
    let Opened { mut engine, tokens, .. } = source::open(model, place)?;
    let mut rows = Vec::with_capacity(asked.prompts.len());
    for (index, prompt) in (0..).zip(asked.prompts) {
        rows.push(GenerateRow { context: context(&tokens, prompt)?, row: source::row(index, Stream::Leader, 0) });
    }
    for batch in rows.chunks((asked.batch_size as usize).max(1)) {
        let (generated, _) = engine.generate(Player::Leader, batch, asked.seed, asked.sampling)?;
        for (row, one) in batch.iter().zip(generated) {
            let text = tokens.decode(&one.tokens)?;
            let (index, finished) = (row.row.prompt, one.finished);
            tell(ModelAnswer::Generated { index, text, token_ids: one.tokens, finished })?;
        }
    }
    Ok(())
}
