//! Everything about one run.

use slhf_plan::{Environment, EvaluationName};
use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;

use crate::error::Doing as _;
use crate::value::number_from_columns;
use crate::{ParameterValue, Record, RecordError};

/// A metric's value at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricValue {
    /// The metric.
    pub key: String,
    /// Steps done.
    pub step: i64,
    /// The value, NaN and infinities included.
    pub value: f64,
}

impl FromRow<'_, SqliteRow> for MetricValue {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let (key, step, value, non_finite): (String, i64, Option<f64>, Option<String>) = FromRow::from_row(row)?;
        Ok(Self { key, step, value: number_from_columns(value, non_finite.as_deref()).unwrap_or(f64::NAN) })
    }
}

/// A realised schedule value.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct ScheduleValue {
    /// The step.
    pub step: i64,
    /// κ; `None` for a method with one policy.
    pub kappa: Option<f64>,
    /// The Leader's learning rate.
    pub leader_learning_rate: Option<f64>,
    /// The Follower's; `None` for a method with one policy.
    pub follower_learning_rate: Option<f64>,
    /// Leader updates so far.
    pub leader_updates: i64,
    /// Follower updates so far.
    pub follower_updates: i64,
}

/// An evaluated quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationValue {
    /// Steps done.
    pub step: i64,
    /// What was evaluated.
    pub name: EvaluationName,
    /// Of what.
    pub subject: String,
    /// The value.
    pub value: f64,
    /// The 95 % interval; `None`: exact.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
    /// Samples behind it; 0: exact.
    pub n: i64,
}

type EvaluationColumns = (i64, String, String, Option<f64>, Option<String>, Option<f64>, Option<f64>, i64);

impl FromRow<'_, SqliteRow> for EvaluationValue {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let (step, name, subject, value, non_finite, low, high, n): EvaluationColumns = FromRow::from_row(row)?;
        let value = number_from_columns(value, non_finite.as_deref()).unwrap_or(f64::NAN);
        Ok(Self { step, name: EvaluationName::parse(&name), subject, value, low, high, n })
    }
}

/// A plugin of a run: what it was granted and what it used.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct PluginDetail {
    /// `judge`, `judge/upstream`, …
    pub role: String,
    /// As the experiment names it.
    pub name: String,
    /// Path of the component.
    pub path: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// From its manifest; `None` before its first use.
    pub version: Option<String>,
    /// WIT version it was built against; `None` before its first use.
    pub wit_version: Option<String>,
    /// Granted imports.
    pub capabilities: String,
    /// JSON.
    pub parameters: String,
    /// `abort` or `skip`.
    pub on_failure: Option<String>,
    /// Limit: MiB of memory.
    pub memory_mib: i64,
    /// Limit: milliseconds per call of up to 64 items.
    pub deadline_ms: i64,
    /// Limit: fuel per item, where metered.
    pub fuel_per_item: Option<i64>,
    /// Calls made; `None` before its first use, likewise below.
    pub calls: Option<i64>,
    /// Items judged.
    pub items: Option<i64>,
    /// Items that failed.
    pub failed_items: Option<i64>,
    /// Nanoseconds in the guest.
    pub wall_ns: Option<i64>,
    /// Fuel burnt.
    pub fuel: Option<i64>,
    /// Highest linear memory.
    pub peak_memory_bytes: Option<i64>,
    /// How many runs the same instance chain served.
    pub shared_by_runs: Option<i64>,
}

/// A file a run left.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ArtefactDetail {
    /// Steps done.
    pub step: i64,
    /// `checkpoint`, …
    pub kind: String,
    /// Where, relative to the record's folder of checkpoints.
    pub path: String,
    /// SHA-256.
    pub sha256: String,
    /// Size.
    pub size_bytes: i64,
    /// ISO 8601, UTC.
    pub written_at: String,
    /// When the lab deleted it.
    pub removed_at: Option<String>,
    /// When the lab found that it is not there or not what was written.
    pub unusable_at: Option<String>,
    /// What it found.
    pub unusable_reason: Option<String>,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StateChange {
    /// ISO 8601, UTC.
    pub changed_at: String,
    /// `None`: the run was planned.
    pub from_status: Option<String>,
    /// To.
    pub to_status: String,
    /// Why.
    pub reason: Option<String>,
    /// Steps done, or the first differing step.
    pub step: Option<i64>,
}

/// A cost, summed over attempts (peaks: the highest).
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Cost {
    /// `seconds.train`, `peak_memory_bytes`, …
    pub quantity: String,
    /// `s`, `B`, …
    pub unit: String,
    /// How much.
    pub value: f64,
    /// Over how many attempts.
    pub attempts: i64,
}

/// A verdict on a finite game.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct VerdictValue {
    /// First action.
    pub first: String,
    /// Second action.
    pub second: String,
    /// p(first ≻ second).
    pub probability: f64,
}

/// Who executed an experiment, with what.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct ExecutionDetail {
    /// The experiment.
    pub experiment: String,
    /// The execution.
    pub execution: i64,
    /// `game`, `language-model`.
    pub kind: String,
    /// The question.
    pub question: Option<String>,
    /// SHA-256 of the resolved content.
    pub content_hash: String,
    /// Where the TOML was read from.
    pub toml_path: Option<String>,
    /// The TOML.
    pub toml: String,
    /// ISO 8601, UTC.
    pub created_at: String,
    /// The command line.
    pub command_line: String,
    /// Where it was given.
    pub working_directory: String,
    /// The host.
    pub host: String,
    /// Version of `slhf-lab`.
    pub lab_version: String,
    /// SHA-256 of its binary.
    pub lab_sha256: String,
    /// SHA-256 of the worker's binary.
    pub worker_sha256: Option<String>,
    /// Commit of the sources.
    pub source_commit: Option<String>,
    /// Whether they differed from it.
    pub source_dirty: Option<bool>,
}

macro_rules! read_by_run {
    ($(#[$documentation:meta])* $name:ident -> $type:ty, $statement:literal, $doing:literal) => {
        $(#[$documentation])*
        pub fn $name(&mut self, run: i64) -> Result<Vec<$type>, RecordError> {
            self.block(async |connection| {
                sqlx::query_as($statement).bind(run).fetch_all(connection).await.doing($doing)
            })
        }
    };
}

impl Record {
    read_by_run!(
        /// The latest value of each metric, by name.
        latest_metrics -> MetricValue,
        "SELECT key, step, value, non_finite FROM latest_metrics WHERE run = ? ORDER BY key",
        "reading the latest metrics"
    );
    read_by_run!(
        /// All realised schedule values.
        schedule -> ScheduleValue,
        "SELECT step, kappa, leader_learning_rate, follower_learning_rate, leader_updates, follower_updates \
         FROM schedules WHERE run = ? ORDER BY step",
        "reading a schedule"
    );
    read_by_run!(
        /// The evaluations of the last evaluated step.
        latest_evaluations -> EvaluationValue,
        "SELECT step, name, subject, value, non_finite, low, high, n FROM evaluations \
         WHERE run = ?1 AND step = (SELECT max(step) FROM evaluation WHERE run = ?1) ORDER BY name, subject",
        "reading evaluations"
    );
    read_by_run!(
        /// All its evaluations, by step.
        evaluations -> EvaluationValue,
        "SELECT step, name, subject, value, non_finite, low, high, n FROM evaluations WHERE run = ? \
         ORDER BY step, name, subject",
        "reading evaluations"
    );
    read_by_run!(
        /// Its plugins.
        plugins -> PluginDetail,
        "SELECT * FROM plugins WHERE run = ? ORDER BY role",
        "reading plugins"
    );
    read_by_run!(
        /// Its files.
        artefacts -> ArtefactDetail,
        "SELECT * FROM artefacts WHERE run = ? ORDER BY step",
        "reading artifacts"
    );
    read_by_run!(
        /// Its changes of state, oldest first.
        state_changes -> StateChange,
        "SELECT * FROM state_changes WHERE run = ? ORDER BY changed_at, state_change",
        "reading state changes"
    );
    read_by_run!(
        /// What it cost.
        costs -> Cost,
        "SELECT quantity, unit, value, attempts FROM costs WHERE run = ? ORDER BY quantity",
        "reading costs"
    );
    read_by_run!(
        /// The verdicts on its game; empty for games of more than 100 actions (see the view `judged_games`).
        verdicts -> VerdictValue,
        "SELECT first, second, probability FROM verdicts WHERE run = ?",
        "reading verdicts"
    );

    read_by_run!(
        /// The histories of all its metrics, each by step.
        metric_histories -> MetricValue,
        "SELECT key, step, value, non_finite FROM metrics WHERE run = ? ORDER BY key, step",
        "reading metrics"
    );

    /// The history of one metric, by step.
    pub fn metric_history(&mut self, run: i64, key: &str) -> Result<Vec<MetricValue>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as("SELECT key, step, value, non_finite FROM metrics WHERE run = ? AND key = ? ORDER BY step")
                .bind(run)
                .bind(key)
                .fetch_all(connection)
                .await
                .doing("reading a metric")
        })
    }

    /// Its resolved parameters, by key.
    pub fn parameters(&mut self, run: i64) -> Result<Vec<(String, ParameterValue)>, RecordError> {
        self.block(async |connection| {
            let rows: Vec<ParameterRow> =
                sqlx::query_as("SELECT key, type, value, non_finite FROM parameters WHERE run = ? ORDER BY key")
                    .bind(run)
                    .fetch_all(connection)
                    .await
                    .doing("reading parameters")?;
            Ok(rows.into_iter().map(|row| (row.key, row.value)).collect())
        })
    }

    /// What it was computed on in its last attempt.
    pub fn environment(&mut self, run: i64) -> Result<Option<Environment>, RecordError> {
        self.block(async |connection| {
            let row: Option<(String, String, String, u32, String, String, String)> = sqlx::query_as(
                "SELECT device, device_description, cpu_capability, threads, libtorch_version, worker_sha256, \
                 mkl_cbwr FROM environments WHERE run = ? ORDER BY attempt DESC LIMIT 1",
            )
            .bind(run)
            .fetch_optional(connection)
            .await
            .doing("reading an environment")?;
            Ok(row.map(
                |(device, device_description, cpu_capability, threads, libtorch_version, worker_sha256, mkl_cbwr)| {
                    Environment {
                        device,
                        device_description,
                        cpu_capability,
                        threads,
                        libtorch_version,
                        worker_sha256,
                        mkl_cbwr,
                    }
                },
            ))
        })
    }

    /// The execution a run belongs to.
    pub fn execution_of(&mut self, run: i64) -> Result<ExecutionDetail, RecordError> {
        self.block(async |connection| {
            sqlx::query_as(
                "SELECT x.* FROM executions x JOIN runs r ON r.experiment = x.experiment AND r.execution = x.execution \
                 WHERE r.run = ?",
            )
            .bind(run)
            .fetch_optional(connection)
            .await
            .doing("reading an execution")?
            .ok_or_else(|| RecordError::NoSuchRun { name: run.to_string(), hint: String::new() })
        })
    }

    /// Versions of libraries and compilers of the execution a run belongs to.
    pub fn software_of(&mut self, run: i64) -> Result<Vec<(String, String)>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as(
                "SELECT s.software, s.version FROM software_versions s JOIN runs r ON r.experiment = s.experiment AND \
                 r.execution = s.execution WHERE r.run = ? ORDER BY s.software",
            )
            .bind(run)
            .fetch_all(connection)
            .await
            .doing("reading versions")
        })
    }
}

/// A row of `key`, `type`, `value`, `non_finite`.
pub(crate) struct ParameterRow {
    pub(crate) key: String,
    pub(crate) value: ParameterValue,
}

impl FromRow<'_, SqliteRow> for ParameterRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let kind: String = row.try_get("type")?;
        let value = match kind.as_str() {
            "boolean" => ParameterValue::Boolean(row.try_get_unchecked::<i64, _>("value")? != 0),
            "integer" => ParameterValue::Integer(row.try_get_unchecked("value")?),
            "float" => {
                let value: Option<f64> = row.try_get_unchecked("value")?;
                let non_finite: Option<String> = row.try_get("non_finite")?;
                ParameterValue::Float(number_from_columns(value, non_finite.as_deref()).unwrap_or(f64::NAN))
            }
            "text" => ParameterValue::Text(row.try_get_unchecked("value")?),
            "json" => ParameterValue::Json(row.try_get_unchecked("value")?),
            _ => ParameterValue::None,
        };
        Ok(Self { key: row.try_get("key")?, value })
    }
}
