//! `slhf-lab task`: computes a task of a launch, in a record of its own. A launcher calls it; no user needs to.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::Args;
use slhf_launch::{Attempt, AttemptEnd, Begin, LaunchFolder, LauncherKind, SIGN_OF_LIFE_S, Task, requeue_this_job};
use slhf_record::{OpenMode, ProcessIdentity, Record};
use slhf_words::chain;

use super::resume::{Finishing, finish, unfinished};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::running::{Places, Signals, WorkerProgram};

/// Arguments of `task`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder of the launch
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The number of the task
    #[arg(value_name = "NUMBER")]
    number: u32,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let launch = LaunchFolder::open(&arguments.folder).map_err(Failure::bad_input)?;
    let task = launch.task(arguments.number).map_err(Failure::bad_input)?;
    let signals = Signals::handle();
    match task.begin().map_err(Failure::failed)? {
        Begin::Over => output::say(format!("task {} is done, or was taken back", task.number())),
        Begin::Elsewhere(who) => output::say(format!("task {}: {who} computes it already", task.number())),
        Begin::Compute { attempt, earlier } => return attempt_it((&launch, &task), (&attempt, &earlier), &signals),
    }
    Ok(())
}

/// One attempt, with signs of life all the while, and how it ended in its folder.
fn attempt_it(
    (launch, task): (&LaunchFolder, &Task<'_>),
    (attempt, earlier): (&Attempt, &[Attempt]),
    signals: &Signals,
) -> Result<(), Failure> {
    let (over, ended) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        scope.spawn(move || give_signs_of_life(attempt.clone(), signals, &ended));
        let result = compute((launch, task), (attempt, earlier), signals);
        drop(over);
        result
    });
    let end = match &result {
        Ok(end) => end.clone(),
        Err(failure) => AttemptEnd::Stopped { reason: failure.sentences().join("; ") },
    };
    attempt.end(&end).map_err(Failure::failed)?;
    let _ = result?;
    let AttemptEnd::Stopped { reason } = end else { return Ok(()) };
    if !signals.stop_asked() {
        return Err(Failure::failed(reason));
    }
    // A job of Slurm that this process only happens to run in is its user's.
    let is_job = launch.plan().launcher == LauncherKind::Slurm;
    if is_job && !task.is_closed() && requeue_this_job().map_err(Failure::failed)? {
        output::say("the job waits in the queue again");
    }
    Err(Failure::Interrupted)
}

/// Until the sender is dropped. Where the lab has taken the task back, this process stops after its step.
fn give_signs_of_life(mut attempt: Attempt, signals: &Signals, ended: &mpsc::Receiver<()>) {
    let interval = Duration::from_secs(SIGN_OF_LIFE_S);
    while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        match attempt.give_sign_of_life() {
            Ok(false) if !signals.stop_asked() => signals.stop(),
            Ok(_) => {}
            Err(error) => tracing::warn!("no sign of life: {}", chain(&error)),
        }
    }
}

/// Computes what is left of the task.
fn compute(
    (launch, task): (&LaunchFolder, &Task<'_>),
    (attempt, earlier): (&Attempt, &[Attempt]),
    signals: &Signals,
) -> Result<AttemptEnd, Failure> {
    let program = WorkerProgram::find().map_err(Failure::failed)?;
    let mut record = begin_record((launch, task), attempt, earlier)?;
    let settings = &launch.plan().settings;
    let places = Places::Planned(settings.jobs);
    let groups = unfinished(&mut record, &[])?;
    let how = Finishing {
        program: &program,
        places: &places,
        signals,
        allow_divergence: settings.allow_divergence,
        processes: settings.processes,
        budget_tokens: settings.budget_tokens,
        format: Format::Table,
    };
    let finished = finish(record, groups, &how)?;
    drop(finished.record);
    let tally = finished.tally;
    let stopped = |reason: String| Ok(AttemptEnd::Stopped { reason });
    if signals.stop_asked() {
        return stopped(signals.reason().to_owned());
    }
    if finished.refused > 0 {
        return stopped("its numbers could differ from those before (see what it printed)".to_owned());
    }
    match tally.interrupted.into_iter().next() {
        Some((run, reason)) => stopped(format!("run {run} was interrupted: {reason}")),
        None if tally.pending > 0 => stopped(format!("{} of its runs were not started", tally.pending)),
        None => Ok(AttemptEnd::Done { warnings: tally.warnings }),
    }
}

/// The task's runs, as far as earlier attempts have come.
fn begin_record(
    (launch, task): (&LaunchFolder, &Task<'_>),
    attempt: &Attempt,
    earlier: &[Attempt],
) -> Result<Record, Failure> {
    let path = attempt.record();
    Record::slice_of(&launch.record(), task.runs(), &path).map_err(Failure::failed)?;
    let mut record = Record::open(&path, OpenMode::Write).map_err(Failure::failed)?;
    let here = ProcessIdentity::current();
    for before in earlier.iter().filter(|before| before.record().exists()) {
        // What is lost with one that cannot be read is time.
        if let Err(error) = record.collect(&before.record(), &before.why_it_ended(&here)) {
            let what = output::visible(&chain(&error));
            output::say(format!("note: nothing is taken from {}: {what}", before.path().display()));
        }
    }
    Ok(record)
}
