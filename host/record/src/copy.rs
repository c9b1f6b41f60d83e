//! A copy of a record with its files: a record of its own, with its own id.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::checkpoint_folder::{CheckpointFolder, root_of, write_identity};
use crate::checkpoints::identity;
use crate::error::Doing as _;
use crate::export::{folder_of, vacuum_into};
use crate::open::{is_compressed, options};
use crate::placed::{put, verify};
use crate::status_change::end_running;
use crate::stored_copy::{self, Failed};
use crate::stored_file::{Expected, Unusable};
use crate::time::now_ms;
use crate::{Record, RecordError};

const DOING: &str = "copying the record";

/// How often a copy begins anew because a checkpoint was outdated and deleted meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files and folders of runs that came along.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Those that did not, with what is wrong with them.
    pub left_out: Vec<(String, String)>,
    /// Where this record's own files are, if they are not beside it.
    pub elsewhere: Option<String>,
}

impl Record {
    /// Writes a copy of the record as it is now to `target`, and its files beside it, each read back and compared with its row.
    /// The copy has an id of its own; runs that somebody computes now are interrupted in it. Nothing is written over.
    pub fn copy_to(&mut self, target: &Path) -> Result<Copied, RecordError> {
        if is_compressed(target) {
            let what = format!("{} is a name of a compressed record: `db export` writes such", target.display());
            return Err(RecordError::Invalid { what });
        }
        let root = root_of(target);
        for path in [target, &root] {
            if fs::symlink_metadata(path).is_ok() {
                return Err(RecordError::Exists { path: path.to_owned() });
            }
        }
        for _ in 0..ATTEMPTS_MAX {
            if let Some(copied) = self.copy_once(target, &root)? {
                return Ok(copied);
            }
        }
        Err(RecordError::Changing { path: self.path().to_owned() })
    }

    /// `None`: a file went meanwhile because this record no longer needed it.
    fn copy_once(&mut self, target: &Path, root: &Path) -> Result<Option<Copied>, RecordError> {
        let parent = folder_of(target)?;
        let refused = |source| system(format!("a folder for the copy in {}", parent.display()), source);
        let place = tempfile::Builder::new().prefix(".slhf-lab-copy-").tempdir_in(parent).map_err(refused)?;
        let (database, files) = (place.path().join("record.db"), place.path().join("files"));
        fs::create_dir(&files).map_err(refused)?;
        let (elsewhere, source) = (self.checkpoints_elsewhere()?, self.checkpoint_folder()?);
        let mut copied = Copied { elsewhere, ..Copied::default() };
        let missing = self.block(async |connection| {
            vacuum_into(connection, &database).await?;
            let mut own = options(&database).connect().await.doing(DOING)?;
            let result: Result<Vec<String>, RecordError> = async {
                sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut own).await.doing(DOING)?;
                let missing = copy_files(&mut own, &source, &files, &mut copied).await?;
                stored_copy::copy_components(source.path(), &files)
                    .map_err(|source| system("copying the components of plugins".to_owned(), source))?;
                let id = own_identity(&mut own).await?;
                write_identity(&files, &id).map_err(|source| system("writing the copy's id".to_owned(), source))?;
                end_runs(&mut own).await?;
                Ok(missing)
            }
            .await;
            own.close().await.doing(DOING)?;
            let missing = result?;
            verify(&database).await?;
            Ok(missing)
        })?;
        if self.were_removed(&missing)? {
            return Ok(None);
        }
        put(&files, root)?;
        put(&database, target)?;
        let flushed = File::open(parent).and_then(|folder| folder.sync_all());
        flushed.map_err(|source| system(format!("flushing {}", parent.display()), source))?;
        Ok(Some(copied))
    }

    fn were_removed(&mut self, paths: &[String]) -> Result<bool, RecordError> {
        let paths = serde_json::Value::from(paths.to_vec()).to_string();
        self.block(async |connection| {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM artefact WHERE removed_at IS NOT NULL \
                 AND path IN (SELECT value FROM json_each(?)))",
            )
            .bind(paths)
            .fetch_one(connection)
            .await
            .doing(DOING)
        })
    }
}

/// Copies what the copy's rows name, the newest first, and notes in the copy what could not be. Returns what is not there.
async fn copy_files(
    connection: &mut SqliteConnection,
    source: &CheckpointFolder,
    target: &Path,
    copied: &mut Copied,
) -> Result<Vec<String>, RecordError> {
    let rows: Vec<(i64, String, String, String, i64)> = sqlx::query_as(
        "SELECT id, kind, path, sha256, size_bytes FROM artefact WHERE removed_at IS NULL ORDER BY id DESC",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    let mut missing = Vec::new();
    for (artefact, kind, path, sha256, size_bytes) in rows {
        let expected = Expected { sha256, size_bytes: size_bytes.unsigned_abs() };
        let from = source.file(&path).map_err(Failed::from);
        let problem = match from.and_then(|from| stored_copy::copy(&from, &target.join(&path), &kind, &expected)) {
            Ok(()) => {
                copied.files += 1;
                copied.bytes += expected.size_bytes;
                None
            }
            Err(Failed::Source(unusable)) => {
                let reason = unusable.to_string();
                copied.left_out.push((source.path().join(&path).display().to_string(), reason.clone()));
                if unusable == Unusable::Missing {
                    missing.push(path);
                }
                Some(reason)
            }
            Err(Failed::Target(error)) => {
                return Err(system(format!("copying {}", source.path().join(&path).display()), error));
            }
        };
        sqlx::query("UPDATE artefact SET verified_at = ?, unusable_at = ?, unusable_reason = ? WHERE id = ?")
            .bind(problem.is_none().then(now_ms))
            .bind(problem.is_some().then(now_ms))
            .bind(problem)
            .bind(artefact)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(missing)
}

/// A copy is another record.
async fn own_identity(connection: &mut SqliteConnection) -> Result<String, RecordError> {
    sqlx::query(
        "INSERT INTO record_identity (one, id) VALUES (1, lower(hex(randomblob(16)))) \
         ON CONFLICT (one) DO UPDATE SET copied_from = id, id = excluded.id",
    )
    .execute(&mut *connection)
    .await
    .doing(DOING)?;
    Ok(identity(connection).await?.unwrap_or_default())
}

/// Nobody computes the copy's runs.
async fn end_runs(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    end_running(connection, "the record was copied while another process computed this run").await?;
    for statement in ["DELETE FROM held_run", "DELETE FROM lease"] {
        sqlx::query(statement).execute(&mut *connection).await.doing(DOING)?;
    }
    Ok(())
}

fn system(doing: String, source: io::Error) -> RecordError {
    RecordError::System { doing, source }
}
