//! Settings of a writer.

use crate::lease::Lease;

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
