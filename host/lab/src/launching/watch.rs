//! Waiting for tasks: what is done is collected, what is lost is started again, until nothing is left or the user asks for an end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use slhf_launch::{AttemptEnd, LaunchError, LaunchFolder, Launcher, LauncherKind, Leaving, QueueState, StopHow, Task};
use slhf_record::{Record, RunFilter, RunStatus};

use super::arguments::launcher;
use super::open::{NEVER_STARTED, TaskState, collect, state_of, take_back, waiting_for_another_lab};
use crate::failure::Failure;
use crate::output;
use crate::running::{Signals, Tally};

/// A task that was started so often without any of its attempts getting further is not started again.
const FRUITLESS_MAX: u32 = 10;

/// A task that the queue has started gives a sign of life within this, or counts as lost: a killed step leaves a job that runs without a
/// process.
const BEGINS_WITHIN: Duration = Duration::from_mins(3);

/// A look is followed by a rest of so many times its length.
const LOOKS_IN: u32 = 20;

const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Debug)]
pub(crate) struct Watching<'a> {
    pub(crate) launcher: LauncherKind,
    /// Tasks at the same time; `None`: the launcher's own number.
    pub(crate) at_once: Option<NonZeroUsize>,
    /// To be submitted.
    pub(crate) new: Option<LaunchFolder>,
    /// Submitted by a lab before this one.
    pub(crate) open: Vec<LaunchFolder>,
    pub(crate) signals: &'a Signals,
}

/// Submits what is new and waits until all tasks have ended. What became of their runs is in the record then.
pub(crate) fn watch(record: &mut Record, watching: Watching<'_>) -> Result<Tally, Failure> {
    let mut launcher = launcher(watching.launcher, watching.at_once)?;
    if let Some(new) = &watching.new {
        let all: Vec<u32> = new.tasks().map(|task| task.number()).collect();
        if let Err(error) = launcher.submit(new, &all) {
            give_up(new)?;
            return Err(Failure::failed(error));
        }
        output::say(format!(
            "launch {}: {} tasks ({}); `slhf-lab ls` shows where each run is, and what tasks print is in {}",
            new.plan().token,
            all.len(),
            new.plan().launcher,
            new.path().display()
        ));
    }
    let launches: Vec<LaunchFolder> = watching.open.into_iter().chain(watching.new).collect();
    let mut watch = Watch {
        launcher,
        signals: watching.signals,
        collected: BTreeSet::new(),
        tries: HashMap::new(),
        stopping: None,
        last_line: Instant::now(),
        line: String::new(),
        queue_is_silent: false,
        warnings: Vec::new(),
    };
    loop {
        let began = Instant::now();
        if watch.look(record, &launches)? == 0 {
            break;
        }
        // Files of a thousand tasks take their time: the lab is not to be what the machine is busy with.
        thread::sleep(watch.launcher.interval().max(began.elapsed() * LOOKS_IN));
        if watch.hear_stop() {
            say_that_tasks_go_on(&launches);
            break;
        }
    }
    tally(record, &launches, watch.warnings)
}

/// A launch of which nothing, or an unknown part, is in the queue: none of its tasks begins, and its runs wait for `resume`.
fn give_up(launch: &LaunchFolder) -> Result<(), Failure> {
    for task in launch.tasks() {
        task.close().map_err(Failure::failed)?;
    }
    launch.mark_complete().map_err(Failure::failed)
}

fn say_that_tasks_go_on(launches: &[LaunchFolder]) {
    let names: Vec<String> = launches.iter().map(LaunchFolder::job_name).collect();
    output::say(format!(
        "the lab ends, its tasks go on: `slhf-lab resume` collects what they did; `scancel -n {}` ends them",
        names.join(",")
    ));
}

/// A task of a launch, by its token and number.
type Key = (String, u32);

#[derive(Debug)]
struct Watch<'a> {
    launcher: Box<dyn Launcher>,
    signals: &'a Signals,
    /// Done, taken back, or closed before.
    collected: BTreeSet<Key>,
    tries: HashMap<Key, Tries>,
    stopping: Option<StopHow>,
    last_line: Instant,
    /// What was said last: in a queue nothing may change for days.
    line: String,
    /// Whether it was said already that the queue does not reply.
    queue_is_silent: bool,
    warnings: Vec<String>,
}

/// How it has gone with a task so far.
#[derive(Debug, Default)]
struct Tries {
    /// Attempts in a row that got no further.
    fruitless: u32,
    /// The furthest that any got.
    done: (usize, i64),
    /// Since when it is missing, or started without having begun.
    missing_since: Option<Instant>,
}

impl Watch<'_> {
    /// One look at everything. Returns how many tasks are open.
    fn look(&mut self, record: &mut Record, launches: &[LaunchFolder]) -> Result<usize, Failure> {
        let mut counts = Counts::default();
        for launch in launches {
            if launch.tasks().all(|task| self.collected.contains(&key(&task))) {
                continue;
            }
            if launch.is_gone() {
                output::say(format!(
                    "note: the folder of launch {} is gone, and what its tasks did with it",
                    launch.plan().token
                ));
                self.collected.extend(launch.tasks().map(|task| key(&task)));
                continue;
            }
            let queue = self.ask_queue(launch);
            let mut again = Vec::new();
            for task in launch.tasks().filter(|task| !self.collected.contains(&key(task))).collect::<Vec<_>>() {
                self.look_at(record, &task, (&queue, &mut again, &mut counts))?;
            }
            if !again.is_empty()
                && let Err(error) = self.launcher.submit(launch, &again)
            {
                // They are still lost at the next look.
                self.say_of_queue(&error);
            }
            if launch.tasks().all(|task| self.collected.contains(&key(&task))) {
                launch.mark_complete().map_err(Failure::failed)?;
            }
        }
        self.say(&counts);
        Ok(counts.queued + counts.computed)
    }

    /// What the queue says. One that cannot be asked, such as one whose controller is down, may know of all: nothing is lost then.
    fn ask_queue(&mut self, launch: &LaunchFolder) -> BTreeMap<u32, QueueState> {
        match self.launcher.states(launch) {
            Ok(states) => {
                self.queue_is_silent = false;
                let mut all = waiting_for_another_lab(launch);
                all.extend(states);
                all
            }
            Err(error) => {
                self.say_of_queue(&error);
                launch.tasks().map(|task| (task.number(), QueueState::Queued)).collect()
            }
        }
    }

    fn say_of_queue(&mut self, error: &LaunchError) {
        if !self.queue_is_silent {
            output::say(format!("note: {}; the lab asks again", output::visible(&slhf_words::chain(error))));
        }
        self.queue_is_silent = true;
    }

    fn look_at(
        &mut self,
        record: &mut Record,
        task: &Task<'_>,
        (queue, again, counts): (&BTreeMap<u32, QueueState>, &mut Vec<u32>, &mut Counts),
    ) -> Result<(), Failure> {
        match state_of(task, queue.get(&task.number()).copied())? {
            TaskState::Done(attempt) => {
                collect(record, task, &attempt)?;
                if let Some(AttemptEnd::Done { warnings }) = attempt.ended() {
                    self.warnings.extend(warnings.iter().cloned());
                }
                self.collected.insert(key(task));
            }
            TaskState::Closed => {
                self.collected.insert(key(task));
            }
            // Of another lab: they go on without this one, whose own queue is empty by then.
            TaskState::Queued if self.stopping.is_some() => {}
            TaskState::Queued => counts.queued += 1,
            TaskState::Computed(_) if self.stopping.is_some() && !queue.contains_key(&task.number()) => {}
            TaskState::Computed(_) => {
                self.tries.entry(key(task)).or_default().missing_since = None;
                counts.computed += 1;
            }
            TaskState::Started => {
                counts.computed += 1;
                if self.has_been_missing(task, BEGINS_WITHIN) {
                    self.lost(record, task, ("its process never began, or is gone", again))?;
                }
            }
            TaskState::Lost(why) if self.stopping.is_some() => {
                take_back(record, task, &why)?;
                self.collected.insert(key(task));
            }
            TaskState::Missing if self.stopping.is_some() => {
                take_back(record, task, NEVER_STARTED)?;
                self.collected.insert(key(task));
            }
            TaskState::Lost(why) => {
                counts.queued += 1;
                self.lost(record, task, (&why, again))?;
            }
            TaskState::Missing => {
                counts.queued += 1;
                if self.has_been_missing(task, self.launcher.grace()) {
                    self.lost(record, task, (NEVER_STARTED, again))?;
                }
            }
        }
        Ok(())
    }

    /// Starts a lost task again, unless that was in vain too often.
    fn lost(
        &mut self,
        record: &mut Record,
        task: &Task<'_>,
        (why, again): (&str, &mut Vec<u32>),
    ) -> Result<(), Failure> {
        let mut done = (0, 0);
        for attempt in task.attempts().map_err(Failure::failed)? {
            // One that was killed before its record was whole has done nothing.
            if let Ok(found) = Record::done_of_slice(&attempt.record()) {
                done = done.max(found);
            }
        }
        let tries = self.tries.entry(key(task)).or_default();
        tries.fruitless = if done > tries.done { 0 } else { tries.fruitless + 1 };
        tries.done = tries.done.max(done);
        tries.missing_since = None;
        if tries.fruitless < FRUITLESS_MAX {
            tracing::info!("task {} is started again: {why}", task.number());
            again.push(task.number());
            return Ok(());
        }
        take_back(record, task, &format!("{} attempts in a row got no further; the last: {why}", tries.fruitless))?;
        self.collected.insert(key(task));
        Ok(())
    }

    fn has_been_missing(&mut self, task: &Task<'_>, at_least: Duration) -> bool {
        let tries = self.tries.entry(key(task)).or_default();
        tries.missing_since.get_or_insert_with(Instant::now).elapsed() >= at_least
    }

    /// Passes on what the user asked for, once each. Returns whether the lab goes although tasks are open.
    fn hear_stop(&mut self) -> bool {
        let how = match (self.signals.now_asked(), self.signals.stop_asked()) {
            (true, _) => StopHow::AtOnce,
            (false, true) => StopHow::AfterStep,
            (false, false) => return false,
        };
        if self.stopping == Some(how) {
            return false;
        }
        self.stopping = Some(how);
        self.launcher.stop(how) == Leaving::TasksGoOn
    }

    fn say(&mut self, counts: &Counts) {
        if self.last_line.elapsed() < LINE_INTERVAL {
            return;
        }
        let line =
            format!("tasks: {} done, {} computed, {} waiting", self.collected.len(), counts.computed, counts.queued);
        if line != self.line {
            output::say(&line);
            self.line = line;
            self.last_line = Instant::now();
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    queued: usize,
    computed: usize,
}

fn key(task: &Task<'_>) -> Key {
    (task.token().to_owned(), task.number())
}

/// What became of the runs, as the record has it.
fn tally(record: &mut Record, launches: &[LaunchFolder], warnings: Vec<String>) -> Result<Tally, Failure> {
    let runs: Vec<i64> = launches.iter().flat_map(|launch| launch.plan().tasks.iter().flatten().copied()).collect();
    let mut tally = Tally { warnings, ..Tally::default() };
    if runs.is_empty() {
        return Ok(tally);
    }
    for run in record.runs(&RunFilter { runs, ..RunFilter::default() }).map_err(Failure::failed)? {
        let reason = run.reason.clone().unwrap_or_default();
        match run.status {
            RunStatus::Finished | RunStatus::Superseded => tally.finished.push(run.run),
            RunStatus::Failed => tally.failed.push((run.run, reason)),
            RunStatus::Interrupted => tally.interrupted.push((run.run, reason)),
            RunStatus::Pending | RunStatus::Running => tally.pending += 1,
        }
    }
    Ok(tally)
}
