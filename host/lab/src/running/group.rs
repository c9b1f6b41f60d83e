//! One batch group: a worker is started, told its piece, and listened to until it ends, however it ends.
//!
//! Back-pressure: this thread reads the worker's pipe and hands every message to the record's bounded queue. A slow
//! disk makes it wait, the pipe fills up, and the worker waits: nothing is dropped and memory stays bounded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use slhf_plan::{
    Assignment, FromWorker, FrozenWork, RanksFrom, Report, ResumePoint, RunEnd, RunOutcome, ToWorker, Work,
};
use slhf_record::{CheckpointFolder, DivergencePolicy, Lease, Record, RecordError, RunStatus, Writer};

use super::checkpoints::Keeper;
use super::death::Death;
use super::log::log;
use super::models::{Kept, Owing, ServedModels};
use super::nothing_to_learn::NothingToLearn;
use super::places::Place;
use super::progress::Progress;
use super::ranks::Gathering;
use super::signals::Signals;
use super::time_left::Ending;
use super::verdicts::Verdicts;
use super::worker::{Worker, WorkerError, WorkerProgram};
use slhf_words::chain;

/// A group that is to be computed, wholly or from checkpoints on.
#[derive(Clone, Debug)]
pub(crate) struct GroupWork {
    /// Its number in the record.
    pub(crate) group: i64,
    /// The frozen plan, without the runs that are finished.
    pub(crate) plan: FrozenWork,
    /// Where runs go on from.
    pub(crate) resume: Vec<ResumePoint>,
    /// What becomes of recomputed steps that differ; `None`: nothing is recomputed.
    pub(crate) divergence: Option<DivergencePolicy>,
}

impl GroupWork {
    /// Numbers of its runs.
    pub(crate) fn runs(&self) -> Vec<i64> {
        self.plan.work().runs().into_iter().map(|(run, _)| run).collect()
    }

    /// Steps that are already done by its runs, summed.
    pub(crate) fn run_steps_done(&self) -> u64 {
        self.resume.iter().map(|point| point.step).sum()
    }
}

/// What all groups of an execution share.
#[derive(Debug)]
pub(crate) struct Crew<'a> {
    /// The worker's program.
    pub(crate) program: &'a WorkerProgram,
    /// The record, for changes of state.
    pub(crate) record: &'a Mutex<Record>,
    /// The record's writer, for everything that a worker sends.
    pub(crate) writer: &'a Writer,
    /// Under which the runs are started.
    pub(crate) lease: Lease,
    /// Ctrl-C.
    pub(crate) signals: &'a Signals,
    /// For the person who waits.
    pub(crate) progress: &'a Progress,
    /// The folder of the record's files.
    pub(crate) checkpoints: CheckpointFolder,
    /// Reads checkpoints back and lets outdated ones go.
    pub(super) keeper: &'a Keeper,
    /// Served models that plugins ask.
    pub(crate) models: &'a ServedModels,
    /// Of a run, in the place of those of its plan.
    pub(crate) processes: Option<u32>,
    /// Those that others started.
    pub(crate) ranks: Option<&'a Gathering>,
}

/// How the runs of a group ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All steps done.
    pub(crate) finished: Vec<i64>,
    /// Run and reason.
    pub(crate) failed: Vec<(i64, String)>,
    /// Run and reason.
    pub(crate) interrupted: Vec<(i64, String)>,
    /// Never started, because the user asked for an end.
    pub(crate) pending: usize,
    /// What the user should know of runs that ended well, a sentence each.
    pub(crate) warnings: Vec<String>,
}

impl Tally {
    /// Adds another group's.
    pub(crate) fn add(&mut self, other: Self) {
        self.finished.extend(other.finished);
        self.failed.extend(other.failed);
        self.interrupted.extend(other.interrupted);
        self.pending += other.pending;
        self.warnings.extend(other.warnings);
    }
}

/// Why a worker's conversation ended before every run had.
enum Break {
    /// The runs that are open end with this status and reason.
    Runs(RunStatus, String),
    /// The record cannot be written: nothing can go on.
    Record(RecordError),
}

/// Computes a group. An error is one of the record; everything else ends the group's own runs only.
pub(crate) fn compute(work: &GroupWork, place: Place<'_>, crew: &Crew<'_>) -> Result<Tally, RecordError> {
    crew.progress.group_began(work.group);
    let tally = compute_runs(work, place, crew);
    let is_done = matches!(&tally, Ok(tally) if tally.finished.len() == work.runs().len());
    crew.progress.group_ended(work.group, if is_done { Ending::Done } else { Ending::Broken });
    tally
}

fn compute_runs(work: &GroupWork, place: Place<'_>, crew: &Crew<'_>) -> Result<Tally, RecordError> {
    let runs = work.runs();
    if crew.signals.stop_asked() {
        return Ok(Tally { pending: runs.len(), ..Tally::default() });
    }
    let started = lock(crew.record).start_runs(crew.lease, &runs);
    match started {
        Ok(()) => {}
        Err(RecordError::IllegalTransition { run, from, .. }) => {
            crate::output::say(format!("note: run {run} is {from} by now: another process took its batch group"));
            return Ok(Tally::default());
        }
        Err(error) => return Err(error),
    }
    let open = runs.iter().copied().collect();
    let mut conversation = Conversation {
        work,
        device: place.device(),
        crew,
        open,
        tally: Tally::default(),
        has_stepped: false,
        verdicts: Verdicts::default(),
        nothing_to_learn: NothingToLearn::default(),
    };
    // A resumed plan's files were tried when it was made; they may be others by now.
    let plan = work.plan.work();
    let tried = slhf_foreign::try_plugins(&plan.plugins()).and_then(|()| match plan {
        Work::LanguageModel(plan) => slhf_foreign::try_models_of(plan),
        Work::RewardModel(plan) => slhf_foreign::try_models_of_reward(plan),
        Work::Game(_) => Ok(()),
    });
    let tried = tried.map_err(WorkerError::Refused);
    let keys = plan.key_variables();
    let program = crew.program.without(keys);
    let start = || Worker::start(&program, plan.device().1, |control| crew.signals.watch(control));
    let ending = match tried.and_then(|()| start()) {
        Ok(worker) => conversation.hold(worker),
        Err(error) => Err(Break::Runs(RunStatus::Failed, chain(&error))),
    };
    let ending = ending.map_err(|ending| conversation.judged_by_what_is_lost(ending));
    let Conversation { open, mut tally, nothing_to_learn, .. } = conversation;
    tally.warnings = nothing_to_learn.warnings();
    let open: Vec<i64> = open.into_iter().collect();
    match ending {
        Ok(()) => crew.writer.flush()?,
        Err(Break::Runs(status, reason)) => {
            // Rows that the worker sent before it died are kept: they are true.
            crew.writer.flush()?;
            lock(crew.record).end_runs_under(crew.lease, &open, status, &reason)?;
            let ended = open.iter().map(|run| (*run, reason.clone()));
            if status == RunStatus::Failed { tally.failed.extend(ended) } else { tally.interrupted.extend(ended) }
        }
        Err(Break::Record(error)) => return Err(error),
    }
    // Whether recomputed steps equal the stored ones is known once they are committed.
    for divergence in crew.writer.divergences() {
        if let Some(position) = tally.finished.iter().position(|run| *run == divergence.run) {
            tally.finished.swap_remove(position);
            tally.failed.push((divergence.run, divergence.to_string()));
        }
    }
    Ok(tally)
}

/// Why a run that ended badly after the user asked for a stop is interrupted.
const TO_STOP: &str = "it was to stop (Ctrl-C or SIGTERM)";

/// Why a run that ended badly is interrupted: what a server refused today it may answer tomorrow, and what it answered is kept.
const UNANSWERED: &str = "a served model did not reply: `slhf-lab resume` goes on once it does, and asks nothing twice";

/// Likewise, of the server that samples.
const NOT_SAMPLED: &str = "the sampler did not reply: `slhf-lab resume` goes on from the last checkpoint once it does";

struct Conversation<'a> {
    work: &'a GroupWork,
    /// In the place of the plan's.
    device: Option<&'a str>,
    crew: &'a Crew<'a>,
    /// Runs that have not ended.
    open: BTreeSet<i64>,
    tally: Tally,
    /// Whether anything of a step of this attempt was heard.
    has_stepped: bool,
    /// Verdicts on games of which more are to come.
    verdicts: Verdicts,
    nothing_to_learn: NothingToLearn,
}

impl<'a> Conversation<'a> {
    /// Listens to the worker until all of its runs have ended.
    fn hold(&mut self, worker: Worker) -> Result<(), Break> {
        // Whoever asks a server for the worker is done when this is: its reply goes nowhere then.
        std::thread::scope(|scope| self.hold_in(worker, scope))
    }

    fn hold_in<'scope>(
        &mut self,
        mut worker: Worker,
        scope: &'scope std::thread::Scope<'scope, 'a>,
    ) -> Result<(), Break> {
        if let Err(error) = self.assign(&mut worker) {
            let death = worker.end();
            return Err(self.death(&death, format!("{}; the worker: {death}", chain(&error))));
        }
        if let Some(policy) = &self.work.divergence {
            self.crew.writer.resume(&self.work.runs(), policy.clone()).map_err(Break::Record)?;
        }
        loop {
            match worker.receive() {
                Ok(Some(FromWorker::Done)) => break,
                Ok(Some(FromWorker::Fatal(why))) => {
                    worker.end();
                    return Err(Break::Runs(RunStatus::Failed, why));
                }
                Ok(Some(FromWorker::Lost(why))) => {
                    worker.end();
                    return Err(Break::Runs(RunStatus::Interrupted, why));
                }
                Ok(Some(FromWorker::CallRanks { port })) => {
                    if let Err(why) = self.call_ranks(port) {
                        worker.control().kill();
                        worker.end();
                        return Err(Break::Runs(RunStatus::Interrupted, why));
                    }
                }
                Ok(Some(FromWorker::AskModel { question, model, call })) => {
                    let (crew, control) = (self.crew, worker.control());
                    let run = self.first_run();
                    scope.spawn(move || {
                        let kept = Kept { record: crew.record, writer: crew.writer };
                        let reply = crew.models.answer(run, &model, &call, &kept);
                        control.reply(&ToWorker::ModelReply { question, reply });
                    });
                }
                Ok(Some(FromWorker::AskSampler { question, model, call })) => {
                    let (crew, control) = (self.crew, worker.control());
                    let run = self.first_run();
                    scope.spawn(move || {
                        let kept = Kept { record: crew.record, writer: crew.writer };
                        let outcome = crew.models.sample(run, &model, &call, &kept);
                        control.reply(&ToWorker::SamplerReply { question, outcome });
                    });
                }
                Ok(Some(message)) => {
                    if let Err(stop) = self.hear(message) {
                        worker.control().kill();
                        worker.end();
                        return Err(stop);
                    }
                }
                Ok(None) => {
                    let death = worker.end();
                    return Err(self.death(&death, format!("the worker died: {death}")));
                }
                Err(error) => {
                    worker.control().kill();
                    let death = worker.end();
                    return Err(self.death(&death, format!("{}; the worker: {death}", chain(&error))));
                }
            }
        }
        let death = worker.end();
        if self.open.is_empty() {
            Ok(())
        } else {
            Err(Break::Runs(RunStatus::Failed, format!("the worker ended without ending this run ({death})")))
        }
    }

    /// Tells the ranks that others started where the worker waits for them.
    fn call_ranks(&self, port: u16) -> Result<(), String> {
        match self.crew.ranks {
            Some(ranks) => ranks.call(port, self.crew.signals),
            None => Err("the worker waits for ranks that nobody started".to_owned()),
        }
    }

    /// In whose name its plugins ask.
    fn first_run(&self) -> i64 {
        self.work.runs().first().copied().unwrap_or_default()
    }

    /// Why it is interrupted where a server owes it a reply.
    fn unanswered(&self) -> Option<&'static str> {
        self.crew.models.left_unanswered(self.first_run()).map(|owing| match owing {
            Owing::Model => UNANSWERED,
            Owing::Sampler => NOT_SAMPLED,
        })
    }

    fn assign(&self, worker: &mut Worker) -> Result<(), WorkerError> {
        let folder = self.checkpoint_folder()?.to_string_lossy().into_owned();
        let device = self.device.map(str::to_owned);
        let processes = self.crew.processes;
        worker.assign(Assignment {
            device,
            processes,
            ranks: if self.crew.ranks.is_some() { RanksFrom::Elsewhere } else { RanksFrom::Worker },
            ..Assignment::new(&self.work.plan, folder, self.work.resume.clone())
        })
    }

    /// A folder a group, so that no two workers ever write the same file.
    fn checkpoint_folder(&self) -> Result<PathBuf, WorkerError> {
        let folder = self.crew.checkpoints.path().join(format!("group-{}", self.work.group));
        // A link would lead the worker out of the record's folder.
        let made = std::fs::create_dir_all(&folder).and_then(|()| {
            let is_folder = folder.symlink_metadata()?.is_dir();
            if is_folder { Ok(()) } else { Err(std::io::Error::other("it is a link; expected a folder")) }
        });
        match made {
            Ok(()) => Ok(folder),
            Err(source) => Err(WorkerError::NoFolder { folder, source }),
        }
    }

    /// A death by a signal or by the user's wish can be resumed; one that the worker chose itself would come again.
    fn death(&self, death: &Death, words: String) -> Break {
        if self.crew.signals.now_asked() {
            Break::Runs(RunStatus::Interrupted, self.crew.signals.reason().to_owned())
        } else if death.was_by_signal() {
            Break::Runs(RunStatus::Interrupted, words)
        } else {
            Break::Runs(RunStatus::Failed, words)
        }
    }

    /// Failed is what would come again. What ended a group before the first step of this attempt (a worker that could not
    /// start, a file that was replaced), or after the user asked for a stop, tells nothing of that: it is interrupted.
    fn judged_by_what_is_lost(&self, ending: Break) -> Break {
        let signals = self.crew.signals;
        match ending {
            Break::Runs(RunStatus::Failed, reason) if self.unanswered().is_some() => {
                Break::Runs(RunStatus::Interrupted, format!("{reason} ({})", self.unanswered().unwrap_or_default()))
            }
            Break::Runs(_, _) if signals.stop_asked() && !self.has_stepped => {
                let reason = "stopped by the user (Ctrl-C or SIGTERM) before its first step";
                Break::Runs(RunStatus::Interrupted, reason.to_owned())
            }
            Break::Runs(RunStatus::Failed, reason) if signals.stop_asked() => {
                Break::Runs(RunStatus::Interrupted, format!("{TO_STOP}: {reason}"))
            }
            Break::Runs(RunStatus::Failed, reason) if !self.has_stepped => Break::Runs(
                RunStatus::Interrupted,
                format!("{reason} (before the first step: `slhf-lab resume` tries again once this is mended)"),
            ),
            other => other,
        }
    }

    /// Whether a message tells of a step that was done in this attempt.
    fn tells_of_a_step(&self, message: &FromWorker) -> bool {
        match message {
            FromWorker::Progress { run_steps_done } => *run_steps_done > self.work.run_steps_done(),
            FromWorker::Report(Report::Checkpoint(_)) => true,
            FromWorker::Report(Report::Metrics(batch)) => batch.runs.iter().zip(&batch.steps).any(|(run, step)| {
                let began = self.work.resume.iter().find(|point| point.run == *run).map_or(0, |point| point.step);
                *step > began
            }),
            _ => false,
        }
    }

    fn hear(&mut self, message: FromWorker) -> Result<(), Break> {
        self.has_stepped |= self.tells_of_a_step(&message);
        match message {
            FromWorker::Report(Report::RunEnd(end)) => self.end_run(end),
            FromWorker::Report(report) => self.record(report),
            FromWorker::Log(line) => {
                log(&line);
                Ok(())
            }
            FromWorker::Progress { run_steps_done } => {
                self.crew.progress.advance(self.work.group, run_steps_done);
                Ok(())
            }
            FromWorker::Hello(_)
            | FromWorker::Environment(_)
            | FromWorker::ModelAnswer(_)
            | FromWorker::AskModel { .. }
            | FromWorker::AskSampler { .. }
            | FromWorker::ModelReply { .. }
            | FromWorker::CallRanks { .. }
            | FromWorker::Done
            | FromWorker::Lost(_)
            | FromWorker::Fatal(_) => {
                Err(Break::Runs(RunStatus::Failed, "the worker said something out of order".into()))
            }
        }
    }

    /// Hands a report to the record's writer: as it came, but for the paths of files, which the record keeps relative, and for
    /// verdicts on a game, which it gets whole.
    fn record(&mut self, mut report: Report) -> Result<(), Break> {
        match &mut report {
            Report::Metrics(batch) => {
                self.nothing_to_learn.hear_metrics(batch);
                self.crew.progress.metrics(self.work.group, batch);
            }
            Report::Completions(rows) => self.nothing_to_learn.hear_completions(rows),
            Report::Evaluations(rows) => self.crew.progress.evaluations(self.work.group, rows),
            Report::Checkpoint(checkpoint) => checkpoint.path = self.relative(&checkpoint.path)?,
            Report::Artefact(artefact) => artefact.path = self.relative(&artefact.path)?,
            Report::GameJudged(portion) => match self.verdicts.join(portion, &self.work.runs()) {
                Ok(true) => self.nothing_to_learn.hear_game(portion),
                Ok(false) => return Ok(()),
                Err(wrong) => return Err(Break::Runs(RunStatus::Failed, format!("the worker {wrong}"))),
            },
            _ => {}
        }
        let is_checkpoint = matches!(report, Report::Checkpoint(_));
        let written = self.crew.writer.write(report);
        if is_checkpoint {
            self.crew.keeper.look_after(self.work.group);
        }
        written.map_err(|error| self.refused(error))
    }

    /// A run that computes other numbers than are stored ends its group: the others go on with the next resume.
    fn refused(&mut self, error: RecordError) -> Break {
        let RecordError::Diverged(divergence) = error else { return Break::Record(error) };
        let reason = divergence.to_string();
        let end = RunEnd { run: divergence.run, step: divergence.step, outcome: RunOutcome::Failed(reason.clone()) };
        if let Err(error) = self.crew.writer.write(end) {
            return Break::Record(error);
        }
        self.open.remove(&divergence.run);
        self.tally.failed.push((divergence.run, reason));
        Break::Runs(
            RunStatus::Interrupted,
            format!("run {} of the same batch group came out differently after its resume", divergence.run),
        )
    }

    fn end_run(&mut self, end: RunEnd) -> Result<(), Break> {
        let run = end.run;
        if !self.open.contains(&run) {
            return Err(Break::Runs(RunStatus::Failed, format!("the worker ended run {run}, which is not open")));
        }
        if let RunOutcome::Failed(reason) = &end.outcome
            && self.crew.signals.stop_asked()
        {
            return self.leave_interrupted(run, format!("{TO_STOP}: {reason}"));
        }
        if let RunOutcome::Failed(reason) = &end.outcome
            && let Some(unanswered) = self.unanswered()
        {
            return self.leave_interrupted(run, format!("{reason} ({unanswered})"));
        }
        let outcome = end.outcome.clone();
        self.crew.writer.write(end).map_err(Break::Record)?;
        match outcome {
            RunOutcome::Interrupted => self.tally.interrupted.push((run, self.crew.signals.reason().to_owned())),
            RunOutcome::Finished => self.tally.finished.push(run),
            RunOutcome::Failed(reason) => self.tally.failed.push((run, reason)),
        }
        self.open.remove(&run);
        self.crew.keeper.look_after(self.work.group);
        self.crew.progress.run_ended();
        Ok(())
    }

    /// A file of the worker's as the record names it.
    fn relative(&self, path: &str) -> Result<String, Break> {
        self.crew.checkpoints.relative(Path::new(path)).ok_or_else(|| {
            let why = format!("the worker wrote {path}, outside {}", self.crew.checkpoints.path().display());
            Break::Runs(RunStatus::Failed, why)
        })
    }

    /// Ends one run as interrupted, after the rows that the worker sent of it.
    fn leave_interrupted(&mut self, run: i64, reason: String) -> Result<(), Break> {
        self.crew.writer.flush().map_err(Break::Record)?;
        let ended = lock(self.crew.record).end_runs_under(self.crew.lease, &[run], RunStatus::Interrupted, &reason);
        ended.map_err(Break::Record)?;
        self.open.remove(&run);
        self.tally.interrupted.push((run, reason));
        self.crew.keeper.look_after(self.work.group);
        self.crew.progress.run_ended();
        Ok(())
    }
}

/// A poisoned lock means that another group's thread died; the record itself is consistent.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
