//! The writer's thread: collects messages, decides when to commit, keeps the lease alive.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use slhf_plan::Report;
use sqlx::{Connection as _, SqliteConnection};
use tokio::runtime::Runtime;

use super::book::Book;
use super::message::{Command, Message, Shared};
use super::options::WriterOptions;
use crate::error::{Doing as _, RecordError};
use crate::lease::{HEARTBEAT_INTERVAL_MS, refresh, still_held};
use crate::open::{OpenMode, open_writable, options};

pub(super) struct WriterThread {
    runtime: Runtime,
    connection: SqliteConnection,
    path: PathBuf,
    settings: WriterOptions,
    receiver: Receiver<Command>,
    shared: Arc<Shared>,
    book: Book,
}

/// The thread cannot go on; why is in [`Shared`].
struct Stopped;

/// Messages that wait for the next commit.
#[derive(Default)]
struct Waiting {
    messages: Vec<Message>,
    values: usize,
    since: Option<Instant>,
}

impl WriterThread {
    pub(super) fn open(
        path: &Path,
        settings: WriterOptions,
        receiver: Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Result<Self, RecordError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|source| RecordError::System { doing: "an asynchronous runtime".to_owned(), source })?;
        let connection = runtime.block_on(open_writable(path, &options(path), OpenMode::Write))?;
        Ok(Self { runtime, connection, path: path.to_owned(), settings, receiver, shared, book: Book::default() })
    }

    /// Runs until all senders are gone or something fails.
    pub(super) fn run(mut self) {
        // Why it stopped is kept where callers look.
        let _ = self.serve();
        let _ = self.runtime.block_on(self.connection.close());
    }

    fn serve(&mut self) -> Result<(), Stopped> {
        let interval = Duration::from_millis(self.settings.commit_interval_ms);
        let heartbeat = Duration::from_millis(HEARTBEAT_INTERVAL_MS);
        let mut waiting = Waiting::default();
        let mut last_heartbeat = Instant::now();
        loop {
            let due = match waiting.since {
                Some(since) => (since + interval).min(last_heartbeat + heartbeat),
                None => last_heartbeat + heartbeat,
            };
            match self.receiver.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Command::Write(message)) => {
                    waiting.push(message);
                    let full = waiting.values >= self.settings.values_per_commit_max;
                    let late = waiting.since.is_some_and(|since| since.elapsed() >= interval);
                    if full || late {
                        self.commit(&mut waiting)?;
                    }
                }
                Ok(Command::Flush(answer)) => self.flush(answer, &mut waiting)?,
                Err(RecvTimeoutError::Timeout) => {
                    if waiting.since.is_some_and(|since| since.elapsed() >= interval) {
                        self.commit(&mut waiting)?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return self.commit(&mut waiting),
            }
            if last_heartbeat.elapsed() >= heartbeat {
                self.beat()?;
                last_heartbeat = Instant::now();
            }
        }
    }

    /// Callers who flush at the same time share one commit: each of many threads that wait for a server flushes what it heard.
    fn flush(&mut self, first: SyncSender<()>, waiting: &mut Waiting) -> Result<(), Stopped> {
        let mut answers = vec![first];
        while waiting.values < self.settings.values_per_commit_max
            && let Ok(command) = self.receiver.try_recv()
        {
            match command {
                Command::Write(message) => waiting.push(message),
                Command::Flush(answer) => answers.push(answer),
            }
        }
        self.commit(waiting)?;
        for answer in answers {
            // A caller that stopped waiting needs no answer.
            let _ = answer.send(());
        }
        Ok(())
    }

    /// The failure is kept before anyone who waits for an answer learns that none will come.
    fn fail(&self, error: RecordError) -> Stopped {
        tracing::error!("writing to {} failed: {error}", self.path.display());
        *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(error));
        Stopped
    }

    fn commit(&mut self, waiting: &mut Waiting) -> Result<(), Stopped> {
        let messages = std::mem::take(waiting).messages;
        let lease = self.settings.lease;
        let Self { runtime, connection, shared, book, .. } = self;
        if messages.is_empty() {
            // Whoever waits for this is about to say what became of runs: it must know that they are still its own.
            let Some(lease) = lease else { return Ok(()) };
            return runtime.block_on(still_held(connection, lease)).map_err(|error| self.fail(error));
        }
        let committed = runtime.block_on(async {
            let doing = "committing rows";
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
            if let Some(lease) = lease {
                still_held(&mut transaction, lease).await?;
            }
            book.write(&mut transaction, messages, shared).await?;
            transaction.commit().await.doing(doing)
        });
        committed.map_err(|error| self.fail(error))
    }

    fn beat(&mut self) -> Result<(), Stopped> {
        let Some(lease) = self.settings.lease else { return Ok(()) };
        let Self { runtime, connection, .. } = self;
        let refreshed = runtime.block_on(refresh(connection, lease));
        refreshed.map_err(|error| self.fail(error))
    }
}

impl Waiting {
    fn push(&mut self, message: Message) {
        self.since.get_or_insert_with(Instant::now);
        self.values += match &message {
            Message::Report(Report::Metrics(batch)) => batch.values.len(),
            Message::Report(Report::Schedules(rows)) => rows.len() * 2,
            Message::Report(Report::Evaluations(rows)) => rows.len() * 2,
            _ => 1,
        };
        self.messages.push(message);
    }
}
