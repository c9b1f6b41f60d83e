//! What the worker says: frames, one at a time, from any thread.

use std::io::{BufWriter, Stdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use slhf_plan::{FromWorker, LogLevel, LogLine, Report, write_frame};

use crate::error::WorkerError;

/// The way to the lab. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    stream: Arc<Mutex<BufWriter<Stdout>>>,
}

impl Outgoing {
    pub(crate) fn new(stream: Stdout) -> Self {
        Self { stream: Arc::new(Mutex::new(BufWriter::with_capacity(1 << 16, stream))) }
    }

    /// Sends one message, whole.
    pub(crate) fn send(&self, message: &FromWorker) -> Result<(), WorkerError> {
        // A frame is written by one call: a panic elsewhere cannot have left half of one.
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(write_frame(&mut *stream, message)?)
    }

    /// Something of a run, for the record.
    pub(crate) fn report(&self, report: impl Into<Report>) -> Result<(), WorkerError> {
        self.send(&FromWorker::Report(report.into()))
    }

    /// Waits until no message is half written, and lets nobody begin another while the guard is held: so that the last one
    /// of a process that ends now is whole. `None`: it has waited long enough; a pipe that nobody reads stays full.
    pub(crate) fn between_messages(&self) -> Option<MutexGuard<'_, BufWriter<Stdout>>> {
        const TRIES: u32 = 200;
        for _ in 0..TRIES {
            match self.stream.try_lock() {
                Ok(stream) => return Some(stream),
                Err(TryLockError::Poisoned(stream)) => return Some(stream.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        None
    }

    /// A line for the run's log.
    pub(crate) fn log(&self, level: LogLevel, text: String) -> Result<(), WorkerError> {
        self.send(&FromWorker::Log(LogLine { level, source: "worker".to_owned(), text }))
    }
}
