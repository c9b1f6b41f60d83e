//! Launches that are not complete: which of their tasks somebody computes, and what is done about the others.

use std::collections::{BTreeMap, HashMap};

use slhf_launch::{Attempt, AttemptEnd, AttemptState, LaunchFolder, LauncherKind, QueueState, Task};
use slhf_record::{ProcessIdentity, Record, RecordError, Sighting};

use super::arguments::launcher;
use crate::failure::Failure;
use crate::output;

/// How a task is.
#[derive(Clone, Debug)]
pub(super) enum TaskState {
    /// It waits for its start.
    Queued,
    /// The queue has started it, and it has not begun.
    Started,
    /// An attempt computes it.
    Computed(String),
    /// An attempt has done all of it.
    Done(Box<Attempt>),
    /// The lab has taken it back.
    Closed,
    /// Nobody computes it, and nobody will: why the latest attempt ended.
    Lost(String),
    /// No attempt was ever begun, and the queue does not know it.
    Missing,
}

/// Of a task that is missing.
pub(super) const NEVER_STARTED: &str = "it was never started";

/// How a task is, as its attempts and the queue say.
pub(super) fn state_of(task: &Task<'_>, queue: Option<QueueState>) -> Result<TaskState, Failure> {
    if task.is_closed() {
        return Ok(TaskState::Closed);
    }
    let here = ProcessIdentity::current();
    let mut why = None;
    let mut computed = None;
    for attempt in task.attempts().map_err(Failure::failed)? {
        match attempt.state(&here) {
            AttemptState::Ended(AttemptEnd::Done { .. }) => return Ok(TaskState::Done(Box::new(attempt))),
            AttemptState::Alive => computed = Some(attempt.who()),
            AttemptState::Ended(AttemptEnd::Stopped { reason }) | AttemptState::Dead(reason) => {
                why = why.or(Some(reason));
            }
        }
    }
    Ok(match (computed, queue) {
        (Some(who), _) => TaskState::Computed(who),
        (None, Some(QueueState::Started)) => TaskState::Started,
        (None, Some(QueueState::Queued)) => TaskState::Queued,
        (None, None) => why.map_or(TaskState::Missing, TaskState::Lost),
    })
}

/// What the queue says of a launch that another lab made.
fn queue_of(launch: &LaunchFolder) -> Result<BTreeMap<u32, QueueState>, Failure> {
    match launch.plan().launcher {
        LauncherKind::Slurm => launcher(LauncherKind::Slurm, None)?.states(launch).map_err(Failure::failed),
        LauncherKind::Local => Ok(waiting_for_another_lab(launch)),
    }
}

/// Tasks that another lab, which lives, is to start itself: whatever has not begun waits for it.
pub(super) fn waiting_for_another_lab(launch: &LaunchFolder) -> BTreeMap<u32, QueueState> {
    let (plan, here) = (launch.plan(), ProcessIdentity::current());
    let is_gone = matches!(plan.lab.seen_from(&here), Sighting::Gone | Sighting::HostRestarted);
    if plan.launcher != LauncherKind::Local || plan.lab == here || is_gone {
        return BTreeMap::new();
    }
    launch.tasks().map(|task| (task.number(), QueueState::Queued)).collect()
}

/// The launches of this record that are not complete. What cannot be read is said.
fn unfinished(record: &mut Record) -> Result<Vec<LaunchFolder>, Failure> {
    let (launches, unreadable) = LaunchFolder::unfinished(record.path()).map_err(Failure::failed)?;
    for error in unreadable {
        output::say(format!("note: {}", output::visible(&slhf_words::chain(&error))));
    }
    if launches.is_empty() {
        return Ok(launches);
    }
    let id = record.identity().map_err(Failure::failed)?;
    let (own, others): (Vec<_>, Vec<_>) =
        launches.into_iter().partition(|launch| Some(&launch.plan().record) == id.as_ref());
    for launch in others {
        output::say(format!("note: {} is a launch of another record", launch.path().display()));
    }
    Ok(own)
}

/// Pending runs that tasks compute or are to compute, with where, in words. Nothing is changed, and what cannot be read is said.
pub(crate) fn waiting_runs(record: &mut Record) -> HashMap<i64, String> {
    let mut found = HashMap::new();
    if let Err(failure) = where_runs_are(record, &mut found) {
        let why = failure.sentences().join("; ");
        output::say(format!("note: where some runs are computed is not known: {}", output::visible(&why)));
    }
    found
}

fn where_runs_are(record: &mut Record, found: &mut HashMap<i64, String>) -> Result<(), Failure> {
    for launch in unfinished(record)? {
        let token = launch.plan().token.clone();
        let queue = match queue_of(&launch) {
            Ok(queue) => queue,
            Err(failure) => {
                let why = failure.sentences().join("; ");
                output::say(format!(
                    "note: what the queue has of launch {token} is not known: {}",
                    output::visible(&why)
                ));
                BTreeMap::new()
            }
        };
        for task in launch.tasks() {
            let name = format!("task {} of launch {token}", task.number());
            let said = match state_of(&task, queue.get(&task.number()).copied())? {
                TaskState::Queued => format!("{name} waits ({})", launch.plan().launcher),
                TaskState::Started => format!("{name} was started"),
                TaskState::Computed(who) => format!("{name}: {who} computes it"),
                TaskState::Done(_) => format!("{name} is done: resume collects it"),
                TaskState::Lost(why) => format!("{name} is lost: {why}"),
                TaskState::Missing => format!("{name} is lost: {NEVER_STARTED}"),
                TaskState::Closed => continue,
            };
            found.extend(task.runs().iter().map(|run| (*run, said.clone())));
        }
    }
    Ok(())
}

/// Who says whether somebody will compute a task that nobody has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskWhom {
    /// The queue that it was handed to.
    Queue,
    /// Nobody: what has not begun is taken back.
    AttemptsAlone,
}

fn cannot_ask(launch: &LaunchFolder, failure: &Failure) -> Failure {
    Failure::failed(format!(
        "what the queue has of launch {} is not known: {}; `resume --take-back` takes back, without asking it, what no task computes",
        launch.plan().token,
        failure.sentences().join("; ")
    ))
}

/// What became of open launches.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Runs that living or waiting tasks have.
    pub(crate) runs: Vec<i64>,
    /// The launches of these.
    pub(crate) launches: Vec<LaunchFolder>,
}

/// Collects what is done, takes back what is lost with all that it did, and leaves alone what is computed or waits.
pub(crate) fn settle(record: &mut Record, whom: AskWhom) -> Result<Held, Failure> {
    let mut held = Held::default();
    for launch in unfinished(record)? {
        let queue = match whom {
            AskWhom::Queue => queue_of(&launch).map_err(|failure| cannot_ask(&launch, &failure))?,
            AskWhom::AttemptsAlone => BTreeMap::new(),
        };
        let mut is_open = false;
        for task in launch.tasks() {
            match state_of(&task, queue.get(&task.number()).copied())? {
                TaskState::Done(attempt) => {
                    collect(record, &task, &attempt)?;
                }
                TaskState::Lost(why) => take_back(record, &task, &why)?,
                TaskState::Missing => take_back(record, &task, NEVER_STARTED)?,
                TaskState::Closed => {}
                TaskState::Queued | TaskState::Started | TaskState::Computed(_) => {
                    is_open = true;
                    held.runs.extend(task.runs());
                }
            }
        }
        if is_open {
            held.launches.push(launch);
        } else {
            launch.mark_complete().map_err(Failure::failed)?;
        }
    }
    Ok(held)
}

/// Takes in what an attempt has that ended.
pub(super) fn collect(record: &mut Record, task: &Task<'_>, attempt: &Attempt) -> Result<(), Failure> {
    let slice = attempt.record();
    if !slice.exists() {
        return Ok(());
    }
    match record.collect(&slice, &attempt.why_it_ended(&ProcessIdentity::current())) {
        Ok(_) => Ok(()),
        Err(error @ RecordError::MergeConflicts { .. }) => {
            output::say(format!(
                "note: task {} of launch {} is not collected, and stays where it is: {}",
                task.number(),
                task.token(),
                output::visible(&slhf_words::chain(&error))
            ));
            Ok(())
        }
        Err(error) => Err(Failure::failed(error)),
    }
}

/// Takes in what the attempts of a lost task have, the latest first, and closes it.
pub(super) fn take_back(record: &mut Record, task: &Task<'_>, why: &str) -> Result<(), Failure> {
    task.close().map_err(Failure::failed)?;
    for attempt in task.attempts().map_err(Failure::failed)? {
        if attempt.state(&ProcessIdentity::current()) != AttemptState::Alive {
            collect(record, task, &attempt)?;
        }
    }
    output::say(format!(
        "note: task {} of launch {} was taken back: {}",
        task.number(),
        task.token(),
        output::visible(why)
    ));
    Ok(())
}
