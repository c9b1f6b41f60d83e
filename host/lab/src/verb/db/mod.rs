//! `slhf-lab db`: looks after the record.

mod travel;
mod upkeep;
mod views;

use clap::{Args, Subcommand};

use super::common::FormatArgument;
use crate::failure::Failure;
use crate::output::{self, Format};

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
    /// Add the runs of other records with all that is recorded of them and their files. Runs are recognized by their random ids:
    /// none doubles, and where two records contradict each other nothing is written
    Merge(travel::MergeArguments),
    /// Write the finished runs of experiments (their latest executions) to a compact record that names no machine and keeps
    /// 25 steps of the histories of games and closed response sets; reading verbs take it as --db
    Export(travel::ExportArguments),
    /// Copy the record as it is now with the checkpoints and weights of its runs; the copy is a record of its own
    Copy(travel::CopyArguments),
    /// Back up the record's file as it is now, also while runs are computed, and read the backup back; it keeps the record's id
    /// and holds no checkpoints (`copy` brings them along)
    Backup(travel::BackupArguments),
    /// Check the record: the file, its references, every file of every run, runs that nobody computes
    Check(upkeep::CheckArguments),
    /// Delete what serves nothing any more: files that no row names, outdated checkpoints, and the trash of `rm`
    Gc(upkeep::GcArguments),
    /// Give the space of deleted rows back to the system
    Vacuum(upkeep::VacuumArguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Schema(format) => schema(*format),
        Verb::Merge(arguments) => travel::merge(arguments),
        Verb::Export(arguments) => travel::export(arguments),
        Verb::Copy(arguments) => travel::copy(arguments),
        Verb::Backup(arguments) => travel::backup(arguments),
        Verb::Check(arguments) => upkeep::check(arguments),
        Verb::Gc(arguments) => upkeep::gc(arguments),
        Verb::Vacuum(arguments) => upkeep::vacuum(arguments),
    }
}

fn schema(format: FormatArgument) -> Result<(), Failure> {
    let all = slhf_record::views();
    match format.format {
        Format::Table => output::print_text(&views::for_people(all)),
        Format::Markdown => output::print_text(&views::markdown(all)),
        format => output::print_table(&views::flat(all), format),
    }
}
