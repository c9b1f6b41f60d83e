//! What the worker says: frames, one at a time, from any thread.

use std::io::{BufWriter, Stdout};
use std::sync::{Arc, Mutex, PoisonError};

use slhf_plan::{FromWorker, LogLevel, LogLine, write_frame};

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

    /// A line for the run's log.
    pub(crate) fn log(&self, level: LogLevel, text: String) -> Result<(), WorkerError> {
        self.send(&FromWorker::Log(LogLine { level, source: "worker".to_owned(), text }))
    }
}
