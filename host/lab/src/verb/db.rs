//! `slhf-lab db`: looks after the record.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use slhf_record::{OpenMode, View, views};

use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `db`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the views of the record with their columns: what `query` may ask
    Schema(FormatArgument),
    /// Write the finished runs of experiments (their latest executions) to a compact record that names no machine; reading
    /// verbs take it as --db
    Export(ExportArguments),
    /// Copy the record as it is now with the checkpoints and weights of its runs; the copy is a record of its own
    Copy(CopyArguments),
}

#[derive(Debug, Args)]
struct CopyArguments {
    /// The new record; nothing may be there
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    record: RecordArgument,
}

#[derive(Debug, Args)]
struct ExportArguments {
    /// The new record; compressed where its name ends in .gz
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Experiments
    #[arg(value_name = "EXPERIMENT", required = true)]
    experiments: Vec<String>,
    #[command(flatten)]
    record: RecordArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let format = match &arguments.verb {
        Verb::Schema(format) => format,
        Verb::Copy(arguments) => return copy(arguments),
        Verb::Export(export) => {
            let mut record = export.record.open(OpenMode::Read)?;
            return record.export(&export.experiments, &export.to).map_err(Failure::of_record);
        }
    };
    match format.format {
        Format::Table => output::print_text(&for_people(views())),
        Format::Markdown => output::print_text(&markdown(views())),
        format => output::print_table(&flat(views()), format),
    }
}

fn copy(arguments: &CopyArguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let copied = record.copy_to(&arguments.to).map_err(Failure::of_record)?;
    if let Some(sentence) = copied.elsewhere {
        output::say(format!("note: {sentence}"));
    } else {
        for (path, reason) in &copied.left_out {
            output::say(format!("note: not copied: {} {}", output::visible(path), output::visible(reason)));
        }
    }
    output::say(format!(
        "copied to {} with {} checkpoints and adapters ({} bytes)",
        arguments.to.display(),
        copied.files,
        copied.bytes
    ));
    Ok(())
}

/// One row a column of a view.
fn flat(views: &[View]) -> Table {
    let mut table =
        Table::new(vec![Column::text("view"), Column::text("column"), Column::text("type"), Column::text("meaning")]);
    for view in views {
        for column in view.columns {
            table.push(vec![
                Cell::text(view.name),
                Cell::text(column.name),
                Cell::text(column.kind.as_str()),
                Cell::text(column.meaning),
            ]);
        }
    }
    table
}

fn for_people(views: &[View]) -> String {
    let mut text = String::new();
    for view in views {
        let width = view.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
        let _ = writeln!(text, "{}: {}", view.name, view.meaning);
        for column in view.columns {
            let _ = writeln!(text, "    {:width$}  {:7}  {}", column.name, column.kind.as_str(), column.meaning);
        }
        text.push('\n');
    }
    text.push_str(
        "Example: slhf-lab query \"SELECT experiment, cell, count(*) FROM runs GROUP BY experiment, cell\"\n",
    );
    text
}

/// docs/reference/record.md is this text.
fn markdown(views: &[View]) -> String {
    let mut text = String::from(
        "# The record's views\n\nMade by `slhf-lab db schema --format markdown`; do not edit. The record is one SQLite \
         file. Its tables may change with a\nmigration, these views and their columns do not. Times are ISO 8601, UTC. \
         Where a number is not finite, `value` is NULL\nand `non_finite` is `nan`, `inf` or `-inf`.\n",
    );
    for view in views {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n| column | type | meaning |\n| --- | --- | --- |\n",
            view.name, view.meaning
        );
        for column in view.columns {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} |",
                column.name,
                column.kind.as_str(),
                column.meaning.replace('|', "\\|")
            );
        }
    }
    text
}
