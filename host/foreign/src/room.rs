//! Whether the prompts of a run and the answers to them fit the positions of its model: asked when it is planned, since a run
//! would find out at the first prompt that is too long.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slhf_data::prompts::Prompts;
use slhf_data::responses::{Asked, read_responses};
use slhf_data::{PlannedReading, read_planned};
use slhf_model::{ModelError, StoredModel, Thinking, Tokens};
use slhf_plan::{DataPlan, LanguagePlan, OverLong, TransferSource};

/// Tokens that a template puts around an instruction, at most: with so many to spare nothing is counted.
const TURN_TOKENS_MAX: u64 = 1024;

/// What has to fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomQuestion {
    /// A Hugging Face folder or a GGUF file.
    model: PathBuf,
    thinking: bool,
    chat_template: Option<String>,
    prompts: PathBuf,
    reading: PlannedReading,
    system: String,
    max_prompt_tokens: u32,
    over_long: OverLong,
    /// The turn that asks for a better answer, where the method has one.
    instruction: Option<String>,
    /// Tokens of one response.
    max_new_tokens: u32,
    /// Answers that files bring, where they are to be improved.
    given: Option<GivenQuestion>,
    /// The closed set of all prompts, empty where each has its own; `None`: a policy says what it likes.
    answers: Option<Vec<String>>,
}

/// Answers of files to the held-out prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GivenQuestion {
    files: Vec<PathBuf>,
    /// A [`DataPlan`] as JSON: it leaves fields out, which the frames between two processes cannot.
    data_json: String,
    /// Tokens of an answer in the evaluation.
    max_new_tokens: u32,
}

/// More than fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Of the longest prompt that is not left out.
    pub prompt_tokens: u64,
    /// The prompt's id.
    pub prompt: String,
    /// Of the turn between the two answers; `None`: there is one answer.
    pub turn_tokens: Option<u64>,
    /// Of the model.
    pub positions: u64,
    /// Prompts of the file.
    pub prompts: u64,
    /// Of these, those that fit.
    pub fitting: u64,
    /// The answer to it that a file gives, where that is what does not fit.
    pub given: Option<GivenAnswer>,
}

/// An answer that a file gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenAnswer {
    /// The file of responses.
    pub file: PathBuf,
    /// With the end-of-sequence token.
    pub tokens: u64,
}

impl RoomQuestion {
    /// Of a plan, for answers of so many tokens.
    pub(crate) fn of(plan: &LanguagePlan, max_new_tokens: u32) -> Self {
        Self {
            model: PathBuf::from(&plan.model.path),
            thinking: plan.model.thinking,
            chat_template: plan.model.chat_template.clone(),
            prompts: PathBuf::from(&plan.data.path),
            reading: PlannedReading::of(&plan.data),
            system: plan.data.system.clone(),
            max_prompt_tokens: plan.data.max_prompt_tokens,
            over_long: plan.data.over_long,
            instruction: plan.method.instruction().map(str::to_owned),
            max_new_tokens,
            given: Self::given(plan),
            answers: plan.answers.as_ref().map(|answers| answers.given.clone()),
        }
    }

    fn given(plan: &LanguagePlan) -> Option<GivenQuestion> {
        let data_json = serde_json::to_string(&plan.data).ok()?;
        let files = plan.evaluation.transfer.iter().filter_map(|other| match &other.source {
            TransferSource::Responses { path, .. } => Some(PathBuf::from(path)),
            TransferSource::Model { .. } => None,
        });
        let files: Vec<PathBuf> = files.collect();
        (!files.is_empty() && plan.method.instruction().is_some() && plan.evaluation.rounds > 0)
            .then_some(GivenQuestion { files, data_json, max_new_tokens: plan.evaluation.sampling.max_new_tokens })
    }

    pub(crate) fn file(&self) -> &PathBuf {
        &self.model
    }

    fn tokens(&self, stored: &StoredModel) -> Result<Tokens, ModelError> {
        let thinking = if self.thinking { Thinking::On } else { Thinking::Off };
        let tokens = stored.tokens(thinking)?;
        match &self.chat_template {
            Some(source) => tokens.with_template(source, thinking),
            None => Ok(tokens),
        }
    }

    fn answers_tokens(&self) -> u64 {
        u64::from(self.max_new_tokens) * if self.instruction.is_some() { 2 } else { 1 }
    }
}

/// Counts, in the process that reads files of others. What a template refuses is the worker's to say, with the prompt.
pub(crate) fn overflow(question: &RoomQuestion) -> Result<Option<Overflow>, ModelError> {
    let stored = StoredModel::open(&question.model)?;
    let positions = stored.config().generated_positions_max() as u64;
    let most = u64::from(question.max_prompt_tokens);
    // A byte is a token at most.
    let turn_most = question.instruction.as_ref().map_or(0, |text| text.len() as u64 + TURN_TOKENS_MAX);
    if question.given.is_none() && most + question.answers_tokens() + turn_most <= positions {
        return Ok(None);
    }
    let tokens = question.tokens(&stored)?;
    let turn = question.instruction.as_ref().map(|text| tokens.turn(text)).transpose();
    let Ok(turn) = turn else { return Ok(None) };
    let turn_tokens = turn.map(|turn| turn.after(&[]).len() as u64);
    let Ok(prompts) = read_planned(&question.prompts, &question.reading) else { return Ok(None) };
    let further = turn_tokens.unwrap_or(0) + question.answers_tokens();
    let (mut longest, mut count, mut fitting): (Option<(u64, String)>, u64, u64) = (None, 0, 0);
    for row in prompts.rows {
        let row = row.with_system(&question.system);
        let Ok(prompt) = tokens.prompt(&row.messages) else { continue };
        let length = match (prompt.len() as u64, question.over_long) {
            (length, OverLong::Drop) if length > most => {
                count += 1;
                continue;
            }
            (length, _) => length.min(most),
        };
        count += 1;
        fitting += u64::from(length + further <= positions);
        if longest.as_ref().is_none_or(|(known, _)| *known < length) {
            longest = Some((length, row.id));
        }
    }
    let overflow = |(prompt_tokens, prompt)| Overflow {
        prompt_tokens,
        prompt,
        turn_tokens,
        positions,
        prompts: count,
        fitting,
        given: None,
    };
    if let Some(longest) = longest.filter(|(length, _)| length + further > positions) {
        return Ok(Some(overflow(longest)));
    }
    let given = question.given.as_ref().and_then(|given| longest_given(given, &tokens));
    let improved = |given: &GivenQuestion| turn_tokens.unwrap_or(0) + u64::from(given.max_new_tokens);
    let more = question.given.as_ref().map_or(0, improved);
    Ok(given
        .filter(|(prompt, _, answer)| prompt + answer.tokens + more > positions)
        .map(|(length, prompt, answer)| Overflow { given: Some(answer), ..overflow((length, prompt)) }))
}

/// Whether every closed set is one in the model's tokens, too: no answer too long, none equal to another.
pub(crate) fn answer_sets(question: &RoomQuestion) -> Result<(), Box<dyn std::error::Error>> {
    let tokens = question.tokens(&StoredModel::open(&question.model)?)?;
    let prompts = read_planned(&question.prompts, &question.reading)?;
    let given = question.answers.as_deref().unwrap_or_default();
    for ((index, set), row) in prompts.answer_sets(given)?.iter().enumerate().zip(&prompts.rows) {
        if let Err(error) = tokens.answer_set(set, question.max_new_tokens) {
            let place = format!("{}, row {} (id \"{}\")", prompts.file, index + 1, row.id);
            return Err(format!("{place}: {}", slhf_words::chain(&error)).into());
        }
    }
    Ok(())
}

/// Tokens of what a run says, on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptSizes {
    /// Of a rendered prompt that is not left out.
    pub prompt_tokens: f64,
    /// Of the turn that asks for a better response; 0 where nobody is asked.
    pub turn_tokens: f64,
    /// Of closed sets, where the run has them.
    pub sets: Option<SetSizes>,
}

/// Closed sets of a file of prompts, on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetSizes {
    /// Prompts with a set.
    pub prompts: f64,
    /// Responses of a set, n.
    pub responses: f64,
    /// Their ordered pairs, n².
    pub pairs: f64,
    /// Tokens of a response, with the one that ends it.
    pub response_tokens: f64,
}

/// Counts, likewise; `None`: nothing that the template renders.
pub(crate) fn sizes(question: &RoomQuestion) -> Result<Option<PromptSizes>, ModelError> {
    let stored = StoredModel::open(&question.model)?;
    let tokens = question.tokens(&stored)?;
    let turn = question.instruction.as_ref().map(|text| tokens.turn(text)).transpose();
    let (Ok(turn), Ok(prompts)) = (turn, read_planned(&question.prompts, &question.reading)) else { return Ok(None) };
    let sets = set_sizes(question, &tokens, &prompts);
    let most = u64::from(question.max_prompt_tokens);
    let (mut sum, mut count) = (0, 0_u64);
    for row in prompts.rows {
        let Ok(prompt) = tokens.prompt(&row.with_system(&question.system).messages) else { continue };
        match (prompt.len() as u64, question.over_long) {
            (length, OverLong::Drop) if length > most => continue,
            (length, _) => sum += length.min(most),
        }
        count += 1;
    }
    Ok((count > 0).then(|| PromptSizes {
        prompt_tokens: sum as f64 / count as f64,
        // Each response of a closed set ends by itself.
        turn_tokens: turn.map_or(0.0, |turn| match sets {
            Some(_) => turn.opening.len() as f64,
            None => turn.after(&[]).len() as f64,
        }),
        sets,
    }))
}

/// Of all rows; `None`: there are no sets, or a row has none that a model can give.
fn set_sizes(question: &RoomQuestion, tokens: &Tokens, prompts: &Prompts) -> Option<SetSizes> {
    let sets = prompts.answer_sets(question.answers.as_deref()?).ok()?;
    let (mut responses, mut pairs, mut length) = (0, 0, 0);
    for set in &sets {
        responses += set.len();
        pairs += set.len().pow(2);
        length += tokens.answer_set(set, u32::MAX).ok()?.iter().map(Vec::len).sum::<usize>();
    }
    let count = sets.len().max(1) as f64;
    Some(SetSizes {
        prompts: sets.len() as f64,
        responses: responses as f64 / count,
        pairs: pairs as f64 / count,
        response_tokens: length as f64 / responses.max(1) as f64,
    })
}

/// The held-out prompt that is longest together with its answer of one of the files: its tokens, its id, the answer.
fn longest_given(question: &GivenQuestion, tokens: &Tokens) -> Option<(u64, String, GivenAnswer)> {
    let data: &DataPlan = &serde_json::from_str(&question.data_json).ok()?;
    let prompts = read_planned(Path::new(&data.path), &PlannedReading::of(data)).ok()?;
    let held_out = prompts.held_out(data).ok()?;
    let asked: Vec<Asked<'_>> =
        held_out.iter().map(|(id, row)| Asked { id: Some(*id), messages: &row.messages }).collect();
    let most = u64::from(data.max_prompt_tokens);
    let mut longest: Option<(u64, String, GivenAnswer)> = None;
    for file in &question.files {
        let responses = read_responses(file).ok()?;
        for ((_, row), answer) in held_out.iter().zip(responses.to(&asked).ok()?) {
            let Some(Ok(answer)) = answer.map(|answer| tokens.encode(answer)) else { continue };
            let Ok(prompt) = tokens.prompt(&row.messages) else { continue };
            let length = match (prompt.len() as u64, data.over_long) {
                (length, OverLong::Drop) if length > most => continue,
                (length, _) => length.min(most),
            };
            // The answer gets an end.
            let answer = GivenAnswer { file: file.clone(), tokens: answer.len() as u64 + 1 };
            if longest.as_ref().is_none_or(|(prompt, _, known)| prompt + known.tokens < length + answer.tokens) {
                longest = Some((length, row.id.clone(), answer));
            }
        }
    }
    longest
}
