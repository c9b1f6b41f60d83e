//! `slhf-lab rm`: moves runs into the record's trash, and back.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Args;
use slhf_record::{OpenMode, Record, Removal};

use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output;

/// Runs that are named before the rest is counted.
const NAMED_MAX: usize = 10;

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Runs (numbers, experiment/cell/seed, or unique beginnings of it), or experiments with all their runs; with --undo numbers of
    /// runs, none: all
    #[arg(value_name = "RUN|EXPERIMENT", required_unless_present = "undo")]
    what: Vec<String>,
    /// Do not ask
    #[arg(long, conflicts_with = "undo")]
    yes: bool,
    /// Bring runs back from the trash, under their numbers; `db gc` empties it for good
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    record: RecordArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Write)?;
    if arguments.undo {
        return undo(&mut record, arguments);
    }
    let removal = named(&mut record, arguments)?;
    let runs = record.removable(&removal).map_err(Failure::of_record)?;
    if !arguments.yes && !asked(&mut record, &runs)? {
        output::say("nothing was removed");
        return Ok(());
    }
    let taken = record.remove_runs(&removal).map_err(Failure::of_record)?;
    for (path, reason) in &taken.files.left_out {
        output::say(format!("note: not moved: {} {}", output::visible(path), output::visible(reason)));
    }
    output::say(format!(
        "moved {} into {}: `slhf-lab rm --undo` brings them back, `slhf-lab db gc` deletes them for good",
        count(runs.len()),
        record.trash_path().display()
    ));
    Ok(())
}

fn undo(record: &mut Record, arguments: &Arguments) -> Result<(), Failure> {
    let mut runs = Vec::with_capacity(arguments.what.len());
    for name in &arguments.what {
        let wrong = || Failure::bad_input(format!("\"{}\" is no number of a run in the trash", output::visible(name)));
        runs.push(name.parse::<i64>().map_err(|_| wrong())?);
    }
    let taken = record.restore_runs(&runs).map_err(Failure::of_record)?;
    let back: Vec<String> =
        taken.added.iter().map(|run| format!("{} ({})", run.here, output::visible(&run.name))).collect();
    output::say(format!("brought back {}: {}", count(back.len()), back.join(", ")));
    Ok(())
}

/// A word names an experiment, if there is one of that name, else a run.
fn named(record: &mut Record, arguments: &Arguments) -> Result<Removal, Failure> {
    let experiments: Vec<String> =
        record.experiments().map_err(Failure::failed)?.into_iter().map(|known| known.experiment).collect();
    let mut removal = Removal::default();
    for name in &arguments.what {
        if experiments.contains(name) {
            removal.experiments.push(name.clone());
        } else {
            removal.runs.push(record.resolve_run(name).map_err(Failure::of_record)?.run);
        }
    }
    Ok(removal)
}

/// Asks on the terminal; without one there is nobody to ask.
fn asked(record: &mut Record, runs: &[i64]) -> Result<bool, Failure> {
    let filter = slhf_record::RunFilter { runs: runs.to_vec(), ..slhf_record::RunFilter::default() };
    let all = if runs.is_empty() { Vec::new() } else { record.runs(&filter).map_err(Failure::failed)? };
    for run in all.iter().take(NAMED_MAX) {
        output::say(format!("run {} ({}), {}", run.run, output::visible(&run.name()), run.status));
    }
    if all.len() > NAMED_MAX {
        output::say(format!("and {} more", all.len() - NAMED_MAX));
    }
    if !io::stdin().is_terminal() {
        let sentence = format!("{} would be removed, and nobody can be asked here: say --yes", count(runs.len()));
        return Err(Failure::bad_input(sentence));
    }
    output::say(format!("Move {} into the trash? [y/N]", count(runs.len())));
    let mut reply = String::new();
    io::stdin().lock().read_line(&mut reply).map_err(Failure::failed)?;
    Ok(matches!(reply.trim(), "y" | "Y" | "yes"))
}

fn count(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}
