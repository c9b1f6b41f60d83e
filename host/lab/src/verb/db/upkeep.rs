//! `db check`, `db gc` and `db vacuum`.

use clap::Args;
use slhf_record::{GarbageKind, OpenMode, Record};
use slhf_toolchain::Bytes;

use super::super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

#[derive(Debug, Args)]
pub(super) struct GcArguments {
    /// Only list what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

#[derive(Debug, Args)]
pub(super) struct VacuumArguments {
    #[command(flatten)]
    record: RecordArgument,
}

/// Prints every problem with its cure; fails when there is one.
pub(super) fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    // Not as other verbs do: a run that nobody computes is a finding, and is not marked.
    let mut record = Record::open(&arguments.record.db, OpenMode::Read).map_err(Failure::of_record)?;
    let problems = record.check().map_err(Failure::failed)?;
    if problems.is_empty() {
        output::say(format!("{}: nothing is wrong", arguments.record.db.display()));
        return Ok(());
    }
    let mut table = Table::new(["subject", "found", "mend"].map(Column::text).to_vec());
    for problem in &problems {
        table.push(vec![Cell::text(&problem.subject), Cell::text(&problem.found), Cell::text(&problem.cure)]);
    }
    output::print_table(&table, arguments.format.format)?;
    Err(Failure::failed(match problems.len() {
        1 => "1 thing is wrong with the record: the table says what mends it".to_owned(),
        count => format!("{count} things are wrong with the record: the table says what mends them"),
    }))
}

/// Prints what is deleted, or would be.
pub(super) fn gc(arguments: &GcArguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let found = record.garbage().map_err(Failure::of_record)?;
    let trash = found.iter().find(|garbage| garbage.kind == GarbageKind::Trash);
    if let (Some(trash), false) = (trash, arguments.dry_run) {
        output::say(format!(
            "emptying the trash {}: its {} runs ({}) are gone for good",
            trash.path.display(),
            trash.runs,
            Bytes(trash.bytes)
        ));
    }
    let gone = if arguments.dry_run { found } else { record.collect_garbage().map_err(Failure::of_record)? };
    let bytes = gone.iter().map(|garbage| garbage.bytes).sum();
    let mut table = Table::new(vec![Column::text("file"), Column::number("bytes"), Column::text("why")]);
    for garbage in &gone {
        let why = match garbage.kind {
            GarbageKind::Unnamed => "no row names it".to_owned(),
            GarbageKind::OutdatedCheckpoint => "its run keeps later checkpoints, or none".to_owned(),
            GarbageKind::Trash => format!("{} removed runs", garbage.runs),
        };
        let bytes = i64::try_from(garbage.bytes).unwrap_or(i64::MAX);
        table.push(vec![Cell::text(garbage.path.display().to_string()), Cell::Integer(bytes), Cell::text(why)]);
    }
    if !table.rows.is_empty() {
        output::print_table(&table, arguments.format.format)?;
    }
    output::say(match (gone.len(), arguments.dry_run) {
        (0, _) => "nothing to delete".to_owned(),
        (_, true) => format!("{} would be freed: without --dry-run they are", Bytes(bytes)),
        (_, false) => format!("{} freed", Bytes(bytes)),
    });
    Ok(())
}

pub(super) fn vacuum(arguments: &VacuumArguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Write)?;
    let done = record.vacuum().map_err(Failure::of_record)?;
    let path = arguments.record.db.display();
    output::say(format!("{path}: {} bytes before, {} bytes after", done.before, done.after));
    Ok(())
}
