//! `db merge`: the runs of another record, which is only read.

use std::path::Path;

use sqlx::SqliteConnection;

use super::engine::{Source, Taken};
use super::maps::{Numbering, Scope};
use super::rows::DOING;
use crate::error::Doing as _;
use crate::snapshot::Snapshot;
use crate::{Record, RecordError};

/// The schema since which executions and runs have random ids.
const WITH_IDS: i64 = 12;

/// What a merge brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// What came along.
    pub taken: Taken,
    /// Runs that stayed behind because they, or others of their batch group, are marked as running: number there, and name.
    pub running: Vec<(i64, String)>,
    /// Where the other record's files are, if they are not beside it.
    pub elsewhere: Option<String>,
    /// The schema of the other record, where its runs have no random ids: they were recognized by what they are.
    pub without_ids: Option<i64>,
}

impl Record {
    /// Adds the runs of another record to this one, with all that it holds of them and their files. The other record is only read;
    /// one of an older schema from a private copy. A run that is here already is not added again. Where the two contradict each other
    /// nothing is written.
    pub fn merge(&mut self, other: &Path) -> Result<Merged, RecordError> {
        if slhf_files::is_same_file(self.path(), other).unwrap_or(false) {
            return Err(RecordError::MergeWithItself { path: other.to_owned() });
        }
        let snapshot = Snapshot::take(other)?;
        let without_ids = (snapshot.schema < WITH_IDS).then_some(snapshot.schema);
        let mut copy = Record::open(&snapshot.file, crate::OpenMode::Write)?;
        if without_ids.is_some() {
            copy.transaction(DOING, async |connection| derive_ids(connection).await)?;
        }
        let running = copy.block(async |connection| leave_out_running(connection).await)?;
        // The copy lies elsewhere: its files are those beside the original.
        let id = if without_ids.is_some() { None } else { copy.identity()? };
        drop(copy);
        let folder = crate::checkpoint_folder::CheckpointFolder::find(other, id.as_deref());
        let taken = self.take_in(&Source {
            file: &snapshot.file,
            name: other,
            folder: &folder,
            scope: Scope::Everything,
            numbering: Numbering::Next,
        })?;
        let own = self.checkpoint_folder()?;
        crate::stored_copy::copy_components(folder.path(), own.path())
            .map_err(|source| RecordError::System { doing: "copying the components of plugins".to_owned(), source })?;
        let elsewhere = if taken.files.left_out.is_empty() { None } else { id.and_then(|id| folder.explain(&id)) };
        Ok(Merged { taken, running, elsewhere, without_ids })
    }
}

/// A batch group is computed by one process, and its plan names all its runs: none of them comes while one is running. (In the
/// private copy.)
async fn leave_out_running(connection: &mut SqliteConnection) -> Result<Vec<(i64, String)>, RecordError> {
    let running: Vec<(i64, String)> = sqlx::query_as(
        "SELECT r.id, e.name || '/' || c.label || '/' || r.seed FROM run r JOIN cell c ON c.id = r.cell \
         JOIN execution x ON x.id = c.execution JOIN experiment e ON e.id = x.experiment \
         WHERE r.status = 'running' OR r.batch_group IN (SELECT batch_group FROM run WHERE status = 'running') ORDER BY r.id",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for (run, _) in &running {
        sqlx::query("UPDATE run SET status = 'running' WHERE id = ?")
            .bind(run)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(running)
}

/// Ids of executions and runs from what they are, so that they are the same whenever the record is read. (In the private copy.)
async fn derive_ids(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let executions: Vec<(i64, String)> = sqlx::query_as(
        "SELECT x.id, json_array(e.name, x.number, x.created_at, x.content_hash, x.toml, x.command_line, x.host, x.lab_sha256) \
         FROM execution x JOIN experiment e ON e.id = x.experiment",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for (id, what) in executions {
        let update = sqlx::query("UPDATE execution SET identity = ? WHERE id = ?").bind(short_hash(&what)).bind(id);
        update.execute(&mut *connection).await.doing(DOING)?;
    }
    let runs: Vec<(i64, String)> = sqlx::query_as(
        "SELECT r.id, json_array(x.identity, c.number, r.seed, r.content_hash) FROM run r JOIN cell c ON c.id = r.cell \
         JOIN execution x ON x.id = c.execution",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for (id, what) in runs {
        let update = sqlx::query("UPDATE run SET identity = ? WHERE id = ?").bind(short_hash(&what)).bind(id);
        update.execute(&mut *connection).await.doing(DOING)?;
    }
    Ok(())
}

fn short_hash(what: &str) -> String {
    slhf_files::sha256_hex(what).chars().take(32).collect()
}
