//! Files and folders of runs that came from another record: copied into this record's own folder, and read back.
//!
//! Rows come first, and say that their file is not here yet; each is set right once its file is. What is interrupted in between is
//! made good by merging again.

use std::collections::HashMap;
use std::path::PathBuf;

use slhf_files::Digest;
use sqlx::SqliteConnection;

use super::renumber::renumber;
use super::rows::DOING;
use crate::RecordError;
use crate::checkpoint_folder::CheckpointFolder;
use crate::error::Doing as _;
use crate::stored_copy::{self, CHECKPOINT, Failed};
use crate::stored_file::{Expected, Unusable};
use crate::time::now_ms;

/// What a row says of a file that is still to come.
pub(crate) const TO_COME: &str = "has not been copied yet: merge the record that it is from again";

/// A file to be brought along.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Job {
    /// The row here.
    artefact: i64,
    kind: String,
    path: String,
    sha256: String,
    size_bytes: i64,
    /// The batch group here, of whichever run it is of.
    batch_group: Option<i64>,
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesCopied {
    /// Files and folders that came along.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Those that did not, with what is wrong with them.
    pub left_out: Vec<(String, String)>,
}

/// How files are named and numbered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming<'a> {
    /// As there.
    Kept,
    /// In the folder of their batch group here, by the numbers that the runs have here.
    Renumbered(&'a HashMap<i64, i64>),
}

/// Files whose rows were added, or are here without their file. To be called before the maps are gone. Rows name the places that
/// files will have, so that `db gc` takes none for nobody's while it is copied.
pub(crate) async fn jobs(connection: &mut SqliteConnection, naming: Naming<'_>) -> Result<Vec<Job>, RecordError> {
    sqlx::query(
        "UPDATE main.artefact SET verified_at = NULL, unusable_at = ?1, unusable_reason = ?2 \
         WHERE removed_at IS NULL AND id IN (SELECT new FROM temp.map_artefact WHERE fresh = 1)",
    )
    .bind(now_ms())
    .bind(TO_COME)
    .execute(&mut *connection)
    .await
    .doing(DOING)?;
    let jobs: Vec<Job> = sqlx::query_as(
        "SELECT o.id AS artefact, o.kind, t.path, t.sha256, t.size_bytes, (SELECT r.batch_group FROM main.artefact_run l \
         JOIN main.run r ON r.id = l.run WHERE l.artefact = o.id LIMIT 1) AS batch_group \
         FROM temp.map_artefact m JOIN other.artefact t ON t.id = m.old JOIN main.artefact o ON o.id = m.new \
         WHERE t.removed_at IS NULL AND o.removed_at IS NULL AND o.unusable_at IS NOT NULL ORDER BY o.id",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for job in &jobs {
        sqlx::query("UPDATE main.artefact SET path = ? WHERE id = ?")
            .bind(named(job, naming))
            .bind(job.artefact)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(jobs)
}

/// Copies one file. Returns where it is now, below the folder, with its size and hash.
fn bring(
    job: &Job,
    from: &CheckpointFolder,
    to: &CheckpointFolder,
    naming: Naming<'_>,
) -> Result<(String, Digest), Failed> {
    let source = from.file(&job.path)?;
    let name = named(job, naming);
    let expected = Expected { sha256: job.sha256.clone(), size_bytes: job.size_bytes.unsigned_abs() };
    let unchanged = Digest { size_bytes: expected.size_bytes, sha256: expected.sha256.clone() };
    let moves = |numbers: &HashMap<i64, i64>| job.kind == CHECKPOINT && numbers.iter().any(|(old, new)| old != new);
    for place in places(&name) {
        let target = to.path().join(&place);
        if target.symlink_metadata().is_ok() {
            if stored_copy::verify(&target, &job.kind, &expected).is_ok() {
                return Ok((place, unchanged));
            }
            continue;
        }
        let digest = match naming {
            Naming::Renumbered(numbers) if moves(numbers) => {
                renumber(&source, &target, &expected, &|run| numbers.get(&run).copied().unwrap_or(-run.abs()))?
            }
            _ => {
                stored_copy::copy(&source, &target, &job.kind, &expected)?;
                unchanged
            }
        };
        return Ok((place, digest));
    }
    Err(Failed::Source(Unusable::Unreadable("too many files of its name are there already".to_owned())))
}

/// A name, and others where something else has it.
fn places(name: &str) -> impl Iterator<Item = String> {
    let name = name.to_owned();
    (1..100).map(move |number| if number == 1 { name.clone() } else { format!("{name}-{number}") })
}

/// Where it is to lie.
fn named(job: &Job, naming: Naming<'_>) -> String {
    match naming {
        Naming::Kept => job.path.clone(),
        Naming::Renumbered(numbers) => renamed(job, numbers),
    }
}

/// `group-3/run-7-step-…`, by the numbers here.
fn renamed(job: &Job, numbers: &HashMap<i64, i64>) -> String {
    let path = PathBuf::from(&job.path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let renumbered = name.strip_prefix("run-").and_then(|rest| {
        let (run, rest) = rest.split_once('-')?;
        let number = numbers.get(&run.parse().ok()?)?;
        Some(format!("run-{number}-{rest}"))
    });
    format!("group-{}/{}", job.batch_group.unwrap_or_default(), renumbered.unwrap_or(name))
}

/// Copies one file, and says what its row is to say. `Err`: the disk of this record failed.
pub(crate) fn carry_out(
    job: &Job,
    from: &CheckpointFolder,
    to: &CheckpointFolder,
    naming: Naming<'_>,
    copied: &mut FilesCopied,
) -> Result<Outcome, RecordError> {
    match bring(job, from, to, naming) {
        Ok((path, digest)) => {
            copied.files += 1;
            copied.bytes += digest.size_bytes;
            Ok(Outcome { artefact: job.artefact, here: Ok((path, digest)) })
        }
        Err(Failed::Source(unusable)) => {
            let reason = unusable.to_string();
            copied.left_out.push((from.path().join(&job.path).display().to_string(), reason.clone()));
            Ok(Outcome { artefact: job.artefact, here: Err((named(job, naming), reason)) })
        }
        Err(Failed::Target(source)) => {
            let doing = format!("copying {} to {}", from.path().join(&job.path).display(), to.path().display());
            Err(RecordError::System { doing, source })
        }
    }
}

/// What is to be written down of a file.
pub(crate) struct Outcome {
    artefact: i64,
    here: Result<(String, Digest), (String, String)>,
}

impl Outcome {
    pub(crate) async fn note(&self, connection: &mut SqliteConnection) -> Result<(), RecordError> {
        let now = now_ms();
        let query = match &self.here {
            Ok((path, digest)) => sqlx::query(
                "UPDATE artefact SET path = ?, sha256 = ?, size_bytes = ?, verified_at = ?, unusable_at = NULL, unusable_reason = NULL \
                 WHERE id = ?",
            )
            .bind(path)
            .bind(&digest.sha256)
            .bind(i64::try_from(digest.size_bytes).unwrap_or(i64::MAX))
            .bind(now),
            Err((path, reason)) => {
                sqlx::query("UPDATE artefact SET path = ?, unusable_at = ?, unusable_reason = ? WHERE id = ?")
                    .bind(path)
                    .bind(now)
                    .bind(reason)
            }
        };
        query.bind(self.artefact).execute(connection).await.doing(DOING)?;
        Ok(())
    }
}
