//! `slhf-lab model generate`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slhf_plan::{ModelAnswer, ModelTask, PromptText, Sampling};

use super::super::common::FormatArgument;
use super::asking::{DeviceArguments, unexpected};
use super::choice::ModelArguments;
use super::prompting::{SamplingArguments, messages, prompt};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Unless the command line says otherwise.
const USUAL: Sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 128 };

/// Answers that are sampled at once.
const BATCH_SIZE: u32 = 32;

/// Arguments of `model generate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// A user message, through the chat template (may be given several times)
    #[arg(long, value_name = "TEXT", required_unless_present = "messages", allow_hyphen_values = true)]
    prompt: Vec<String>,
    /// A conversation: a JSON file with a list of {role, content}
    #[arg(long, value_name = "FILE.json", conflicts_with = "prompt")]
    messages: Option<PathBuf>,
    /// The texts as they are, without a chat template
    #[arg(long, conflicts_with = "messages")]
    raw: bool,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    format: FormatArgument,
}

#[derive(Serialize)]
struct Answer {
    prompt: u32,
    text: String,
    token_ids: Vec<u32>,
    finished: bool,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let prompts = match &arguments.messages {
        Some(file) => vec![PromptText::Messages(messages(file)?)],
        None => arguments.prompt.iter().map(|text| prompt(text, arguments.raw)).collect(),
    };
    let count = prompts.len();
    let sampling = arguments.sampling.over(USUAL)?;
    let task = ModelTask::Generate {
        model: arguments.model.source()?,
        prompts,
        sampling,
        batch_size: BATCH_SIZE,
        seed: arguments.seed,
    };
    let format = arguments.format.format;
    let mut answers = Vec::new();
    arguments.device.ask(task, |answer| {
        let ModelAnswer::Generated { index, text, token_ids, finished } = answer else { return Err(unexpected()) };
        if format == Format::Table {
            let title = if count > 1 { format!("prompt {}\n", index + 1) } else { String::new() };
            let cut = if finished { "" } else { " […cut]" };
            let shown: Vec<String> = text.lines().map(output::visible).collect();
            output::print_text(&format!("{title}{}{cut}\n", shown.join("\n")))?;
        }
        answers.push(Answer { prompt: index, text, token_ids, finished });
        Ok(())
    })?;
    match format {
        Format::Table => Ok(()),
        Format::Json => output::print_json(&answers),
        format => output::print_table(&table(&answers), format),
    }
}

fn table(answers: &[Answer]) -> Table {
    let mut table = Table::new(vec![
        Column::number("prompt"),
        Column::text("text"),
        Column::number("tokens"),
        Column::text("finished"),
    ]);
    for answer in answers {
        table.push(vec![
            Cell::Integer(i64::from(answer.prompt)),
            Cell::text(&answer.text),
            Cell::count(answer.token_ids.len()),
            Cell::Boolean(answer.finished),
        ]);
    }
    table
}
