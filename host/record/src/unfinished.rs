//! What `resume` goes on with: unfinished runs by batch group, with their frozen plans.

use sqlx::SqliteConnection;

use crate::error::Doing as _;
use crate::list::runs;
use crate::{Record, RecordError, RunFilter, RunStatus, RunSummary};

/// A batch group with work left.
#[derive(Clone, Debug)]
pub struct UnfinishedGroup {
    /// Its number in the whole record.
    pub group: i64,
    /// Its experiment.
    pub experiment: String,
    /// Which execution.
    pub execution: i64,
    /// The frozen plan of the whole group, finished runs included.
    pub frozen: String,
    /// The runs that are chosen by the filter.
    pub runs: Vec<RunSummary>,
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
                let (group, frozen) = group_of(connection, summary.run).await?;
                match groups.iter_mut().find(|known| known.group == group) {
                    Some(known) => known.runs.push(summary),
                    None => groups.push(UnfinishedGroup {
                        group,
                        experiment: summary.experiment.clone(),
                        execution: summary.execution,
                        frozen,
                        runs: vec![summary],
                    }),
                }
            }
            Ok(groups)
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
