//! The writer: one thread that commits what workers send, in order, many rows at a time.
//!
//! Back-pressure: the queue is bounded, so a slow disk makes [`Writer::write`] wait, which makes the lab
//! read its worker's pipe slower, which makes the worker wait. Nothing is dropped. Durability: a group commit (one
//! fsync) at the latest [`WriterOptions::commit_interval_ms`] after a row came in; [`Writer::flush`] waits for one.
//! Order: rows are committed in the order in which they were handed over, so a checkpoint is never in the record
//! before the rows up to its step.

mod book;
mod buckets;
mod check;
mod commit;
mod completions;
mod ends;
mod judged;
mod measure;
mod measurements;
mod message;
mod models;
mod names;
mod options;
mod supersede;
mod thread;
mod training_verdicts;

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use slhf_plan::Report;

use self::message::{Command, Message, Shared};
pub use self::options::WriterOptions;
use crate::model_answers::AnswerKey;
use crate::{DivergencePolicy, Record, RecordError, StepDivergence};

/// Writes what workers send. Shared by reference between the threads that read workers' pipes.
#[derive(Debug)]
pub struct Writer {
    sender: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
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

    /// What a worker reports. An error of an earlier report surfaces here.
    ///
    /// Files are on disk, fsynced and renamed, and their paths are relative to [`crate::CheckpointFolder::path`]; the same path
    /// again takes the place of the row before: a resumed run writes its artifacts anew. Steps, completions and verdicts that
    /// are said again (a resume) are silent where they are the same, else a divergence. A run that diverged ends as failed with
    /// that reason, whatever the worker said.
    pub fn write(&self, report: impl Into<Report>) -> Result<(), RecordError> {
        let report = report.into();
        check::shape(&report)?;
        self.refuse_diverged(&report)?;
        self.send(Message::Report(report))
    }

    /// Keeps what served models answered. It is durable after the next [`Writer::flush`].
    pub fn model_answers(&self, answers: Vec<(AnswerKey, Vec<u8>)>) -> Result<(), RecordError> {
        self.send(Message::ModelAnswers(answers))
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
    fn refuse_diverged(&self, report: &Report) -> Result<(), RecordError> {
        let diverged = self.shared.diverged.lock().unwrap_or_else(PoisonError::into_inner);
        if diverged.is_empty() {
            return Ok(());
        }
        match check::runs(report).iter().find_map(|run| diverged.get(run)) {
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
