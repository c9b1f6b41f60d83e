//! What `resume` goes on with: unfinished runs by batch group, with their frozen plans and last checkpoints.

use slhf_plan::ResumePoint;
use sqlx::SqliteConnection;

use crate::error::Doing as _;
use crate::list::runs;
use crate::time::now_ms;
use crate::{Record, RecordError, RunFilter, RunStatus, RunSummary};

/// A batch group with work left.
#[derive(Clone, Debug)]
pub struct UnfinishedGroup {
    /// Its number in the whole record, for [`crate::Writer::game_judged`].
    pub group: i64,
    /// Its experiment.
    pub experiment: String,
    /// Which execution.
    pub execution: i64,
    /// The frozen plan of the whole group, finished runs included.
    pub frozen: String,
    /// The runs that are chosen by the filter.
    pub runs: Vec<UnfinishedRun>,
}

/// A run with work left.
#[derive(Clone, Debug)]
pub struct UnfinishedRun {
    /// The run.
    pub summary: RunSummary,
    /// Its last checkpoint; `None`: it starts at step 0.
    pub checkpoint: Option<ResumePoint>,
}

impl Record {
    /// Runs that match the filter, by batch group. `resume` without an argument: status interrupted (and pending, for
    /// what never started); the filter's statuses must be such.
    pub fn unfinished_groups(&mut self, filter: &RunFilter) -> Result<Vec<UnfinishedGroup>, RecordError> {
        self.block(async |connection| {
            let mut filter = filter.clone();
            if filter.statuses.is_empty() {
                filter.statuses = vec![RunStatus::Interrupted, RunStatus::Pending];
            }
            let mut groups: Vec<UnfinishedGroup> = Vec::new();
            for summary in runs(connection, &filter).await? {
                let checkpoint = last_checkpoint(connection, summary.run).await?;
                let (group, frozen) = group_of(connection, summary.run).await?;
                let run = UnfinishedRun { summary, checkpoint };
                match groups.iter_mut().find(|known| known.group == group) {
                    Some(known) => known.runs.push(run),
                    None => groups.push(UnfinishedGroup {
                        group,
                        experiment: run.summary.experiment.clone(),
                        execution: run.summary.execution,
                        frozen,
                        runs: vec![run],
                    }),
                }
            }
            Ok(groups)
        })
    }

    /// The last checkpoint of a run whose file was not removed by the lab.
    pub fn last_checkpoint(&mut self, run: i64) -> Result<Option<ResumePoint>, RecordError> {
        self.block(async |connection| last_checkpoint(connection, run).await)
    }

    /// Checkpoint files that nobody needs: each of their runs is finished or superseded, or has a later checkpoint. The
    /// last one of a language model is what it has learnt, so it stays until the run is superseded. The lab may delete them and then call [`Record::artefact_removed`].
    pub fn outdated_checkpoints(&mut self) -> Result<Vec<String>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar(
                "SELECT DISTINCT a.path FROM artefact a WHERE a.kind = 'checkpoint' AND a.removed_at IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM artefact_run l JOIN run r ON r.id = l.run WHERE l.artefact = a.id \
                 AND (r.status NOT IN ('finished', 'superseded') OR (r.status = 'finished' AND EXISTS (SELECT 1 \
                 FROM cell c JOIN execution x ON x.id = c.execution WHERE c.id = r.cell AND x.kind = 'language-model'))) \
                 AND l.step = (SELECT max(m.step) FROM artefact_run m JOIN artefact b ON b.id = m.artefact \
                 WHERE m.run = l.run AND b.kind = 'checkpoint' AND b.removed_at IS NULL)) ORDER BY a.id",
            )
            .fetch_all(connection)
            .await
            .doing("looking for outdated checkpoints")
        })
    }

    /// Says that the lab deleted a file.
    pub fn artefact_removed(&mut self, path: &str) -> Result<(), RecordError> {
        self.transaction("recording a removed file", async |connection| {
            sqlx::query("UPDATE artefact SET removed_at = ? WHERE path = ? AND removed_at IS NULL")
                .bind(now_ms())
                .bind(path)
                .execute(connection)
                .await
                .doing("recording a removed file")?;
            Ok(())
        })
    }
}

async fn group_of(connection: &mut SqliteConnection, run: i64) -> Result<(i64, String), RecordError> {
    sqlx::query_as("SELECT g.id, g.frozen FROM run r JOIN batch_group g ON g.id = r.batch_group WHERE r.id = ?")
        .bind(run)
        .fetch_optional(connection)
        .await
        .doing("reading a frozen plan")?
        .ok_or_else(|| RecordError::Invalid { what: format!("run {run} has no frozen plan in the record") })
}

async fn last_checkpoint(connection: &mut SqliteConnection, run: i64) -> Result<Option<ResumePoint>, RecordError> {
    let row: Option<(i64, String, String)> = sqlx::query_as(
        "SELECT l.step, a.path, a.sha256 FROM artefact_run l JOIN artefact a ON a.id = l.artefact \
         WHERE l.run = ? AND a.kind = 'checkpoint' AND a.removed_at IS NULL ORDER BY l.step DESC, a.id DESC LIMIT 1",
    )
    .bind(run)
    .fetch_optional(connection)
    .await
    .doing("looking for the last checkpoint")?;
    Ok(row.map(|(step, path, sha256)| ResumePoint { run, step: step.unsigned_abs(), path, sha256 }))
}
