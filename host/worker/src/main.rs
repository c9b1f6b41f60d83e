//! `slhf-lab-worker`: carries out one frozen piece of a plan on one device.
//!
//! The lab starts it, speaks frames over its standard streams, and watches it. Only frames go to standard output. One thread (the main
//! one) calls libtorch; another reads what the lab says. The process ends when its work is done, when its input ends, or when the lab dies.
//!
//! It joins `slhf_learn` (the methods), `slhf_policy` (the models) and `slhf_judge` (the plugins), which do not know each other. It never reads a TOML,
//! never writes to the record, and decides nothing that the plan leaves open.
//!
//! Begin reading here, then `assignment.rs` (games: `game.rs`; language models: `language/mod.rs`; reward models: `reward_model/mod.rs`) or `task.rs` (what is asked of a model besides
//! training). A program has no documentation tests: `tests/tests/worker_program.rs` speaks to it as the lab does.

mod answering;
mod assignment;
mod baseline;
mod checkpoint;
mod device_models;
mod environment;
mod error;
mod game;
mod greeting;
mod judging;
mod known_replies;
mod language;
mod models;
mod outgoing;
mod ranks;
mod reward_model;
mod stopping;
mod task;
mod teller;

use std::io::{self, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use slhf_plan::{Assignment, FromWorker, ToWorker, read_frame};

use crate::error::{WorkerError, chain};
use crate::models::Replies;
use crate::outgoing::Outgoing;
use crate::stopping::{Stop, leave};

fn main() -> ExitCode {
    // Should the lab be killed, the kernel ends this process at once; the end of input is the second way to notice.
    // Where the kernel cannot do that, the second way must do.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let outgoing = Outgoing::new(io::stdout());
    // A panic is a fault of this program, never of its input; the lab shall still hear of it in words.
    let outcome = catch_unwind(AssertUnwindSafe(|| work(&outgoing)));
    let sentence = match outcome {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => chain(&error),
        Err(panic) => format!("the worker panicked, which is a fault of slhf-lab: {}", words(panic.as_ref())),
    };
    // If the lab is gone, nobody is left to be told.
    let _ = outgoing.send(&FromWorker::Fatal(sentence));
    ExitCode::FAILURE
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Greets, takes one order, carries it out.
fn work(outgoing: &Outgoing) -> Result<(), WorkerError> {
    let mut input = BufReader::new(io::stdin());
    let own = greeting::own();
    outgoing.send(&FromWorker::Hello(own.clone()))?;
    match read_frame(&mut input)? {
        None => return Ok(()),
        Some(ToWorker::Hello(lab)) if lab == own => {}
        Some(ToWorker::Hello(lab)) => return Err(WorkerError::Stale { lab, worker: own }),
        Some(_) => return Err(WorkerError::OutOfTurn { expected: "a greeting" }),
    }
    match read_frame(&mut input)? {
        // Nothing was asked for before the lab closed the pipe, or stopped.
        None | Some(ToWorker::Stop) => {}
        Some(
            ToWorker::Hello(_)
            | ToWorker::ModelReply { .. }
            | ToWorker::SamplerReply { .. }
            | ToWorker::AskModel { .. },
        ) => {
            return Err(WorkerError::OutOfTurn { expected: "a piece of work" });
        }
        Some(ToWorker::Probe { device, threads }) => {
            outgoing.send(&FromWorker::Environment(environment::probe(&device, threads)?))?;
        }
        Some(ToWorker::Model(request)) => {
            start_listener(input, &Stop::default(), &Replies::default(), outgoing)?;
            task::carry_out(&request, outgoing)?;
        }
        Some(ToWorker::AnswerModels { device, threads, precision }) => {
            let place = answering::place(&device, threads, precision)?;
            answering::carry_out(place, &mut input, outgoing)?;
        }
        Some(ToWorker::Rank(rank)) => {
            // Its input ends with rank 0.
            start_listener(input, &Stop::default(), &Replies::default(), outgoing)?;
            ranks::member::serve(&rank, outgoing)?;
        }
        Some(ToWorker::Assignment(assignment)) => carry_out(&assignment, input, outgoing)?,
    }
    outgoing.send(&FromWorker::Done)
}

fn carry_out(assignment: &Assignment, input: BufReader<io::Stdin>, outgoing: &Outgoing) -> Result<(), WorkerError> {
    let (stop, replies) = (Stop::default(), Replies::default());
    start_listener(input, &stop, &replies, outgoing)?;
    assignment::carry_out(assignment, outgoing, (&stop, &replies))
}

fn start_listener(
    input: BufReader<io::Stdin>,
    stop: &Stop,
    replies: &Replies,
    outgoing: &Outgoing,
) -> Result<(), WorkerError> {
    let (stop, replies, outgoing) = (stop.clone(), replies.clone(), outgoing.clone());
    let thread = std::thread::Builder::new()
        .name("listener".to_owned())
        .spawn(move || listen(input, &stop, &replies, &outgoing));
    thread.map(drop).map_err(|source| WorkerError::Thread { source })
}

/// Hears the lab until its pipe closes. A worker without a lab ends at once: what it has computed since its last
/// checkpoint could not be handed to anybody.
fn listen(mut input: BufReader<io::Stdin>, stop: &Stop, replies: &Replies, outgoing: &Outgoing) {
    while let Ok(Some(message)) = read_frame::<ToWorker>(&mut input) {
        if let ToWorker::ModelReply { question, reply } = message {
            replies.came(question, reply);
        } else if let ToWorker::SamplerReply { question, outcome } = message {
            replies.sampler_came(question, outcome);
        } else if message == ToWorker::Stop && !stop.is_asked() {
            stop.ask();
            let (stop, outgoing) = (stop.clone(), outgoing.clone());
            let watcher = std::thread::Builder::new().name("stop-watcher".to_owned());
            // Without it a stop waits for the judge.
            let _ = watcher.spawn(move || stop.watch_judges(&outgoing));
        }
    }
    // Whoever still reads gets whole messages to the last.
    let _held_to_the_end = outgoing.between_messages();
    leave();
}
