//! Listings: experiments and runs.

use sqlx::{FromRow, SqliteConnection};

use crate::error::Doing as _;
use crate::{Record, RecordError, RunStatus};

/// One experiment, counted over its latest execution.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct ExperimentSummary {
    /// Its name.
    pub experiment: String,
    /// `game`, `language-model`.
    pub kind: String,
    /// Its question.
    pub question: Option<String>,
    /// Number of the latest execution.
    pub latest_execution: i64,
    /// When that was planned, ISO 8601, UTC.
    pub executed_at: String,
    /// Its runs, and how many of them are in each state.
    pub runs: i64,
    /// See `runs`.
    pub pending: i64,
    /// See `runs`.
    pub running: i64,
    /// See `runs`.
    pub finished: i64,
    /// See `runs`.
    pub failed: i64,
    /// See `runs`.
    pub interrupted: i64,
    /// See `runs`.
    pub superseded: i64,
}

/// Which executions a listing takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecutionChoice {
    /// Every execution.
    #[default]
    All,
    /// The latest of each experiment.
    Latest,
    /// This one.
    Number(i64),
}

/// Which runs a listing takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only this experiment.
    pub experiment: Option<String>,
    /// Which executions.
    pub execution: ExecutionChoice,
    /// Only these states; empty: all.
    pub statuses: Vec<RunStatus>,
    /// Only these runs; empty: all.
    pub runs: Vec<i64>,
    /// Only runs that carry all of these tags.
    pub tags: Vec<String>,
}

/// One run in a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Its number.
    pub run: i64,
    /// Its experiment.
    pub experiment: String,
    /// `game`, `language-model`.
    pub kind: String,
    /// Which execution of the experiment.
    pub execution: i64,
    /// Its cell's label.
    pub cell: String,
    /// Position of the cell in the plan, from 0.
    pub cell_number: i64,
    /// Its seed.
    pub seed: i64,
    /// Its state.
    pub status: RunStatus,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// ISO 8601, UTC.
    pub created_at: String,
    /// See `created_at`.
    pub started_at: Option<String>,
    /// See `created_at`.
    pub finished_at: Option<String>,
    /// Steps it will do.
    pub steps: i64,
    /// Steps done, as of its last checkpoint or end.
    pub steps_done: i64,
    /// How often it was started.
    pub attempts: i64,
    /// The hash `--needed` looks for.
    pub content_hash: String,
    /// The execution that superseded it.
    pub superseded_by_execution: Option<i64>,
}

impl RunSummary {
    /// `experiment/cell/seed`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.experiment, self.cell, self.seed)
    }
}

impl FromRow<'_, sqlx::sqlite::SqliteRow> for RunSummary {
    fn from_row(row: &sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let status: String = row.try_get("status")?;
        let status = RunStatus::from_name(&status).ok_or_else(|| sqlx::Error::ColumnDecode {
            index: "status".to_owned(),
            source: format!("`{status}` is no state of a run").into(),
        })?;
        Ok(Self {
            run: row.try_get("run")?,
            experiment: row.try_get("experiment")?,
            kind: row.try_get("kind")?,
            execution: row.try_get("execution")?,
            cell: row.try_get("cell")?,
            cell_number: row.try_get("cell_number")?,
            seed: row.try_get("seed")?,
            status,
            reason: row.try_get("reason")?,
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            steps: row.try_get("steps")?,
            steps_done: row.try_get("steps_done")?,
            attempts: row.try_get("attempts")?,
            content_hash: row.try_get("content_hash")?,
            superseded_by_execution: row.try_get("superseded_by_execution")?,
        })
    }
}

impl Record {
    /// All experiments, by name.
    pub fn experiments(&mut self) -> Result<Vec<ExperimentSummary>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as("SELECT * FROM experiments ORDER BY experiment")
                .fetch_all(connection)
                .await
                .doing("listing experiments")
        })
    }

    /// Runs, by number.
    pub fn runs(&mut self, filter: &RunFilter) -> Result<Vec<RunSummary>, RecordError> {
        self.block(async |connection| runs(connection, filter).await)
    }
}

pub(crate) async fn runs(
    connection: &mut SqliteConnection,
    filter: &RunFilter,
) -> Result<Vec<RunSummary>, RecordError> {
    let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new("SELECT * FROM runs WHERE 1");
    if let Some(experiment) = &filter.experiment {
        query.push(" AND experiment = ").push_bind(experiment);
    }
    match filter.execution {
        ExecutionChoice::All => {}
        ExecutionChoice::Latest => {
            query.push(
                " AND (experiment, execution) IN (SELECT e.name, max(x.number) FROM execution x \
                 JOIN experiment e ON e.id = x.experiment GROUP BY e.id)",
            );
        }
        ExecutionChoice::Number(number) => {
            query.push(" AND execution = ").push_bind(number);
        }
    }
    if !filter.statuses.is_empty() {
        let mut list = query.push(" AND status IN (").separated(", ");
        for status in &filter.statuses {
            list.push_bind(status.as_str());
        }
        query.push(")");
    }
    if !filter.runs.is_empty() {
        let mut list = query.push(" AND run IN (").separated(", ");
        for run in &filter.runs {
            list.push(run.to_string());
        }
        query.push(")");
    }
    for tag in &filter.tags {
        query.push(" AND run IN (SELECT run FROM tags WHERE tag = ").push_bind(tag).push(")");
    }
    query.push(" ORDER BY run");
    query.build_query_as().fetch_all(connection).await.doing("listing runs")
}
