//! `slhf-lab check`: reads, checks and plans experiments; writes nothing, and starts a worker for closed response sets alone.

mod start;

use std::path::PathBuf;

use clap::Args;

use slhf_experiment::{self as experiment, Absent, Experiment, LoadOptions, SetOverride};
use slhf_words::chain;

use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Experiments
    #[arg(required = true, value_name = "FILE.toml")]
    files: Vec<PathBuf>,
    /// Override a setting: KEY=VALUE, the value as TOML or else as text
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<SetOverride>,
    /// A file of data in the place of the one that the experiments name
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Show the gaps before the first step of all cells on closed response sets, not of the first alone
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    record: RecordArgument,
}

/// Runs the verb: a line on stdout for every good file, on stderr for every bad one.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    // What a device is called on this machine changes nothing about a file's being right.
    let auto_device = |_threads: u32| Ok("cpu".to_owned());
    let data = arguments.data.as_deref().map(std::path::absolute).transpose().map_err(Failure::bad_input)?;
    let find_run = |named: &str| super::common::reward_model_of(&arguments.record, named);
    let options = LoadOptions {
        overrides: &arguments.overrides,
        auto_device: &auto_device,
        data: data.as_deref(),
        find_run: &find_run,
        absent: Absent::Described,
    };
    let mut bad = 0;
    for file in &arguments.files {
        match experiment::load(file, &options) {
            Ok(experiment) => {
                output::print_text(&format!("{}: {}\n", file.display(), summary(&experiment)))?;
                for note in &experiment.notes {
                    output::say(format!("note: {}: {}", file.display(), output::visible(note)));
                }
                let shown = if arguments.start { start::Shown::All } else { start::Shown::First };
                match start::show(file, &experiment, shown) {
                    // It was not asked for, and the file is right whatever a worker can do here.
                    Err(why) if shown == start::Shown::First && !matches!(why, Failure::Interrupted) => {
                        for why in why.sentences() {
                            let why = output::visible(&why);
                            output::say(format!("note: {}: the gap at step 0 is not shown: {why}", file.display()));
                        }
                    }
                    ended => ended?,
                }
            }
            Err(error) => {
                bad += 1;
                for error in error.each() {
                    output::say(format!("error: {}", output::visible(&chain(&error))));
                }
            }
        }
    }
    match (bad, arguments.files.len()) {
        (0, _) => Ok(()),
        (1, 1) => Err(Failure::bad_input("the experiment is not valid")),
        (bad, files) => Err(Failure::bad_input(format!("{bad} of {files} experiments are not valid"))),
    }
}

fn summary(experiment: &Experiment) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "valid; {} × {} = {} in {}",
        plural(experiment.cells.len(), "cell"),
        plural(experiment.seeds.len(), "seed"),
        plural(experiment.runs.len(), "run"),
        plural(experiment.groups.len(), "batch group"),
    )
}
