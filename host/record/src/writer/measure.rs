//! The three kinds of measurements, as rows that can be inserted, compared with what is stored, and superseded.

use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;

use crate::many_rows::{Query, Row};
use crate::value::{non_finite_name, number_from_columns, same_number, stored_count};

/// A row that a resumed run may compute again.
pub(super) trait Measurement: Row + Clone + Send + Unpin + for<'r> FromRow<'r, SqliteRow> {
    /// Its table; the superseded rows lie in `superseded_` + this, with `state_change` in front.
    const TABLE: &'static str;
    /// All columns.
    const NAMES: &'static str;
    /// `key = ?4`: what names a row beyond run (`?2`) and step (`?3`).
    const KEY_CONDITION: &'static str;
    /// The run.
    fn run(&self) -> i64;
    /// The step.
    fn step(&self) -> i64;
    /// What names the row within its step, in the order of [`Measurement::KEY_CONDITION`].
    fn key(&self) -> (i64, i64);
    /// The first field that differs, as stored (`self`) and as computed: (field, stored, computed).
    fn difference(&self, computed: &Self) -> Option<(&'static str, String, String)>;
    /// Identity and order of rows.
    fn place(&self) -> (i64, i64, (i64, i64)) {
        (self.run(), self.step(), self.key())
    }
}

fn differing(field: &'static str, stored: f64, computed: f64) -> Option<(&'static str, String, String)> {
    (!same_number(stored, computed)).then(|| (field, format!("{stored:?}"), format!("{computed:?}")))
}

fn differing_count(field: &'static str, stored: i64, computed: i64) -> Option<(&'static str, String, String)> {
    (stored != computed).then(|| (field, stored.to_string(), computed.to_string()))
}

/// A value that is NULL where it is NaN.
fn or_null(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

/// A metric value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) run: i64,
    pub(super) step: i64,
    pub(super) key: i64,
    pub(super) value: f64,
}

impl Row for Metric {
    const INTO: &'static str = "INSERT INTO metric (run, step, key, value, non_finite)";
    const COLUMNS: usize = 5;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let finite = self.value.is_finite().then_some(self.value);
        query.bind(self.run).bind(self.step).bind(self.key).bind(finite).bind(non_finite_name(self.value))
    }
}

impl FromRow<'_, SqliteRow> for Metric {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let (run, step, key, value, non_finite): (i64, i64, i64, Option<f64>, Option<String>) = FromRow::from_row(row)?;
        let value = number_from_columns(value, non_finite.as_deref()).unwrap_or(f64::NAN);
        Ok(Self { run, step, key, value })
    }
}

impl Measurement for Metric {
    const TABLE: &'static str = "metric";
    const NAMES: &'static str = "run, step, key, value, non_finite";
    const KEY_CONDITION: &'static str = "key = ?4 AND ?5 = 0";
    fn run(&self) -> i64 {
        self.run
    }
    fn step(&self) -> i64 {
        self.step
    }
    fn key(&self) -> (i64, i64) {
        (self.key, 0)
    }
    fn difference(&self, computed: &Self) -> Option<(&'static str, String, String)> {
        differing("value", self.value, computed.value)
    }
}

/// The latest value of a metric: inserted or brought forward, never back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest(pub(super) Metric);

impl Row for Latest {
    const INTO: &'static str = "INSERT INTO latest_metric (run, step, key, value, non_finite)";
    const COLUMNS: usize = 5;
    const CONFLICT: &'static str = "ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, value = excluded.value, \
         non_finite = excluded.non_finite WHERE excluded.step >= step";
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        self.0.bind(query)
    }
}

/// Realised schedule values.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct Schedule {
    pub(super) run: i64,
    pub(super) step: i64,
    kappa: Option<f64>,
    leader_learning_rate: Option<f64>,
    follower_learning_rate: Option<f64>,
    leader_updates: i64,
    follower_updates: i64,
}

impl Schedule {
    pub(super) fn new(row: &slhf_plan::ScheduleRow, step: i64) -> Self {
        Self {
            run: row.run,
            step,
            kappa: or_null(row.kappa),
            leader_learning_rate: or_null(row.leader_learning_rate),
            follower_learning_rate: or_null(row.follower_learning_rate),
            leader_updates: stored_count(row.leader_updates),
            follower_updates: stored_count(row.follower_updates),
        }
    }
}

impl Row for Schedule {
    const INTO: &'static str = "INSERT INTO schedule (run, step, kappa, leader_learning_rate, follower_learning_rate, \
         leader_updates, follower_updates)";
    const COLUMNS: usize = 7;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.run)
            .bind(self.step)
            .bind(self.kappa)
            .bind(self.leader_learning_rate)
            .bind(self.follower_learning_rate)
            .bind(self.leader_updates)
            .bind(self.follower_updates)
    }
}

impl Measurement for Schedule {
    const TABLE: &'static str = "schedule";
    const NAMES: &'static str =
        "run, step, kappa, leader_learning_rate, follower_learning_rate, leader_updates, follower_updates";
    const KEY_CONDITION: &'static str = "?4 = 0 AND ?5 = 0";
    fn run(&self) -> i64 {
        self.run
    }
    fn step(&self) -> i64 {
        self.step
    }
    fn key(&self) -> (i64, i64) {
        (0, 0)
    }
    fn difference(&self, computed: &Self) -> Option<(&'static str, String, String)> {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        differing("kappa", number(self.kappa), number(computed.kappa))
            .or_else(|| {
                let (stored, now) = (self.leader_learning_rate, computed.leader_learning_rate);
                differing("leader_learning_rate", number(stored), number(now))
            })
            .or_else(|| {
                let (stored, now) = (self.follower_learning_rate, computed.follower_learning_rate);
                differing("follower_learning_rate", number(stored), number(now))
            })
            .or_else(|| differing_count("leader_updates", self.leader_updates, computed.leader_updates))
            .or_else(|| differing_count("follower_updates", self.follower_updates, computed.follower_updates))
    }
}

/// An evaluated quantity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluation {
    pub(super) run: i64,
    pub(super) step: i64,
    pub(super) name: i64,
    pub(super) subject: i64,
    pub(super) value: f64,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) n: i64,
}

impl Evaluation {
    pub(super) fn new(row: &slhf_plan::EvaluationRow, step: i64, name: i64, subject: i64) -> Self {
        Self {
            run: row.run,
            step,
            name,
            subject,
            value: row.value,
            low: row.interval.and_then(|(low, _)| or_null(low)),
            high: row.interval.and_then(|(_, high)| or_null(high)),
            n: stored_count(row.n),
        }
    }
}

impl Row for Evaluation {
    const INTO: &'static str = "INSERT INTO evaluation (run, step, name, subject, value, non_finite, low, high, n)";
    const COLUMNS: usize = 9;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.run)
            .bind(self.step)
            .bind(self.name)
            .bind(self.subject)
            .bind(self.value.is_finite().then_some(self.value))
            .bind(non_finite_name(self.value))
            .bind(self.low)
            .bind(self.high)
            .bind(self.n)
    }
}

type EvaluationColumns = (i64, i64, i64, i64, Option<f64>, Option<String>, Option<f64>, Option<f64>, i64);

impl FromRow<'_, SqliteRow> for Evaluation {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let (run, step, name, subject, value, non_finite, low, high, n): EvaluationColumns = FromRow::from_row(row)?;
        let value = number_from_columns(value, non_finite.as_deref()).unwrap_or(f64::NAN);
        Ok(Self { run, step, name, subject, value, low, high, n })
    }
}

impl Measurement for Evaluation {
    const TABLE: &'static str = "evaluation";
    const NAMES: &'static str = "run, step, name, subject, value, non_finite, low, high, n";
    const KEY_CONDITION: &'static str = "name = ?4 AND subject = ?5";
    fn run(&self) -> i64 {
        self.run
    }
    fn step(&self) -> i64 {
        self.step
    }
    fn key(&self) -> (i64, i64) {
        (self.name, self.subject)
    }
    fn difference(&self, computed: &Self) -> Option<(&'static str, String, String)> {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        differing("value", self.value, computed.value)
            .or_else(|| differing("lower end", number(self.low), number(computed.low)))
            .or_else(|| differing("upper end", number(self.high), number(computed.high)))
            .or_else(|| differing_count("n", self.n, computed.n))
    }
}

/// Rows that wait for this commit's inserts.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    pub(super) metrics: Vec<Metric>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) evaluations: Vec<Evaluation>,
}
