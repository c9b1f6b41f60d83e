//! Refinement at inference: y₀ from the Leader (or another model), then `y_{k+1} ~ ω(· | x, y_k)`.

use slhf_plan::{Message, ModelAnswer, ModelSource, Sampling};
use slhf_policy::{GenerateRow, Generated, Player};
use slhf_random::Stream;

use super::source::{self, Opened, Place};
use crate::error::WorkerError;

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) messages: &'a [Message],
    pub(super) rounds: u32,
    pub(super) sampling: &'a Sampling,
    pub(super) seed: u64,
}

/// Tells each round as it is there, from round 0. Another model's answer is taken over as text: its tokens mean nothing
/// to this one.
pub(super) fn refine(
    model: &ModelSource,
    from: Option<&ModelSource>,
    place: Place,
    asked: &Asked<'_>,
    tell: &mut dyn FnMut(ModelAnswer) -> Result<(), WorkerError>,
) -> Result<(), WorkerError> {
    let first = from.map(|other| first_of(other, place, asked)).transpose()?;
    let Opened { mut engine, tokens, instruction } = source::open(model, place)?;
    let instruction = instruction.ok_or(WorkerError::NoFollower)?;
    let turn = tokens.turn(&instruction)?;
    let prompt = tokens.prompt(asked.messages)?;
    let mut answer = match first {
        Some(text) => {
            let mut own = tokens.encode(&text)?;
            own.extend(tokens.end_tokens().first());
            Generated { draws: Vec::new(), tokens: own, finished: true }
        }
        None => one(&mut engine, Player::Leader, prompt.clone(), asked, 0)?,
    };
    tell(told(&tokens, &answer, 0)?)?;
    for round in 1..=asked.rounds {
        // The prompt and the answer before stand in the cache, where the same weights read them.
        let context = [prompt.as_slice(), &answer.tokens, &turn.after(&answer.tokens)].concat();
        answer = one(&mut engine, Player::Follower, context, asked, round)?;
        tell(told(&tokens, &answer, round)?)?;
    }
    Ok(())
}

/// Another model's answer to the same conversation.
fn first_of(other: &ModelSource, place: Place, asked: &Asked<'_>) -> Result<String, WorkerError> {
    let Opened { mut engine, tokens, .. } = source::open(other, place)?;
    let prompt = tokens.prompt(asked.messages)?;
    let answer = one(&mut engine, Player::Leader, prompt, asked, 0)?;
    Ok(tokens.decode(&answer.tokens)?)
}

fn one(
    engine: &mut slhf_policy::Engine,
    player: Player,
    context: Vec<u32>,
    asked: &Asked<'_>,
    round: u32,
) -> Result<Generated, WorkerError> {
    let stream = if player == Player::Follower { Stream::Follower } else { Stream::Leader };
    let row = source::row(0, stream, u8::try_from(round).unwrap_or(u8::MAX));
    let (mut answers, _) = engine.generate(player, &[GenerateRow { context, row }], asked.seed, asked.sampling)?;
    answers.pop().ok_or(WorkerError::EmptyResponse)
}

fn told(tokens: &slhf_policy::Tokens, answer: &Generated, round: u32) -> Result<ModelAnswer, WorkerError> {
    Ok(ModelAnswer::Generated {
        index: round,
        text: tokens.decode(&answer.tokens)?,
        token_ids: answer.tokens.clone(),
        finished: answer.finished,
    })
}
