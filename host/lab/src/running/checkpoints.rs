//! Looks after checkpoint files while workers compute: reads new ones back, and lets older ones go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use slhf_record::{OpenMode, PruneScope, Record, RecordError, RefusedCheckpoint, Writer};

use crate::output;

/// News of so long are looked at together: games write checkpoints many times a second.
const GATHERED_FOR: Duration = Duration::from_millis(250);

/// A thread of its own: reading gigabytes back must not keep a worker's pipe waiting. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    groups: Sender<i64>,
}

impl Keeper {
    /// Starts the thread, with a connection of its own to the record at `path`.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, path: PathBuf, writer: &'scope Writer) -> Self {
        let (groups, news) = channel();
        scope.spawn(move || {
            // It only saves room: the pass at the end, whose errors count, does what this one could not.
            if let Err(error) = keep(&path, writer, &news) {
                tracing::warn!("outdated checkpoints are not deleted while runs are computed: {error}");
            }
        });
        Self { groups }
    }

    /// Says that a group has a new checkpoint, or that one of its runs has ended.
    pub(super) fn look_after(&self, group: i64) {
        // A keeper that gave up has said so.
        let _ = self.groups.send(group);
    }
}

fn keep(path: &Path, writer: &Writer, news: &Receiver<i64>) -> Result<(), RecordError> {
    let mut record: Option<Record> = None;
    // At the end there is a pass over everything: what is news then need not be looked at here.
    while let Some(groups) = gather(news) {
        writer.flush()?;
        let record = match &mut record {
            Some(record) => record,
            none => none.insert(Record::open(path, OpenMode::Write)?),
        };
        for group in groups {
            say_refused(&record.prune_checkpoints(PruneScope::Group(group))?);
        }
    }
    Ok(())
}

/// Groups with news; `None`: no more will come.
fn gather(news: &Receiver<i64>) -> Option<BTreeSet<i64>> {
    let mut groups = BTreeSet::from([news.recv().ok()?]);
    let until = Instant::now() + GATHERED_FOR;
    loop {
        match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(group) => groups.insert(group),
            Err(RecvTimeoutError::Timeout) => return Some(groups),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
    }
}

/// One line a file, of what was not known before.
pub(crate) fn say_refused(refused: &[RefusedCheckpoint]) {
    let mut said: BTreeSet<&str> = BTreeSet::new();
    for RefusedCheckpoint { run, step, path, reason, .. } in refused.iter().filter(|one| !one.was_known) {
        if said.insert(path) {
            output::say(format!(
                "note: the checkpoint {} of run {run} at step {step} {}",
                output::visible(path),
                output::visible(reason)
            ));
        }
    }
}
