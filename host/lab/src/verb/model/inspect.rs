//! `slhf-lab model inspect`.

use clap::Args;
use serde_json::Value as Json;
use slhf_plan::{ModelAnswer, ModelTask};

use super::super::common::FormatArgument;
use super::asking::{DeviceArguments, unexpected};
use super::choice::ModelArguments;
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Header, Table};

/// Arguments of `model inspect`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let task = ModelTask::Inspect { model: arguments.model.source()? };
    arguments.device.ask(task, |answer| {
        let ModelAnswer::Description(text) = answer else { return Err(unexpected()) };
        let description: Json = serde_json::from_str(&text).map_err(Failure::failed)?;
        match arguments.format.format {
            Format::Json => output::print_json(&description),
            format => output::print_table(&table(&description), format),
        }
    })
}

/// One line a fact; the tensors are counted, `--format json` lists them.
fn table(description: &Json) -> Table {
    let mut table = Table::new(vec![Column::text("what"), Column::text("value")]);
    table.header = Header::Hidden;
    for (key, value) in description.as_object().into_iter().flatten() {
        let value = match value {
            Json::Null => continue,
            Json::String(text) => Cell::text(text),
            Json::Array(entries) if key == "tensors" => {
                Cell::text(format!("{} (--format json lists them)", entries.len()))
            }
            Json::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| format!("{key} {value}"));
                Cell::text(fields.collect::<Vec<_>>().join(", "))
            }
            other => Cell::text(other.to_string()),
        };
        table.push(vec![Cell::text(key), value]);
    }
    table
}
