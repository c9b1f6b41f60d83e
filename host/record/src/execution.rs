//! Making an execution: its whole plan is in the record, in one transaction, before anything starts.

use std::collections::HashMap;
use std::error::Error;

use slhf_plan::FrozenWork;
use sqlx::SqliteConnection;

use crate::error::Doing as _;
use crate::execution_rows::{AnswerRow, CellRow, GrantRow, ParameterRow, PendingRow, Rows, RunRow, SettingRow};
use crate::new_execution::{NewCell, NewExecution};
use crate::time::now_ms;
use crate::value::stored_count;
use crate::{Record, RecordError};

const DOING: &str = "recording the plan of an execution";

/// Where a run of a new execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedRun {
    /// Its number.
    pub run: i64,
    /// Index into [`NewExecution::cells`].
    pub cell: usize,
    /// Index into that cell's runs.
    pub index: usize,
    /// Its seed.
    pub seed: u64,
}

/// The runs of one worker, with the plan it will be handed.
#[derive(Clone, Debug)]
pub struct FrozenGroup {
    /// Numbers of the runs.
    pub runs: Vec<i64>,
    /// The [`slhf_plan::Work`] as JSON.
    pub json: String,
}

impl FrozenGroup {
    /// A group as its plan says.
    #[must_use]
    pub fn of(plan: &FrozenWork) -> Self {
        let runs = plan.work().runs().into_iter().map(|(run, _)| run).collect();
        Self { runs, json: plan.text().to_owned() }
    }
}

/// A batch group in the record.
#[derive(Clone, Debug)]
pub struct CreatedGroup {
    /// Its number in the whole record.
    pub group: i64,
    /// Its runs.
    pub runs: Vec<i64>,
}

/// An execution in the record.
#[derive(Clone, Debug)]
pub struct CreatedExecution {
    /// Counts the experiment's executions from 1.
    pub execution: i64,
    /// The runs that were made, in the order of the plan.
    pub runs: Vec<CreatedRun>,
    /// The batch groups.
    pub groups: Vec<CreatedGroup>,
}

/// What a caller says when it cannot freeze its plan.
pub type FreezeError = Box<dyn Error + Send + Sync>;

impl Record {
    /// Makes an execution. `freeze` is told the numbers of the runs and returns the batch groups, which hold these
    /// numbers; every run must be in exactly one group. All or nothing is recorded.
    pub fn create_execution(
        &mut self,
        new: &NewExecution,
        freeze: impl FnOnce(&[CreatedRun]) -> Result<Vec<FrozenGroup>, FreezeError>,
    ) -> Result<CreatedExecution, RecordError> {
        validate(new)?;
        self.transaction(DOING, async |connection| {
            let (id, execution) = insert_execution(connection, new).await?;
            let runs = insert_cells(connection, id, &new.cells).await?;
            let frozen = freeze(&runs).map_err(|source| RecordError::Freeze { source })?;
            check_groups(&runs, &frozen)?;
            let groups = insert_groups(connection, id, frozen).await?;
            Ok(CreatedExecution { execution, runs, groups })
        })
    }

    /// Finished runs with these content hashes, the latest of each: what `--needed` skips, and what `run` says anyway.
    pub fn finished_runs_by_content(&mut self, content_hashes: &[String]) -> Result<HashMap<String, i64>, RecordError> {
        let doing = "looking for runs that already cover a cell";
        let wanted = serde_json::Value::from(content_hashes.to_vec()).to_string();
        self.block(async |connection| {
            // One question for all of them: an experiment may have ten thousand.
            let rows: Vec<(String, i64)> = sqlx::query_as(
                "SELECT content_hash, max(id) FROM run \
                 WHERE status = 'finished' AND content_hash IN (SELECT value FROM json_each(?)) GROUP BY content_hash",
            )
            .bind(wanted)
            .fetch_all(&mut *connection)
            .await
            .doing(doing)?;
            Ok(rows.into_iter().collect())
        })
    }
}

fn validate(new: &NewExecution) -> Result<(), RecordError> {
    let invalid = |what: String| Err(RecordError::Invalid { what });
    if new.experiment.is_empty() || new.experiment.contains('/') {
        return invalid(format!("the experiment name `{}` must not be empty nor hold a `/`", new.experiment));
    }
    for cell in &new.cells {
        if cell.label.is_empty() {
            return invalid(format!("a cell of experiment {} has no label", new.experiment));
        }
        for run in &cell.runs {
            if i64::try_from(run.seed).is_err() || i64::try_from(run.steps).is_err() {
                return invalid(format!(
                    "seed {} or steps {} of cell {} are above {}, the largest the record can hold",
                    run.seed,
                    run.steps,
                    cell.label,
                    i64::MAX
                ));
            }
        }
    }
    Ok(())
}

fn check_groups(runs: &[CreatedRun], groups: &[FrozenGroup]) -> Result<(), RecordError> {
    let mut planned: Vec<i64> = runs.iter().map(|run| run.run).collect();
    let mut grouped: Vec<i64> = groups.iter().flat_map(|group| group.runs.iter().copied()).collect();
    planned.sort_unstable();
    grouped.sort_unstable();
    if planned == grouped {
        Ok(())
    } else {
        Err(RecordError::Invalid {
            what: format!("runs {planned:?} were planned, but the batch groups hold {grouped:?}: each run once"),
        })
    }
}

async fn insert_execution(connection: &mut SqliteConnection, new: &NewExecution) -> Result<(i64, i64), RecordError> {
    sqlx::query("INSERT OR IGNORE INTO experiment (name) VALUES (?)")
        .bind(&new.experiment)
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    let (experiment, number): (i64, i64) = sqlx::query_as(
        "SELECT e.id, 1 + coalesce((SELECT max(number) FROM execution WHERE experiment = e.id), 0) \
         FROM experiment e WHERE e.name = ?",
    )
    .bind(&new.experiment)
    .fetch_one(&mut *connection)
    .await
    .doing(DOING)?;
    let provenance = &new.provenance;
    let id = sqlx::query(
        "INSERT INTO execution (experiment, number, kind, question, toml, toml_path, content_hash, created_at, \
         command_line, working_directory, host, lab_version, lab_sha256, worker_sha256, source_commit, source_dirty, \
         identity) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, lower(hex(randomblob(16))))",
    )
    .bind(experiment)
    .bind(number)
    .bind(&new.kind)
    .bind(new.question.as_deref())
    .bind(&new.toml)
    .bind(new.toml_path.as_deref())
    .bind(&new.content_hash)
    .bind(now_ms())
    .bind(&provenance.command_line)
    .bind(&provenance.working_directory)
    .bind(&provenance.host)
    .bind(&provenance.lab_version)
    .bind(&provenance.lab_sha256)
    .bind(provenance.worker_sha256.as_deref())
    .bind(provenance.source_commit.as_deref())
    .bind(provenance.source_dirty)
    .execute(&mut *connection)
    .await
    .doing(DOING)?
    .last_insert_rowid();
    for (name, version) in &provenance.software {
        sqlx::query("INSERT INTO software_version (execution, name, version) VALUES (?, ?, ?)")
            .bind(id)
            .bind(name)
            .bind(version)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok((id, number))
}

/// All cells with all that they have, many rows a statement: an execution may have ten thousand.
async fn insert_cells(
    connection: &mut SqliteConnection,
    execution: i64,
    cells: &[NewCell],
) -> Result<Vec<CreatedRun>, RecordError> {
    let first_cell = next_number(connection, "cell").await?;
    let first_run = next_number(connection, "run").await?;
    let mut keys: HashMap<&str, i64> = HashMap::new();
    for (name, _) in cells.iter().flat_map(|cell| &cell.parameters) {
        if !keys.contains_key(name.as_str()) {
            keys.insert(name, parameter_key(connection, name).await?);
        }
    }
    let now = now_ms();
    let mut rows = Rows::default();
    let mut runs = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let id = first_cell + stored_count(index);
        rows.cells.push(CellRow { id, execution, number: stored_count(index), label: &cell.label });
        rows.settings.extend(cell.settings.iter().map(|setting| SettingRow { cell: id, setting }));
        for (name, value) in &cell.parameters {
            rows.parameters.extend(keys.get(name.as_str()).map(|key| ParameterRow { cell: id, key: *key, value }));
        }
        rows.grants.extend(cell.plugins.iter().map(|grant| GrantRow { cell: id, grant }));
        for (place, run) in cell.runs.iter().enumerate() {
            if let Some(answer) = run.answered_by {
                rows.answers.push(AnswerRow { cell: id, seed: stored_count(run.seed), run: answer });
                continue;
            }
            let number = first_run + stored_count(runs.len());
            rows.runs.push(RunRow { id: number, cell: id, run, created_at: now });
            rows.states.push(PendingRow { run: number, changed_at: now });
            runs.push(CreatedRun { run: number, cell: index, index: place, seed: run.seed });
        }
    }
    rows.insert(connection, DOING).await?;
    sqlx::query("UPDATE run SET identity = lower(hex(randomblob(16))) WHERE id >= ?")
        .bind(first_run)
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(runs)
}

/// The number that the next row of a table gets: none is ever given twice.
async fn next_number(connection: &mut SqliteConnection, table: &'static str) -> Result<i64, RecordError> {
    let statement = format!(
        "SELECT 1 + max((SELECT coalesce(max(id), 0) FROM {table}), \
         (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '{table}'))"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(connection).await.doing(DOING)
}

async fn parameter_key(connection: &mut SqliteConnection, name: &str) -> Result<i64, RecordError> {
    sqlx::query("INSERT OR IGNORE INTO parameter_key (name) VALUES (?)")
        .bind(name)
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query_scalar("SELECT id FROM parameter_key WHERE name = ?")
        .bind(name)
        .fetch_one(connection)
        .await
        .doing(DOING)
}

async fn insert_groups(
    connection: &mut SqliteConnection,
    execution: i64,
    frozen: Vec<FrozenGroup>,
) -> Result<Vec<CreatedGroup>, RecordError> {
    let mut groups = Vec::with_capacity(frozen.len());
    for (number, group) in frozen.into_iter().enumerate() {
        let id = sqlx::query("INSERT INTO batch_group (execution, number, frozen) VALUES (?, ?, ?)")
            .bind(execution)
            .bind(stored_count(number))
            .bind(&group.json)
            .execute(&mut *connection)
            .await
            .doing(DOING)?
            .last_insert_rowid();
        sqlx::query("UPDATE run SET batch_group = ? WHERE id IN (SELECT value FROM json_each(?))")
            .bind(id)
            .bind(serde_json::Value::from(group.runs.clone()).to_string())
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
        groups.push(CreatedGroup { group: id, runs: group.runs });
    }
    Ok(groups)
}
