//! `slhf-lab note`: what is to be remembered of a run.

use clap::Args;
use slhf_record::OpenMode;

use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output;

/// Arguments of `note`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A number, `latest`, experiment/cell/seed, or a unique beginning of it
    #[arg(value_name = "RUN")]
    run: String,
    /// The note; earlier ones stay. `show` prints them
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    record: RecordArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Write)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    record.add_note(run.run, &arguments.text).map_err(Failure::of_record)?;
    output::say(format!("noted on run {} ({})", run.run, output::visible(&run.name())));
    Ok(())
}
