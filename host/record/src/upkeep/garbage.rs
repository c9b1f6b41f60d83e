//! `db gc`: files that serve nothing any more.
//!
//! Invariant: only what lies in the record's own folder, in the folder of a batch group that nobody computes, and that no row names;
//! checkpoints by the rules of [`Record::prune_checkpoints`]; and the trash.

use std::path::PathBuf;

use crate::checkpoints::PruneScope;
use crate::error::Doing as _;
use crate::stored_copy::discard;
use crate::{Record, RecordError};

/// Why something serves nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GarbageKind {
    /// No row names it.
    Unnamed,
    /// A checkpoint of a run that keeps later ones, or none.
    OutdatedCheckpoint,
    /// Runs that were removed with `rm`.
    Trash,
}

/// Something that serves nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// Where it lies.
    pub path: PathBuf,
    /// How much room it takes.
    pub bytes: u64,
    /// Why it can go.
    pub kind: GarbageKind,
    /// How many runs are in it, of the trash.
    pub runs: usize,
}

impl Record {
    /// What [`Record::collect_garbage`] would delete. Nothing is changed.
    pub fn garbage(&mut self) -> Result<Vec<Garbage>, RecordError> {
        let mut found: Vec<Garbage> = self
            .strays()?
            .into_iter()
            .map(|stray| Garbage { path: stray.path, bytes: stray.bytes, kind: GarbageKind::Unnamed, runs: 0 })
            .collect();
        let folder = self.checkpoint_folder()?;
        for (path, bytes) in self.outdated_checkpoints()? {
            let path = folder.path().join(path);
            found.push(Garbage { path, bytes, kind: GarbageKind::OutdatedCheckpoint, runs: 0 });
        }
        let trash = self.trash_path();
        if trash.exists() {
            let (bytes, runs) = (self.trash_bytes(), self.trashed()?.len());
            found.push(Garbage { path: trash, bytes, kind: GarbageKind::Trash, runs });
        }
        Ok(found)
    }

    /// Deletes what [`Record::garbage`] lists and still is garbage. Returns what is gone.
    pub fn collect_garbage(&mut self) -> Result<Vec<Garbage>, RecordError> {
        if !self.is_writable() {
            return Err(RecordError::ReadOnly { doing: "deleting what nobody needs".to_owned() });
        }
        let found = self.garbage()?;
        self.prune_checkpoints(PruneScope::All)?;
        let strays = self.strays()?;
        for garbage in &found {
            match garbage.kind {
                GarbageKind::Unnamed if strays.iter().any(|stray| stray.path == garbage.path) => discard(&garbage.path),
                GarbageKind::Trash => drop(self.empty_trash()?),
                GarbageKind::Unnamed | GarbageKind::OutdatedCheckpoint => {}
            }
        }
        Ok(found.into_iter().filter(|garbage| garbage.path.symlink_metadata().is_err()).collect())
    }

    /// Runs that say they are running.
    pub(crate) fn running_runs(&mut self) -> Result<Vec<i64>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT id FROM run WHERE status = 'running' ORDER BY id")
                .fetch_all(connection)
                .await
                .doing("looking for running runs")
        })
    }
}
