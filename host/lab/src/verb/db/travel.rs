//! Records that travel: merged, exported, copied, backed up.

use std::path::PathBuf;

use clap::Args;
use slhf_record::{Merged, OpenMode};
use slhf_toolchain::Bytes;

use super::super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};

#[derive(Debug, Args)]
pub(super) struct MergeArguments {
    /// Records whose runs are added, one after the other; they are only read. An export (.gz) and a record of an earlier version
    /// will do
    #[arg(value_name = "OTHER", required = true)]
    others: Vec<PathBuf>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

#[derive(Debug, Args)]
pub(super) struct CopyArguments {
    /// The new record; nothing may be there
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    record: RecordArgument,
}

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The backup; nothing may be there
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    record: RecordArgument,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The new record; compressed where its name ends in .gz
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Experiments
    #[arg(value_name = "EXPERIMENT", required = true)]
    experiments: Vec<String>,
    #[command(flatten)]
    record: RecordArgument,
}

/// Prints which number each run that came along has here.
pub(super) fn merge(arguments: &MergeArguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Create)?;
    let mut table = Table::new(vec![
        Column::number("run"),
        Column::text("name"),
        Column::text("from"),
        Column::number("run_there"),
        Column::text("how"),
    ]);
    for other in &arguments.others {
        let merged = record.merge(other).map_err(Failure::of_record)?;
        let from = other.display().to_string();
        for (runs, how) in [(&merged.taken.added, "added"), (&merged.taken.advanced, "brought up to date")] {
            for run in runs {
                let (here, there) = (Cell::Integer(run.here), Cell::Integer(run.there));
                table.push(vec![here, Cell::text(&run.name), Cell::text(&from), there, Cell::text(how)]);
            }
        }
        say_of(&from, &merged);
    }
    if table.rows.is_empty() { Ok(()) } else { output::print_table(&table, arguments.format.format) }
}

fn say_of(from: &str, merged: &Merged) {
    let taken = &merged.taken;
    if let Some(schema) = merged.without_ids {
        output::say(format!(
            "note: {from} has schema {schema}, from before runs had ids: its runs were recognized by what they are, and will be again as \
             long as no newer slhf-lab has written to it"
        ));
    }
    for (run, name) in &merged.running {
        output::say(format!(
            "note: run {run} of {from} ({}) stays behind: it, or another run of its group, is marked as running; merge again once it has ended",
            output::visible(name)
        ));
    }
    match &merged.elsewhere {
        Some(sentence) => output::say(format!("note: {sentence}")),
        None => {
            for (path, reason) in &taken.files.left_out {
                output::say(format!("note: not copied: {} {}", output::visible(path), output::visible(reason)));
            }
        }
    }
    if taken.is_nothing() {
        output::say(format!("nothing to merge from {from}: all its {} are here", runs(taken.known)));
        return;
    }
    output::say(format!(
        "merged {from}: {} added, {} brought up to date, {} known already; {} conclusions, audits, tags and notes; {} files of runs ({})",
        runs(taken.added.len()),
        taken.advanced.len(),
        taken.known,
        taken.remarks,
        taken.files.files,
        Bytes(taken.files.bytes)
    ));
}

/// `1 run`, `3 runs`.
fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

pub(super) fn export(arguments: &ExportArguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    record.export(&arguments.experiments, &arguments.to).map_err(Failure::of_record)
}

pub(super) fn copy(arguments: &CopyArguments) -> Result<(), Failure> {
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

pub(super) fn backup(arguments: &BackupArguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let bytes = record.back_up(&arguments.to).map_err(Failure::of_record)?;
    output::say(format!("backed up to {} ({}), and read back", arguments.to.display(), Bytes(bytes)));
    Ok(())
}
