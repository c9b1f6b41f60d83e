//! `slhf-lab model score`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use slhf_plan::{Message, ModelAnswer, ModelFault, ModelTask, NamedValue, Truncation, TruncationSide};

use super::super::common::FormatArgument;
use super::asking::{DeviceArguments, unexpected};
use super::choice::ModelArguments;
use super::prompting::{messages, user};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `model score`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    scored: ScoredArguments,
    /// A response to it (may be given several times)
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present = "rows",
        conflicts_with = "rows",
        allow_hyphen_values = true
    )]
    response: Vec<String>,
    /// Only the value of this label (may be given several times) [default: all labels of the model]
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// Cut what is longer to so many tokens [default: what is longer than the model's positions has no score]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// Where it is cut
    #[arg(long, value_enum, default_value = "right", requires = "max_tokens")]
    truncation_side: Side,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    format: FormatArgument,
}

/// What is scored.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct ScoredArguments {
    /// One user message
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// A conversation: a JSON file with a list of {role, content}
    #[arg(long, value_name = "FILE.json")]
    messages: Option<PathBuf>,
    /// A JSON object a line: {messages} that end with a response, or {prompt, response}
    #[arg(long, value_name = "FILE.jsonl")]
    rows: Option<PathBuf>,
}

/// A side on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    /// The end is lost
    Right,
    /// The beginning is lost
    Left,
}

#[derive(Serialize)]
struct Scored {
    row: u32,
    tokens: u32,
    /// None where there is a fault.
    values: Option<Vec<NamedValue>>,
    fault: Option<ModelFault>,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let task = ModelTask::Score {
        model: arguments.model.source()?,
        conversations: conversations(arguments)?,
        labels: arguments.label.clone(),
        truncation: arguments.max_tokens.map(|max_tokens| {
            let side = match arguments.truncation_side {
                Side::Right => TruncationSide::Right,
                Side::Left => TruncationSide::Left,
            };
            Truncation { max_tokens, side }
        }),
    };
    let mut rows = Vec::new();
    arguments.device.ask(task, |answer| {
        let ModelAnswer::Scored { index, token_count, outcome } = answer else { return Err(unexpected()) };
        let (values, fault) = match outcome {
            Ok(values) => (Some(values), None),
            Err(fault) => (None, Some(fault)),
        };
        rows.push(Scored { row: index + 1, tokens: token_count, values, fault });
        Ok(())
    })?;
    match arguments.format.format {
        Format::Json => output::print_json(&rows)?,
        format => output::print_table(&table(&rows), format)?,
    }
    let faults = || rows.iter().filter_map(|row| row.fault.as_ref().map(|fault| (row.row, fault)));
    match faults().next() {
        None => Ok(()),
        Some((row, fault)) => Err(Failure::failed(format!(
            "rows without a score: {} of {}; the first is row {row}: {}",
            faults().count(),
            rows.len(),
            fault.reason
        ))),
    }
}

fn conversations(arguments: &Arguments) -> Result<Vec<Vec<Message>>, Failure> {
    if let Some(file) = &arguments.scored.rows {
        return slhf_foreign::conversations(file).map_err(Failure::bad_input);
    }
    let before = match &arguments.scored.messages {
        Some(file) => messages(file)?,
        None => vec![user(arguments.scored.prompt.as_deref().unwrap_or_default())],
    };
    let with = |response: &String| {
        let response = Message { role: "assistant".to_owned(), content: response.clone() };
        [before.clone(), vec![response]].concat()
    };
    Ok(arguments.response.iter().map(with).collect())
}

fn table(rows: &[Scored]) -> Table {
    let labels: Vec<&str> = rows
        .iter()
        .find_map(|row| row.values.as_ref())
        .into_iter()
        .flatten()
        .map(|value| value.name.as_str())
        .collect();
    let values = labels.iter().map(|label| Column::number(output::visible(label)).titled(output::visible(label)));
    let ends = [Column::number("row"), Column::number("tokens")].into_iter();
    let mut table = Table::new(ends.chain(values).chain([Column::text("fault")]).collect());
    for row in rows {
        let mut cells = vec![Cell::Integer(i64::from(row.row)), Cell::Integer(i64::from(row.tokens))];
        match &row.values {
            Some(values) => cells.extend(values.iter().map(|value| Cell::Number(value.value))),
            None => cells.extend(labels.iter().map(|_| Cell::Empty)),
        }
        cells.push(row.fault.as_ref().map_or(Cell::Empty, |fault| Cell::text(&fault.reason)));
        table.push(cells);
    }
    table.without_empty_columns()
}
