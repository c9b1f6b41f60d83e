//! `slhf-lab reproduce`: computes a run again from its frozen plan, and compares all of its numbers with those of the record.

mod again;
mod environment;
mod inputs;
mod numbers;

use std::path::PathBuf;

use clap::Args;
use slhf_plan::FrozenWork;
use slhf_record::{OpenMode, Record, RunSummary};

use self::numbers::Comparison;
use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, visible};
use crate::running::{Signals, WorkerProgram};

/// Arguments of `reproduce`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A number, `latest`, experiment/cell/seed, or a unique beginning of it
    #[arg(value_name = "RUN")]
    run: String,
    /// Keep the record of the second computation at this path
    #[arg(long, value_name = "PATH")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    let name = format!("run {} ({})", run.run, visible(&run.name()));
    let work = plan(&mut record, &run, &name)?;
    if work.work().is_sampled_by_a_server() {
        return Err(Failure::bad_input(format!(
            "{name} cannot be reproduced to the bit: a server sampled its responses (device.sampler), and samples others each time; run its \
             experiment again, and set the two beside each other with `slhf-lab compare`"
        )));
    }
    let program = WorkerProgram::find().map_err(Failure::failed)?;
    for difference in environment::differences(&mut record, run.run, work.work(), &program)? {
        output::say(format!("note: {difference}"));
    }
    let signals = Signals::handle();
    let second = again::compute(
        &mut record,
        &run,
        work,
        &again::Tools { program: &program, signals: &signals, keep: arguments.keep.as_deref() },
    )?;
    let mut computed = second.open()?;
    let comparison = Comparison::between((&mut record, run.run), (&mut computed, second.run()))?;
    output::print_table(&comparison.table(), arguments.format.format)?;
    match comparison.first() {
        None => {
            output::say(format!("{name} was reproduced: {} numbers are the same", comparison.compared()));
            Ok(())
        }
        Some(first) => Err(Failure::failed(format!("{name} was not reproduced: {first}"))),
    }
}

/// The frozen plan, of this run alone, with the plugins where their components are found.
fn plan(record: &mut Record, run: &RunSummary, name: &str) -> Result<FrozenWork, Failure> {
    let frozen = record.frozen_plan(run.run).map_err(Failure::failed)?;
    let Some(frozen) = frozen else {
        return Err(Failure::bad_input(format!(
            "{name} has no frozen plan in the record; name a run that was computed"
        )));
    };
    let folder = record.checkpoint_folder().map_err(Failure::failed)?.path().to_owned();
    let frozen = inputs::located(&frozen, &folder)?;
    let work = FrozenWork::read(frozen).map_err(|error| {
        Failure::failed(format!("the frozen plan of {name} was written by another version of slhf-lab ({error})"))
    })?;
    Ok(work.with_runs(|other| other == run.run))
}
