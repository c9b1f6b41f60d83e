//! The writer: one thread that commits what workers send, in order, many rows at a time.
//!
//! Back-pressure: the queue is bounded, so a slow disk makes [`Writer::metrics`] and its siblings wait, which makes the
//! lab read its worker's pipe slower, which makes the worker wait. Nothing is dropped. Durability: a group commit (one
//! fsync) at the latest [`WriterOptions::commit_interval_ms`] after a row came in; [`Writer::flush`] waits for one.
//! Order: rows are committed in the order in which they were handed over, so a checkpoint is never in the record
//! before the rows up to its step.

mod commit;
mod completions;
mod ends;
mod judged;
mod measure;
mod names;
mod rows;
mod supersede;
mod thread;
mod training_verdicts;

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use slhf_plan::{
    ArtefactWritten, CheckpointWritten, CompletionRow, Environment, EvaluationRow, GameJudged, MetricsBatch, PluginUse,
    RunCost, RunEnd, ScheduleRow,
};

use crate::{DivergencePolicy, Lease, Record, RecordError, StepDivergence};

/// Settings of a writer.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// A row is durable at the latest so many milliseconds after it came in (plus one fsync).
    pub commit_interval_ms: u64,
    /// A commit is made when so many values wait.
    pub values_per_commit_max: usize,
    /// So many messages may wait in the queue before the caller waits.
    pub queue_messages_max: usize,
    /// The lease to keep alive.
    pub lease: Option<Lease>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { commit_interval_ms: 250, values_per_commit_max: 200_000, queue_messages_max: 64, lease: None }
    }
}

/// Writes what workers send. Shared by reference between the threads that read workers' pipes.
#[derive(Debug)]
pub struct Writer {
    sender: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What the writer's thread tells its callers.
#[derive(Debug, Default)]
struct Shared {
    failure: Mutex<Option<Arc<RecordError>>>,
    diverged: Mutex<HashMap<i64, StepDivergence>>,
}

/// What callers tell the writer's thread.
#[derive(Debug)]
enum Command {
    Write(Message),
    /// Commit, then answer.
    Flush(SyncSender<()>),
}

#[derive(Debug)]
enum Message {
    Metrics(MetricsBatch),
    Schedules(Vec<ScheduleRow>),
    Evaluations(Vec<EvaluationRow>),
    Checkpoint(CheckpointWritten),
    Completions(Vec<CompletionRow>),
    Artefact(ArtefactWritten),
    PluginUse(PluginUse),
    RunCost(RunCost),
    RunEnd(RunEnd),
    Environment { runs: Vec<i64>, environment: Environment },
    GameJudged { judged: JudgedGame },
    Resume { runs: Vec<i64>, policy: DivergencePolicy },
}

/// A judged game with what the worker's message leaves to its plan.
#[derive(Clone, Debug)]
pub struct JudgedGame {
    /// The batch group ([`crate::CreatedGroup::group`]).
    pub group: i64,
    /// The runs of the group that play this game.
    pub runs: Vec<i64>,
    /// Names of the actions.
    pub actions: Vec<String>,
    /// The worker's message.
    pub judged: GameJudged,
}

impl Writer {
    /// Starts a writer on a record of its own connection.
    pub fn start(record: &Record, options: &WriterOptions) -> Result<Self, RecordError> {
        if !record.is_writable() {
            return Err(RecordError::ReadOnly { doing: "starting the writer".to_owned() });
        }
        Self::start_at(record.path(), options)
    }

    fn start_at(path: &Path, options: &WriterOptions) -> Result<Self, RecordError> {
        let (sender, receiver) = sync_channel(options.queue_messages_max);
        let shared = Arc::new(Shared::default());
        let worker = thread::WriterThread::open(path, options.clone(), receiver, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new()
            .name("record-writer".to_owned())
            .spawn(move || worker.run())
            .map_err(|source| RecordError::System { doing: "a thread for the record's writer".to_owned(), source })?;
        Ok(Self { sender: Some(sender), thread: Some(thread), shared })
    }

    /// Metric values. An error of an earlier batch surfaces here.
    pub fn metrics(&self, batch: MetricsBatch) -> Result<(), RecordError> {
        let (rows, keys) = (batch.runs.len(), batch.keys.len());
        if batch.steps.len() != rows || rows.checked_mul(keys) != Some(batch.values.len()) {
            return Err(RecordError::Invalid {
                what: format!(
                    "a batch of metrics has {rows} runs, {} steps, {keys} keys and {} values; runs and steps must \
                     agree and values be runs × keys",
                    batch.steps.len(),
                    batch.values.len()
                ),
            });
        }
        self.check(&batch.runs)?;
        self.send(Message::Metrics(batch))
    }

    /// Realised schedule values.
    pub fn schedules(&self, rows: Vec<ScheduleRow>) -> Result<(), RecordError> {
        self.check(rows.iter().map(|row| &row.run))?;
        self.send(Message::Schedules(rows))
    }

    /// Evaluations.
    pub fn evaluations(&self, rows: Vec<EvaluationRow>) -> Result<(), RecordError> {
        self.check(rows.iter().map(|row| &row.run))?;
        self.send(Message::Evaluations(rows))
    }

    /// A checkpoint file that is on disk, fsynced and renamed; its path is relative to [`crate::CheckpointFolder::path`].
    pub fn checkpoint(&self, checkpoint: CheckpointWritten) -> Result<(), RecordError> {
        self.check(&checkpoint.runs)?;
        self.send(Message::Checkpoint(checkpoint))
    }

    /// Sampled completions. The same texts and verdicts again (a resume) are silent, others are a divergence.
    pub fn completions(&self, rows: Vec<CompletionRow>) -> Result<(), RecordError> {
        self.check(rows.iter().map(|row| &row.run))?;
        self.send(Message::Completions(rows))
    }

    /// A file or folder of a run that is on disk, its path likewise. The same path again takes the place of the row before: a resumed run
    /// writes it anew.
    pub fn artefact(&self, artefact: ArtefactWritten) -> Result<(), RecordError> {
        self.check([&artefact.run])?;
        self.send(Message::Artefact(artefact))
    }

    /// Measured use of a plugin.
    pub fn plugin_use(&self, plugin_use: PluginUse) -> Result<(), RecordError> {
        self.send(Message::PluginUse(plugin_use))
    }

    /// What a run cost in this attempt.
    pub fn run_cost(&self, cost: RunCost) -> Result<(), RecordError> {
        self.send(Message::RunCost(cost))
    }

    /// What these runs are computed on in this attempt.
    pub fn environment(&self, runs: &[i64], environment: Environment) -> Result<(), RecordError> {
        self.send(Message::Environment { runs: runs.to_vec(), environment })
    }

    /// All verdicts on a game. The same verdicts again (a resume) are silent, others are a divergence.
    pub fn game_judged(&self, judged: JudgedGame) -> Result<(), RecordError> {
        let n = judged.actions.len();
        if n.checked_mul(n) != Some(judged.judged.verdicts.len()) {
            return Err(RecordError::Invalid {
                what: format!("a game of {n} actions has {} verdicts instead of n²", judged.judged.verdicts.len()),
            });
        }
        self.check(&judged.runs)?;
        self.send(Message::GameJudged { judged })
    }

    /// Says that these runs go on from a checkpoint: steps that they compute again are compared with what is stored.
    /// Call it before their first row. (Without it the policy is [`DivergencePolicy::Refuse`].)
    pub fn resume(&self, runs: &[i64], policy: DivergencePolicy) -> Result<(), RecordError> {
        {
            let mut diverged = self.shared.diverged.lock().unwrap_or_else(PoisonError::into_inner);
            diverged.retain(|run, _| !runs.contains(run));
        }
        self.send(Message::Resume { runs: runs.to_vec(), policy })
    }

    /// The end of a run. A run that diverged ends as failed with that reason, whatever the worker said.
    pub fn run_end(&self, end: RunEnd) -> Result<(), RecordError> {
        self.send(Message::RunEnd(end))
    }

    /// Waits until everything that was handed over is durable.
    pub fn flush(&self) -> Result<(), RecordError> {
        let (answer, answered) = sync_channel(1);
        self.command(Command::Flush(answer))?;
        answered.recv().map_err(|_| self.stopped())
    }

    /// The first divergence of each run that was refused so far.
    #[must_use]
    pub fn divergences(&self) -> Vec<StepDivergence> {
        let diverged = self.shared.diverged.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<StepDivergence> = diverged.values().cloned().collect();
        all.sort_by_key(|divergence| divergence.run);
        all
    }

    /// Commits what waits and ends the thread; an error that did not surface yet surfaces here.
    pub fn close(mut self) -> Result<(), RecordError> {
        self.join();
        match self.failure() {
            Some(source) => Err(RecordError::WriterStopped { source }),
            None => Ok(()),
        }
    }

    fn join(&mut self) {
        // Dropping the sender is how the thread learns that nothing more will come.
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the record's writer ended abnormally");
        }
    }

    fn send(&self, message: Message) -> Result<(), RecordError> {
        self.command(Command::Write(message))
    }

    fn command(&self, command: Command) -> Result<(), RecordError> {
        if let Some(source) = self.failure() {
            return Err(RecordError::WriterStopped { source });
        }
        match &self.sender {
            Some(sender) => sender.send(command).map_err(|_| self.stopped()),
            None => Err(self.stopped()),
        }
    }

    fn failure(&self) -> Option<Arc<RecordError>> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The error to return when the thread is gone.
    fn stopped(&self) -> RecordError {
        match self.failure() {
            Some(source) => RecordError::WriterStopped { source },
            None => RecordError::Invalid { what: "the record's writer ended without saying why".to_owned() },
        }
    }

    /// Rows of a run that diverged are refused at the door.
    fn check<'a>(&self, runs: impl IntoIterator<Item = &'a i64>) -> Result<(), RecordError> {
        let diverged = self.shared.diverged.lock().unwrap_or_else(PoisonError::into_inner);
        if diverged.is_empty() {
            return Ok(());
        }
        match runs.into_iter().find_map(|run| diverged.get(run)) {
            Some(divergence) => Err(RecordError::Diverged(divergence.clone())),
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
    }
}
