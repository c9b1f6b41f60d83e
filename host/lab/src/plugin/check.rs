//! `slhf-lab plugin check`: whether a plugin keeps its promises, whatever language it came from.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use slhf_judge::Response;
use slhf_judge::conformance::{self, Corpus, Outcome, Report};
use thiserror::Error;

use super::asked::{self, PluginArguments};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `plugin check`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    plugin: PluginArguments,
    /// Responses to ask about, for a plugin that knows only certain ones (a table's actions): a JSON list of
    /// {"text": …, "metadata": {…}}
    #[arg(long, value_name = "FILE")]
    responses: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Error)]
enum CheckError {
    #[error("'{plugin}' failed {}: {}", counted(names.len()), names.join(", "))]
    Failed { plugin: String, names: Vec<&'static str> },
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{} is not a JSON list of two or more responses, such as [{{\"text\": \"a\"}}, {{\"text\": \"b\", \"metadata\": {{}}}}]: {reason}",
        path.display()
    )]
    NoResponses { path: PathBuf, reason: String },
}

/// A response as the file of `--responses` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseInFile {
    text: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

fn counted(checks: usize) -> String {
    if checks == 1 { "a check".to_owned() } else { format!("{checks} checks") }
}

/// Runs the conformance suite and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut plan = arguments.plugin.plan()?;
    let corpus =
        arguments.responses.as_deref().map_or_else(|| Ok(Corpus::default()), corpus).map_err(Failure::bad_input)?;
    let host = asked::host(&arguments.plugin.models, None, &mut plan)?;
    let report = conformance::check(host.host(), &plan, &corpus).map_err(Failure::bad_input)?;
    host.remark();
    print(&report, arguments.format)?;
    let failed = report.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    let names: Vec<&'static str> = failed.map(|check| check.name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(CheckError::Failed { plugin: arguments.plugin.plugin.clone(), names }))
}

/// The usual questions about the responses of a file.
fn corpus(path: &Path) -> Result<Corpus, CheckError> {
    let text = slhf_files::read_text(path, slhf_files::DATA_BYTES_MAX)
        .map_err(|source| CheckError::Unreadable { path: path.to_owned(), source })?;
    let bad = |reason| CheckError::NoResponses { path: path.to_owned(), reason };
    let responses: Vec<ResponseInFile> = slhf_json::read(text.as_bytes())
        .and_then(|responses| serde_json::from_value(slhf_json::without_marks(responses)))
        .map_err(|error| bad(error.to_string()))?;
    if responses.len() < 2 {
        return Err(bad(format!("it holds {}", responses.len())));
    }
    let response = |ResponseInFile { text, metadata }| Response {
        metadata: Value::Object(metadata).to_string().into(),
        ..Response::from_text(text)
    };
    Ok(Corpus { responses: responses.into_iter().map(response).collect(), ..Corpus::default() })
}

fn print(report: &Report, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let passed = report.has_passed();
        return output::print_json(&json!({
            "name": report.name,
            "version": report.version,
            "world": report.world,
            "passed": passed,
            "checks": report.checks,
        }));
    }
    let mut table = Table::new(["check", "outcome", "finding"].map(Column::text).into());
    for check in &report.checks {
        let outcome = match check.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Reported => "reported",
        };
        table.push(vec![Cell::text(check.name), Cell::State(outcome.to_owned()), Cell::text(check.detail.as_str())]);
    }
    output::print_table(&table, format)
}
