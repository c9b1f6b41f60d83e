//! A new store of MLflow: one SQLite file, of a schema that every MLflow since 2.0 brings up to date with `mlflow db upgrade`.
//!
//! MLflow holds no infinities: as its own client does, they are written as the largest numbers; not-a-number has a mark of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use slhf_record::{Cell, Record, RunStatus, RunSummary};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, Sqlite, SqliteConnection};
use tokio::runtime::Runtime;

use crate::ExportError;
use crate::exported::Exported;
use crate::tables::TABLES;
use crate::times::Times;

const SCHEMA: &str = include_str!("mlflow.sql");

/// Rows in one statement: SQLite takes 32,766 values.
const ROWS_AT_ONCE: usize = 2_000;

/// Chunks of rows that are read ahead of what is written.
const CHUNKS_WAITING: usize = 4;

/// A value of a metric, as MLflow keeps it.
struct Point {
    key: i64,
    value: f64,
    is_nan: bool,
    timestamp: i64,
    step: i64,
}

/// A store that is being written.
struct Store<'a> {
    path: &'a Path,
    runtime: Runtime,
    connection: SqliteConnection,
}

/// Writes a store of these runs.
pub(crate) fn write(record: &mut Record, runs: &[RunSummary], path: &Path) -> Result<Vec<Exported>, ExportError> {
    let mut store = Store::create(path)?;
    let names: HashMap<i64, String> = record.metric_names()?.into_iter().collect();
    let mut experiments: HashMap<String, i64> = HashMap::new();
    let mut rows = 0;
    store.execute(sqlx::query("BEGIN"))?;
    for run in runs {
        let times = Times::of(record, run.run)?;
        let next = i64::try_from(experiments.len()).unwrap_or(0) + 1;
        let experiment = *experiments.entry(run.experiment.clone()).or_insert(next);
        if experiment == next {
            store.experiment(experiment, &run.experiment, times.start)?;
        }
        let id = run_id(record, run.run)?;
        store.run(experiment, &id, run, times)?;
        store.words("tags", &id, &tags(record, run)?)?;
        store.words("params", &id, &parameters(record, run.run)?)?;
        rows += metrics(record, &mut store, &id, run.run, times, &names)?;
    }
    store.execute(sqlx::query("COMMIT"))?;
    let Store { runtime, connection, path } = store;
    runtime.block_on(connection.close()).map_err(ExportError::store(path))?;
    Ok(vec![Exported { path: path.to_owned(), rows }])
}

impl<'a> Store<'a> {
    fn create(path: &'a Path) -> Result<Self, ExportError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(ExportError::write(path))?;
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Delete).disable_statement_logging();
        let connection = runtime.block_on(async {
            let mut connection = options.connect().await?;
            sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
            Ok(connection)
        });
        Ok(Self { path, runtime, connection: connection.map_err(ExportError::store(path))? })
    }

    fn execute(
        &mut self,
        query: sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<(), ExportError> {
        let done = self.runtime.block_on(query.execute(&mut self.connection));
        done.map(drop).map_err(ExportError::store(self.path))
    }

    fn experiment(&mut self, id: i64, name: &str, created: i64) -> Result<(), ExportError> {
        let query = sqlx::query("INSERT INTO experiments VALUES (?, ?, ?, 'active', ?, ?)");
        self.execute(query.bind(id).bind(name).bind(format!("./mlruns/{id}")).bind(created).bind(created))
    }

    fn run(&mut self, experiment: i64, id: &str, run: &RunSummary, times: Times) -> Result<(), ExportError> {
        let status = match run.status {
            RunStatus::Pending => "SCHEDULED",
            RunStatus::Running => "RUNNING",
            RunStatus::Failed => "FAILED",
            RunStatus::Interrupted => "KILLED",
            RunStatus::Finished | RunStatus::Superseded => "FINISHED",
        };
        let query = sqlx::query(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, \
             source_version, lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', 'slhf-lab', '', '', ?, ?, ?, '', 'active', ?, ?)",
        );
        let query = query.bind(id).bind(run.name()).bind(status).bind(times.start).bind(times.end);
        self.execute(query.bind(format!("./mlruns/{experiment}/{id}/artifacts")).bind(experiment))
    }

    /// Rows of (key, value).
    fn words(&mut self, table: &str, id: &str, words: &[(String, String)]) -> Result<(), ExportError> {
        for (key, value) in words {
            let statement = format!("INSERT OR REPLACE INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)");
            self.execute(sqlx::query(sqlx::AssertSqlSafe(statement)).bind(key).bind(value).bind(id))?;
        }
        Ok(())
    }

    fn points(&mut self, id: &str, points: &[Point], names: &HashMap<i64, String>) -> Result<(), ExportError> {
        if points.is_empty() {
            return Ok(());
        }
        let mut query =
            QueryBuilder::<Sqlite>::new("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) ");
        query.push_values(points, |mut row, point| {
            row.push_bind(names.get(&point.key).map(String::as_str)).push_bind(point.value).push_bind(point.timestamp);
            row.push_bind(id).push_bind(point.step).push_bind(point.is_nan);
        });
        let done = self.runtime.block_on(query.build().execute(&mut self.connection));
        done.map(drop).map_err(ExportError::store(self.path))
    }
}

fn metrics(
    record: &mut Record,
    store: &mut Store<'_>,
    id: &str,
    run: i64,
    times: Times,
    names: &HashMap<i64, String>,
) -> Result<u64, ExportError> {
    // Reading and writing are two runtimes, neither of which may wait within the other: the rows go to a thread of their own.
    let (sender, receiver) = mpsc::sync_channel::<Vec<Point>>(CHUNKS_WAITING);
    let rows = thread::scope(|scope| {
        let write = scope.spawn(|| receiver.into_iter().try_for_each(|points| store.points(id, &points, names)));
        let read = read_points(record, run, times, &sender);
        drop(sender);
        // What ended the writer is why the reader could not go on.
        match write.join() {
            Ok(written) => written.and(read),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    store.execute(
        sqlx::query(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) \
             SELECT key, value, timestamp, max(step), is_nan, run_uuid FROM metrics WHERE run_uuid = ? GROUP BY key",
        )
        .bind(id),
    )?;
    Ok(rows)
}

/// Sends the values of a run's metrics in chunks, until nobody takes them any more.
fn read_points(
    record: &mut Record,
    run: i64,
    times: Times,
    sender: &mpsc::SyncSender<Vec<Point>>,
) -> Result<u64, ExportError> {
    let (mut waiting, mut rows) = (Vec::with_capacity(ROWS_AT_ONCE), 0);
    record.each_metric(run, |point| {
        let is_nan = point.value.is_nan();
        let value = if is_nan { 0.0 } else { point.value.clamp(f64::MIN, f64::MAX) };
        let timestamp = times.at(point.step);
        waiting.push(Point { key: point.key, value, is_nan, timestamp, step: point.step });
        rows += 1;
        if waiting.len() == ROWS_AT_ONCE {
            let full = std::mem::replace(&mut waiting, Vec::with_capacity(ROWS_AT_ONCE));
            let _ = sender.send(full);
        }
        Ok::<(), ExportError>(())
    })?;
    let _ = sender.send(waiting);
    Ok(rows)
}

/// The random id of a run, which has MLflow's form.
fn run_id(record: &mut Record, run: i64) -> Result<String, ExportError> {
    let mut id = String::new();
    record.each_row(&format!("SELECT run_id FROM runs WHERE run = {run}"), |row| {
        if let [Cell::Text(found)] = row {
            id.clone_from(found);
        }
        Ok::<(), ExportError>(())
    })?;
    Ok(id)
}

fn tags(record: &mut Record, run: &RunSummary) -> Result<Vec<(String, String)>, ExportError> {
    let mut all = vec![
        ("mlflow.runName".to_owned(), run.name()),
        ("slhf.run".to_owned(), run.run.to_string()),
        ("slhf.execution".to_owned(), run.execution.to_string()),
        ("slhf.cell".to_owned(), run.cell.clone()),
        ("slhf.seed".to_owned(), run.seed.to_string()),
        ("slhf.status".to_owned(), run.status.to_string()),
    ];
    all.extend(record.tags(run.run)?.into_iter().map(|tag| (tag, "true".to_owned())));
    let notes: Vec<String> = record.notes(run.run)?.into_iter().map(|note| note.text).collect();
    if !notes.is_empty() {
        all.push(("mlflow.note.content".to_owned(), notes.join("\n\n")));
    }
    Ok(all)
}

/// As text, which is all that MLflow has.
fn parameters(record: &mut Record, run: i64) -> Result<Vec<(String, String)>, ExportError> {
    let mut all = Vec::new();
    let Some(table) = TABLES.iter().find(|table| table.name == "parameters") else { return Ok(all) };
    table.each(record, run, |row| {
        if let [_, crate::Value::Text(key), crate::Value::Text(value), ..] = row {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            all.push((text(key), text(value)));
        }
        Ok(())
    })?;
    Ok(all)
}
