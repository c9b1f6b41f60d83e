//! `slhf-lab export`: recorded results in the formats of other tools.

mod preferences;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use slhf_export::{Exported, TableFormat};
use slhf_record::{ExecutionChoice, OpenMode, Record, RunFilter, RunSummary};

use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Runs (numbers, `latest`, experiment/cell/seed, or unique beginnings of it), or experiments (their latest executions)
    #[arg(value_name = "RUN|EXPERIMENT", required = true)]
    what: Vec<String>,
    /// What is written
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Kind,
    /// The new folder, or file (mlflow, preferences); nothing may be there
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    #[command(flatten)]
    record: RecordArgument,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A folder of Parquet files: runs, parameters, metrics, schedules, evaluations, completions, tags
    Parquet,
    /// The same tables as CSV
    Csv,
    /// The same tables as JSON lines
    Jsonl,
    /// A folder of TensorBoard's event files, with hyper-parameters
    Tensorboard,
    /// A new SQLite store of MLflow (`mlflow db upgrade` brings it up to date)
    Mlflow,
    /// Judged responses as preferences (prompt, chosen, rejected) for Hugging Face's trainers; Parquet where the name ends in
    /// .parquet, else JSON lines
    Preferences,
}

/// Writes, and prints what was written.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let runs = named(&mut record, &arguments.what)?;
    let format = match arguments.format {
        Kind::Parquet => slhf_export::Format::Tables(TableFormat::Parquet),
        Kind::Csv => slhf_export::Format::Tables(TableFormat::Csv),
        Kind::Jsonl => slhf_export::Format::Tables(TableFormat::JsonLines),
        Kind::Tensorboard => slhf_export::Format::TensorBoard,
        Kind::Mlflow => slhf_export::Format::Mlflow,
        Kind::Preferences => return preferences::write(&mut record, &runs, &arguments.to),
    };
    let written = slhf_export::export(&mut record, &runs, format, &arguments.to).map_err(Failure::of_export)?;
    output::print_table(&table(&written), Format::Table)?;
    if arguments.format == Kind::Mlflow {
        let store = output::visible(&arguments.to.display().to_string());
        output::say(format!("`mlflow db upgrade sqlite:///{store}` brings it to the schema of your MLflow"));
    }
    Ok(())
}

fn table(written: &[Exported]) -> Table {
    let mut table = Table::new(vec![Column::text("file"), Column::number("rows")]);
    for file in written {
        let rows = i64::try_from(file.rows).unwrap_or(i64::MAX);
        table.push(vec![Cell::text(file.path.display().to_string()), Cell::Integer(rows)]);
    }
    table
}

/// The runs that were named, each once, by number. A word names an experiment, if there is one of that name, else a run.
fn named(record: &mut Record, names: &[String]) -> Result<Vec<RunSummary>, Failure> {
    let known = record.experiments().map_err(Failure::failed)?;
    let mut runs: Vec<RunSummary> = Vec::new();
    for name in names {
        if known.iter().any(|experiment| experiment.experiment == *name) {
            let execution = ExecutionChoice::Latest;
            let filter = RunFilter { experiment: Some(name.clone()), execution, ..RunFilter::default() };
            runs.extend(record.runs(&filter).map_err(Failure::failed)?);
        } else {
            runs.push(record.resolve_run(name).map_err(Failure::of_record)?);
        }
    }
    runs.sort_by_key(|run| run.run);
    runs.dedup_by_key(|run| run.run);
    Ok(runs)
}
