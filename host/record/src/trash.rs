//! Runs that were removed: moved with their files into a record beside this one, `lab.trash.db` for `lab.db`, from where they come
//! back under their own numbers until the trash is emptied.
//!
//! Invariant: a run is deleted here only after all of its rows are durable there and each of its files was read back there.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;

use crate::checkpoint_folder::{CheckpointFolder, FolderState, root_of};
use crate::error::Doing as _;
use crate::removal::delete_runs;
use crate::stored_copy;
use crate::stored_file::Expected;
use crate::transfer::engine::{MovedRun, Source, Taken};
use crate::transfer::maps::{Numbering, Scope};
use crate::{OpenMode, Record, RecordError, RunFilter, RunStatus};

const DOING: &str = "removing runs";

/// What is to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Runs by number.
    pub runs: Vec<i64>,
    /// Experiments: all runs of all their executions.
    pub experiments: Vec<String>,
}

/// A file of runs that are removed.
#[derive(Debug, sqlx::FromRow)]
struct File {
    kind: String,
    path: String,
    sha256: String,
    size_bytes: i64,
}

impl Record {
    /// Where removed runs go.
    #[must_use]
    pub fn trash_path(&self) -> PathBuf {
        let path = self.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = match path.extension() {
            Some(extension) => format!("{stem}.trash.{}", extension.to_string_lossy()),
            None => format!("{stem}.trash.db"),
        };
        path.with_file_name(name)
    }

    /// The runs that a removal would move, by number. Those that are computed now, and those that cover a seed of an execution
    /// that stays, are refused.
    pub fn removable(&mut self, removal: &Removal) -> Result<Vec<i64>, RecordError> {
        let mut runs = removal.runs.clone();
        for experiment in &removal.experiments {
            let filter = RunFilter { experiment: Some(experiment.clone()), ..RunFilter::default() };
            runs.extend(self.runs(&filter)?.iter().map(|run| run.run));
        }
        runs.sort_unstable();
        runs.dedup();
        let executions = self.executions_of(&removal.experiments)?;
        self.block(async |connection| refuse(connection, &runs, &executions).await)?;
        Ok(runs)
    }

    /// Moves runs into the trash.
    pub fn remove_runs(&mut self, removal: &Removal) -> Result<Taken, RecordError> {
        if !self.is_writable() {
            return Err(RecordError::ReadOnly { doing: DOING.to_owned() });
        }
        let runs = self.removable(removal)?;
        let executions = self.executions_of(&removal.experiments)?;
        let folder = self.checkpoint_folder()?;
        let mut trash = Self::open(&self.trash_path(), OpenMode::Create)?;
        let taken = trash.take_in(&Source {
            file: self.path(),
            name: self.path(),
            folder: &folder,
            scope: Scope::Runs { runs: runs.clone(), executions: executions.clone() },
            numbering: Numbering::Kept,
        })?;
        drop(trash);
        self.delete(&runs, &executions, &folder)?;
        Ok(taken)
    }

    /// What lies in the trash, by number.
    pub fn trashed(&mut self) -> Result<Vec<MovedRun>, RecordError> {
        let path = self.trash_path();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let runs = Self::open(&path, OpenMode::Read)?.runs(&RunFilter::default())?;
        Ok(runs.iter().map(|run| MovedRun { there: run.run, here: run.run, name: run.name() }).collect())
    }

    /// Brings runs back from the trash; none named: all.
    pub fn restore_runs(&mut self, chosen: &[i64]) -> Result<Taken, RecordError> {
        let all: Vec<i64> = self.trashed()?.iter().map(|run| run.here).collect();
        if let Some(missing) = chosen.iter().find(|run| !all.contains(run)) {
            let what = format!(
                "run {missing} is not in the trash: `slhf-lab ls --db {}` lists it",
                self.trash_path().display()
            );
            return Err(RecordError::Invalid { what });
        }
        let runs = if chosen.is_empty() { all.clone() } else { chosen.to_vec() };
        if runs.is_empty() {
            return Err(RecordError::Invalid { what: "the trash is empty: there is nothing to bring back".to_owned() });
        }
        let path = self.trash_path();
        let mut trash = Self::open(&path, OpenMode::Write)?;
        let folder = trash.checkpoint_folder()?;
        // With all of their cells, also those that only other runs cover.
        let executions = if runs.len() == all.len() { trash.all_executions()? } else { Vec::new() };
        let taken = self.take_in(&Source {
            file: &path,
            name: &path,
            folder: &folder,
            scope: Scope::Runs { runs: runs.clone(), executions: executions.clone() },
            numbering: Numbering::Kept,
        })?;
        trash.delete(&runs, &executions, &folder)?;
        drop(trash);
        if runs.len() == all.len() {
            self.empty_trash()?;
        }
        Ok(taken)
    }

    /// Deletes the trash for good, with its files. Returns how many bytes that were.
    pub fn empty_trash(&mut self) -> Result<u64, RecordError> {
        let path = self.trash_path();
        let bytes = self.trash_bytes();
        let failed = |path: &Path| {
            let doing = format!("deleting {}", path.display());
            move |source| RecordError::System { doing, source }
        };
        if path.exists() {
            let mut trash = Self::open(&path, OpenMode::Write)?;
            let folder = trash.checkpoint_folder()?;
            drop(trash);
            if folder.state() == FolderState::Own {
                fs::remove_dir_all(folder.path()).map_err(failed(folder.path()))?;
            }
            for suffix in ["-wal", "-shm", ""] {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                let file = PathBuf::from(name);
                if file.exists() {
                    fs::remove_file(&file).map_err(failed(&file))?;
                }
            }
        }
        Ok(bytes)
    }

    /// The size of the trash with its files, in bytes.
    #[must_use]
    pub fn trash_bytes(&self) -> u64 {
        let path = self.trash_path();
        if !path.exists() {
            return 0;
        }
        path.metadata().map_or(0, |about| about.len()) + slhf_files::bytes_below(&root_of(&path))
    }

    fn executions_of(&mut self, experiments: &[String]) -> Result<Vec<i64>, RecordError> {
        let names = serde_json::Value::from(experiments.to_vec()).to_string();
        self.block(async |connection| {
            sqlx::query_scalar(
                "SELECT x.id FROM execution x JOIN experiment e ON e.id = x.experiment \
                 WHERE e.name IN (SELECT value FROM json_each(?))",
            )
            .bind(names)
            .fetch_all(connection)
            .await
            .doing(DOING)
        })
    }

    fn all_executions(&mut self) -> Result<Vec<i64>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT id FROM execution").fetch_all(connection).await.doing(DOING)
        })
    }

    /// Deletes runs here whose rows and files are elsewhere by now.
    fn delete(&mut self, runs: &[i64], executions: &[i64], folder: &CheckpointFolder) -> Result<(), RecordError> {
        let files = self.transaction(DOING, async |connection| {
            // Another process may have started one meanwhile.
            refuse(connection, runs, executions).await?;
            let files: Vec<File> = sqlx::query_as(
                "SELECT DISTINCT a.kind, a.path, a.sha256, a.size_bytes FROM artefact a JOIN artefact_run l ON l.artefact = a.id \
                 WHERE a.removed_at IS NULL AND a.unusable_at IS NULL AND l.run IN (SELECT value FROM json_each(?))",
            )
            .bind(serde_json::Value::from(runs.to_vec()).to_string())
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
            delete_runs(connection, runs, executions).await?;
            let named: Vec<String> = sqlx::query_scalar("SELECT path FROM artefact WHERE removed_at IS NULL")
                .fetch_all(connection)
                .await
                .doing(DOING)?;
            Ok(files.into_iter().filter(|file| !named.contains(&file.path)).collect::<Vec<File>>())
        })?;
        for file in files {
            let expected = Expected { sha256: file.sha256, size_bytes: file.size_bytes.unsigned_abs() };
            // What is not what was written was not moved either: it stays where it is.
            if let Ok(path) = folder.file(&file.path)
                && stored_copy::verify(&path, &file.kind, &expected).is_ok()
            {
                stored_copy::discard(&path);
            }
        }
        Ok(())
    }
}

/// Runs that cannot go now.
async fn refuse(connection: &mut SqliteConnection, runs: &[i64], executions: &[i64]) -> Result<(), RecordError> {
    let list = serde_json::Value::from(runs.to_vec()).to_string();
    let running: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM run WHERE status = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY id",
    )
    .bind(RunStatus::Running.as_str())
    .bind(&list)
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    if !running.is_empty() {
        return Err(RecordError::StillRunning { runs: running, doing: "removed".to_owned() });
    }
    let covered: Option<(i64, String, i64, i64)> = sqlx::query_as(
        "SELECT a.run, e.name || '/' || c.label, a.seed, x.number FROM answer a JOIN cell c ON c.id = a.cell \
         JOIN execution x ON x.id = c.execution JOIN experiment e ON e.id = x.experiment \
         WHERE a.run IN (SELECT value FROM json_each(?1)) AND x.id NOT IN (SELECT value FROM json_each(?2)) LIMIT 1",
    )
    .bind(list)
    .bind(serde_json::Value::from(executions.to_vec()).to_string())
    .fetch_optional(connection)
    .await
    .doing(DOING)?;
    match covered {
        None => Ok(()),
        Some((run, cell, seed, execution)) => Err(RecordError::Invalid {
            what: format!(
                "run {run} also stands for seed {seed} of {cell} in execution {execution} (`run --needed`), which would lose it: \
                 remove that experiment along with it"
            ),
        }),
    }
}
