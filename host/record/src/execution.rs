//! Making an execution: its whole plan is in the record, in one transaction, before anything starts.

use std::collections::HashMap;
use std::error::Error;

use slhf_plan::{FrozenWork, Limits, OnFailure, PluginPlan};
use sqlx::SqliteConnection;

use crate::error::Doing as _;
use crate::time::now_ms;
use crate::value::{non_finite_name, stored_count};
use crate::{ParameterValue, Record, RecordError};

const DOING: &str = "recording the plan of an execution";

/// An experiment about to be executed.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// The experiment's name; may hold no `/`.
    pub experiment: String,
    /// `game`, `language-model`.
    pub kind: String,
    /// The question it asks.
    pub question: Option<String>,
    /// The TOML as it was given.
    pub toml: String,
    /// Where it was read from.
    pub toml_path: Option<String>,
    /// SHA-256 of the resolved content.
    pub content_hash: String,
    /// Who executes it, with what.
    pub provenance: Provenance,
    /// The cells, in the order of the plan.
    pub cells: Vec<NewCell>,
}

/// Who executes an experiment, with what.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The command line, quoted for a shell.
    pub command_line: String,
    /// Where it was given.
    pub working_directory: String,
    /// The host's name.
    pub host: String,
    /// Version of `slhf-lab`.
    pub lab_version: String,
    /// SHA-256 of the lab's binary.
    pub lab_sha256: String,
    /// SHA-256 of the worker's binary.
    pub worker_sha256: Option<String>,
    /// Commit of the sources, where they are known.
    pub source_commit: Option<String>,
    /// Whether the sources differed from that commit.
    pub source_dirty: Option<bool>,
    /// Versions of libraries and compilers: (`rustc`, `1.95.0`), (`libtorch`, `2.11.0`), …
    pub software: Vec<(String, String)>,
}

/// One ablation cell; an experiment without ablation has one.
#[derive(Clone, Debug)]
pub struct NewCell {
    /// Unique in the execution, not empty.
    pub label: String,
    /// What the ablation axes set.
    pub settings: Vec<CellSetting>,
    /// Every resolved parameter but the seed, with dotted keys; unique.
    pub parameters: Vec<(String, ParameterValue)>,
    /// What the plan grants which plugin.
    pub plugins: Vec<PluginGrant>,
    /// The runs: one a seed.
    pub runs: Vec<NewRun>,
}

/// What an axis set in a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellSetting {
    /// Position of the axis in the TOML, from 0.
    pub axis: u32,
    /// The axis: its `name`, or its `key`.
    pub axis_name: String,
    /// The dotted key that was set.
    pub key: String,
    /// To what.
    pub value: ParameterValue,
}

/// One run of a cell.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The seed; unique in the cell.
    pub seed: u64,
    /// Hash of all that decides the run's numbers (resolved cell, seed, plugins, data); `--needed` looks for it.
    pub content_hash: String,
    /// Steps it will do.
    pub steps: u64,
    /// `--needed`: the earlier finished run that answers it. No run is made then.
    pub answered_by: Option<i64>,
}

/// What a plan grants one plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginGrant {
    /// `judge`, `judge/upstream`, `baseline`, …
    pub role: String,
    /// As the experiment names it.
    pub name: String,
    /// Absolute path of the component.
    pub path: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// Granted imports: `log`, `upstream`, …
    pub capabilities: Vec<String>,
    /// JSON.
    pub parameters: String,
    /// What becomes of failed items, where the role has failures.
    pub on_failure: Option<OnFailure>,
    /// The limits.
    pub limits: Limits,
}

impl PluginGrant {
    /// The grants of a plugin and of all it wraps: roles `role`, `role/upstream`, `role/upstream/upstream`, …
    #[must_use]
    pub fn chain(role: &str, plan: &PluginPlan, on_failure: Option<OnFailure>) -> Vec<Self> {
        let mut grants = Vec::new();
        let mut role = role.to_owned();
        let mut next = Some(plan);
        while let Some(plugin) = next {
            let mut capabilities = vec!["log".to_owned()];
            if plugin.upstream.is_some() {
                capabilities.push("upstream".to_owned());
            }
            grants.push(Self {
                role: role.clone(),
                name: plugin.name.clone(),
                path: plugin.path.clone(),
                sha256: plugin.sha256.clone(),
                capabilities,
                parameters: plugin.parameters.to_string(),
                on_failure,
                limits: plugin.limits,
            });
            role.push_str("/upstream");
            next = plugin.upstream.as_deref();
        }
        grants
    }
}

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
            let mut keys = HashMap::new();
            let mut runs = Vec::new();
            for (index, cell) in new.cells.iter().enumerate() {
                insert_cell(connection, id, index, cell, &mut keys, &mut runs).await?;
            }
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

async fn insert_cell(
    connection: &mut SqliteConnection,
    execution: i64,
    index: usize,
    cell: &NewCell,
    keys: &mut HashMap<String, i64>,
    runs: &mut Vec<CreatedRun>,
) -> Result<(), RecordError> {
    let id = sqlx::query("INSERT INTO cell (execution, number, label) VALUES (?, ?, ?)")
        .bind(execution)
        .bind(stored_count(index))
        .bind(&cell.label)
        .execute(&mut *connection)
        .await
        .doing(DOING)?
        .last_insert_rowid();
    for setting in &cell.settings {
        let query = sqlx::query(
            "INSERT INTO cell_setting (cell, axis, axis_name, key, type, value, non_finite) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(i64::from(setting.axis))
        .bind(&setting.axis_name)
        .bind(&setting.key);
        bind_value(query, &setting.value).execute(&mut *connection).await.doing(DOING)?;
    }
    for (name, value) in &cell.parameters {
        let key = match keys.get(name) {
            Some(key) => *key,
            None => *keys.entry(name.clone()).or_insert(parameter_key(connection, name).await?),
        };
        let query = sqlx::query("INSERT INTO parameter (cell, key, type, value, non_finite) VALUES (?, ?, ?, ?, ?)")
            .bind(id)
            .bind(key);
        bind_value(query, value).execute(&mut *connection).await.doing(DOING)?;
    }
    for grant in &cell.plugins {
        insert_grant(connection, id, grant).await?;
    }
    insert_runs(connection, id, index, cell, runs).await
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Binds the three columns `type`, `value`, `non_finite`.
fn bind_value<'q>(query: Query<'q>, value: &'q ParameterValue) -> Query<'q> {
    let query = query.bind(value.type_name());
    match value {
        ParameterValue::Boolean(value) => query.bind(*value).bind(None::<&str>),
        ParameterValue::Integer(value) => query.bind(*value).bind(None::<&str>),
        ParameterValue::Float(value) => {
            let finite = value.is_finite().then_some(*value);
            query.bind(finite).bind(non_finite_name(*value))
        }
        ParameterValue::Text(value) | ParameterValue::Json(value) => query.bind(value.as_str()).bind(None::<&str>),
        ParameterValue::None => query.bind(None::<i64>).bind(None::<&str>),
    }
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

async fn insert_grant(connection: &mut SqliteConnection, cell: i64, grant: &PluginGrant) -> Result<(), RecordError> {
    let fuel = grant.limits.fuel_per_item.map(stored_count);
    sqlx::query(
        "INSERT INTO plugin_grant (cell, role, name, path, sha256, capabilities, parameters, on_failure, memory_mib, \
         deadline_ms, fuel_per_item, stack_kib, output_mib, log_lines) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(cell)
    .bind(&grant.role)
    .bind(&grant.name)
    .bind(&grant.path)
    .bind(&grant.sha256)
    .bind(grant.capabilities.join(", "))
    .bind(&grant.parameters)
    .bind(grant.on_failure.map(|choice| match choice {
        OnFailure::Abort => "abort",
        OnFailure::Skip => "skip",
    }))
    .bind(i64::from(grant.limits.memory_mib))
    .bind(stored_count(grant.limits.deadline_ms))
    .bind(fuel)
    .bind(i64::from(grant.limits.stack_kib))
    .bind(i64::from(grant.limits.output_mib))
    .bind(i64::from(grant.limits.log_lines))
    .execute(connection)
    .await
    .doing(DOING)?;
    Ok(())
}

async fn insert_runs(
    connection: &mut SqliteConnection,
    cell_id: i64,
    cell_index: usize,
    cell: &NewCell,
    runs: &mut Vec<CreatedRun>,
) -> Result<(), RecordError> {
    for (index, run) in cell.runs.iter().enumerate() {
        let seed = stored_count(run.seed);
        if let Some(answer) = run.answered_by {
            sqlx::query("INSERT INTO answer (cell, seed, run) VALUES (?, ?, ?)")
                .bind(cell_id)
                .bind(seed)
                .bind(answer)
                .execute(&mut *connection)
                .await
                .doing(DOING)?;
            continue;
        }
        let now = now_ms();
        let number = sqlx::query(
            "INSERT INTO run (cell, seed, content_hash, steps, status, created_at, identity) \
             VALUES (?, ?, ?, ?, 'pending', ?, lower(hex(randomblob(16))))",
        )
        .bind(cell_id)
        .bind(seed)
        .bind(&run.content_hash)
        .bind(stored_count(run.steps))
        .bind(now)
        .execute(&mut *connection)
        .await
        .doing(DOING)?
        .last_insert_rowid();
        sqlx::query("INSERT INTO state_change (run, changed_at, to_status) VALUES (?, ?, 'pending')")
            .bind(number)
            .bind(now)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
        runs.push(CreatedRun { run: number, cell: cell_index, index, seed: run.seed });
    }
    Ok(())
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
        for run in &group.runs {
            sqlx::query("UPDATE run SET batch_group = ? WHERE id = ?")
                .bind(id)
                .bind(run)
                .execute(&mut *connection)
                .await
                .doing(DOING)?;
        }
        groups.push(CreatedGroup { group: id, runs: group.runs });
    }
    Ok(groups)
}
