//! Runs that leave for a record of their own, to be computed elsewhere, and come back.
//!
//! A slice has its runs under the numbers that they have in the whole, and their random ids, so that [`Record::collect`] knows them
//! again. Nothing is taken away from the whole: until a run comes back further than it left, the whole says of it what it said before.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use sqlx::SqliteConnection;

use super::engine::{Source, Taken};
use super::files::TO_COME;
use super::maps::{Numbering, Scope};
use super::rows::DOING;
use crate::checkpoint_folder::CheckpointFolder;
use crate::error::Doing as _;
use crate::open::copy_with_log;
use crate::status_change::end_running;
use crate::stored_copy::copy_components;
use crate::{OpenMode, Record, RecordError, RunStatus};

/// What came back of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Runs that had gone further there.
    pub taken: Taken,
    /// Runs that both records know, and that are here already as far as there.
    pub known: usize,
}

impl Record {
    /// Writes runs, with all that is recorded of them and their files, to a new record at `target`. Its folder must be there.
    pub fn slice_to(&mut self, runs: &[i64], target: &Path) -> Result<Taken, RecordError> {
        let folder = self.checkpoint_folder()?;
        slice(Whole { file: self.path(), name: self.path(), folder: &folder }, runs, target)
    }

    /// Likewise from a record that nobody has open or ever writes to again, which many may do at once: it is only read, from a private copy.
    pub fn slice_of(whole: &Path, runs: &[i64], target: &Path) -> Result<Taken, RecordError> {
        let private = copy_with_log(whole)?;
        let file = private.path().join("record.db");
        let id = Self::open(&file, OpenMode::Write)?.identity()?;
        let folder = CheckpointFolder::find(whole, id.as_deref());
        slice(Whole { file: &file, name: whole, folder: &folder }, runs, target)
    }

    /// What is recorded of a slice that nobody computes on any more: how many of its runs have ended, and how many steps the others have in
    /// all. It is only read.
    pub fn done_of_slice(slice: &Path) -> Result<(usize, i64), RecordError> {
        let private = copy_with_log(slice)?;
        let mut copy = Self::open(&private.path().join("record.db"), OpenMode::Write)?;
        let states = copy.block(async |connection| states(connection).await)?;
        let open: Vec<&State> = states.iter().filter(|run| !run.has_ended()).collect();
        Ok((states.len() - open.len(), open.iter().map(|run| run.step).sum()))
    }

    /// Takes from a slice, or from a slice of it, the runs that went further there than here. Nobody may compute on it any more: a run that
    /// is marked as running there is taken as interrupted, for `reason`. The slice is only read. Where the two contradict each other
    /// nothing is written.
    pub fn collect(&mut self, slice: &Path, reason: &str) -> Result<Collected, RecordError> {
        // Its process may have been killed, on another host: nothing of SQLite's own beside the file is to be trusted but the log.
        let private = copy_with_log(slice)?;
        let file = private.path().join("record.db");
        let mut copy = Self::open(&file, OpenMode::Write)?;
        let reason = reason.to_owned();
        copy.transaction(DOING, async |connection| end_running(connection, &reason).await)?;
        let id = copy.identity()?;
        let there = copy.block(async |connection| states(connection).await)?;
        drop(copy);
        let (here, lacking) =
            self.block(async |connection| Ok((states(connection).await?, lacking_files(connection).await?)))?;
        let here: HashMap<&str, &State> = here.iter().map(|run| (run.identity.as_str(), run)).collect();
        let mut further = Vec::new();
        let mut known = 0;
        for run in &there {
            let Some(own) = here.get(run.identity.as_str()) else { continue };
            // The rows of one whose files did not come along are here: it comes again for these.
            let went_further = run.rank() > own.rank() || (run.rank() == own.rank() && lacking.contains(&own.run));
            if went_further { further.push(run.run) } else { known += 1 }
        }
        if further.is_empty() {
            return Ok(Collected { taken: Taken::default(), known });
        }
        let folder = CheckpointFolder::find(slice, id.as_deref());
        let taken = self.take_in(&Source {
            file: &file,
            name: slice,
            folder: &folder,
            scope: Scope::Runs { runs: further, executions: Vec::new() },
            numbering: Numbering::Next,
        })?;
        bring_components(&folder, self)?;
        Ok(Collected { taken, known })
    }
}

/// What a slice is taken from.
struct Whole<'a> {
    file: &'a Path,
    name: &'a Path,
    folder: &'a CheckpointFolder,
}

fn slice(whole: Whole<'_>, runs: &[i64], target: &Path) -> Result<Taken, RecordError> {
    if target.symlink_metadata().is_ok() {
        return Err(RecordError::Exists { path: target.to_owned() });
    }
    let mut slice = Record::open(target, OpenMode::Create)?;
    let taken = slice.take_in(&Source {
        file: whole.file,
        name: whole.name,
        folder: whole.folder,
        scope: Scope::Runs { runs: runs.to_vec(), executions: Vec::new() },
        numbering: Numbering::Kept,
    })?;
    bring_components(whole.folder, &mut slice)?;
    Ok(taken)
}

fn bring_components(from: &CheckpointFolder, to: &mut Record) -> Result<(), RecordError> {
    if !from.is_readable() {
        return Ok(());
    }
    let (own, _) = to.claim_checkpoint_folder()?;
    copy_components(from.path(), own.path())
        .map_err(|source| RecordError::System { doing: "copying the components of plugins".to_owned(), source })
}

/// How far a run is.
#[derive(Debug, sqlx::FromRow)]
struct State {
    run: i64,
    identity: String,
    status: String,
    attempts: i64,
    /// Of its latest row, 0 where there is none.
    step: i64,
}

impl State {
    /// Ended before unfinished, then by steps that were recorded, then by how often it was begun.
    fn rank(&self) -> (bool, i64, i64) {
        if self.has_ended() { (true, 0, 0) } else { (false, self.step, self.attempts) }
    }

    fn has_ended(&self) -> bool {
        let status = RunStatus::from_name(&self.status);
        matches!(status, Some(RunStatus::Finished | RunStatus::Failed | RunStatus::Superseded))
    }
}

async fn states(connection: &mut SqliteConnection) -> Result<Vec<State>, RecordError> {
    sqlx::query_as(
        "SELECT r.id AS run, r.identity, r.status, r.attempts, \
         coalesce((SELECT max(step) FROM latest_metric m WHERE m.run = r.id), 0) AS step FROM run r",
    )
    .fetch_all(connection)
    .await
    .doing(DOING)
}

/// Runs here of which a file has yet to be copied: a collection before was ended half-way.
async fn lacking_files(connection: &mut SqliteConnection) -> Result<HashSet<i64>, RecordError> {
    let runs: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT l.run FROM artefact a JOIN artefact_run l ON l.artefact = a.id \
         WHERE a.removed_at IS NULL AND a.unusable_reason = ?",
    )
    .bind(TO_COME)
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    Ok(runs.into_iter().collect())
}
