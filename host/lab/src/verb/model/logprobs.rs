//! `slhf-lab model logprobs`.

use clap::Args;
use serde::Serialize;
use slhf_plan::{ModelAnswer, ModelTask, PromptText};

use super::super::common::FormatArgument;
use super::asking::{DeviceArguments, unexpected};
use super::choice::ModelArguments;
use super::prompting::{PromptArguments, messages, prompt};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `model logprobs`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    prompt: PromptArguments,
    /// The text as it is, without a chat template
    #[arg(long, conflicts_with = "messages")]
    raw: bool,
    /// The response: no special token is added, no end-of-sequence appended
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    response: String,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    format: FormatArgument,
}

#[derive(Serialize)]
struct Answer {
    token_ids: Vec<u32>,
    tokens: Vec<String>,
    logprobs: Vec<f64>,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.response.is_empty() {
        return Err(Failure::bad_input("--response is empty: there is no token to give a probability to"));
    }
    let prompt = match &arguments.prompt.messages {
        Some(file) => PromptText::Messages(messages(file)?),
        None => prompt(arguments.prompt.prompt.as_deref().unwrap_or_default(), arguments.raw),
    };
    let model = arguments.model.source()?;
    let task = ModelTask::LogProbabilities { model, prompt, response: arguments.response.clone() };
    arguments.device.ask(task, |answer| {
        let ModelAnswer::LogProbabilities { token_ids, tokens, logprobs } = answer else { return Err(unexpected()) };
        let answer = Answer { token_ids, tokens, logprobs };
        match arguments.format.format {
            Format::Json => output::print_json(&answer),
            format => output::print_table(&table(&answer), format),
        }
    })
}

fn table(answer: &Answer) -> Table {
    let mut table = Table::new(vec![Column::number("token_id"), Column::text("token"), Column::number("logprob")]);
    for ((id, token), logprob) in answer.token_ids.iter().zip(&answer.tokens).zip(&answer.logprobs) {
        table.push(vec![Cell::Integer(i64::from(*id)), Cell::text(token), Cell::Number(*logprob)]);
    }
    table
}
