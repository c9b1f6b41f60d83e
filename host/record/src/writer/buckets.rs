//! Buckets of metrics: what 16, 256 and 4,096 consecutive values of a run have in common, written beside the rows as soon as
//! a bucket is whole.
//!
//! Invariant: a run's buckets of a metric are whole, and cover its rows from the first one on without a gap.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::measure::Metric;
use crate::buckets::{PARTS, WIDTHS, anew};
use crate::error::{Doing as _, RecordError};
use crate::many_rows::{Query, Row};

const DOING: &str = "reading where the buckets of a metric end";

/// A whole bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    run: i64,
    key: i64,
    width: i64,
    number: i64,
    sum: Summary,
}

impl Row for Bucket {
    const INTO: &'static str =
        "INSERT INTO metric_bucket (run, key, width, bucket, last_step, finite, low, high, total, last)";
    const COLUMNS: usize = 10;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let Summary { last_step, finite, low, high, total, last } = self.sum;
        query
            .bind(self.run)
            .bind(self.key)
            .bind(self.width)
            .bind(self.number)
            .bind(last_step)
            .bind(finite)
            .bind(low)
            .bind(high)
            .bind(total)
            .bind(last)
    }
}

impl Bucket {
    pub(super) fn run(&self) -> i64 {
        self.run
    }

    /// Order of the table.
    pub(super) fn place(&self) -> (i64, i64, i64, i64) {
        (self.run, self.key, self.width, self.number)
    }
}

/// What some consecutive values have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    last_step: i64,
    finite: i64,
    low: Option<f64>,
    high: Option<f64>,
    total: f64,
    last: Option<f64>,
}

impl Summary {
    fn of_value(step: i64, value: f64) -> Self {
        let value = value.is_finite().then_some(value);
        Self {
            last_step: step,
            finite: i64::from(value.is_some()),
            low: value,
            high: value,
            total: value.unwrap_or(0.0),
            last: value,
        }
    }

    /// Followed by `next`.
    fn and(self, next: Self) -> Self {
        let both = |one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64| match (one, other) {
            (Some(one), Some(other)) => Some(choose(one, other)),
            (one, other) => one.or(other),
        };
        Self {
            last_step: next.last_step,
            finite: self.finite + next.finite,
            low: both(self.low, next.low, f64::min),
            high: both(self.high, next.high, f64::max),
            total: self.total + next.total,
            last: next.last,
        }
    }
}

/// A bucket that is not whole yet.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    /// Its number.
    number: i64,
    /// How many of its parts are there: values, or buckets of the width before.
    parts: i64,
    sum: Option<Summary>,
}

/// Where a metric of a run ends: its last step, and its buckets that are not whole, by width.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    pub(super) last_step: i64,
    open: [Open; WIDTHS.len()],
}

impl Default for Tail {
    fn default() -> Self {
        Self { last_step: -1, open: Default::default() }
    }
}

impl Tail {
    /// A value beyond the last one. Buckets that it completes are added to `whole`.
    pub(super) fn push(&mut self, metric: &Metric, whole: &mut Vec<Bucket>) {
        self.last_step = metric.step;
        self.add(metric.run, metric.key, 0, Summary::of_value(metric.step, metric.value), whole);
    }

    /// A part of a bucket of one width, and the buckets that it completes.
    fn add(&mut self, run: i64, key: i64, narrowest: usize, part: Summary, whole: &mut Vec<Bucket>) {
        let mut part = part;
        for (width, open) in WIDTHS.into_iter().zip(&mut self.open).skip(narrowest) {
            let sum = open.sum.map_or(part, |sum| sum.and(part));
            open.parts += 1;
            if open.parts < PARTS {
                open.sum = Some(sum);
                return;
            }
            whole.push(Bucket { run, key, width, number: open.number, sum });
            *open = Open { number: open.number + 1, ..Open::default() };
            part = sum;
        }
    }
}

/// The end of every metric of a run, as it is stored. A run that has rows and no buckets, as the copy of an export does, gets
/// them.
pub(super) async fn tails(connection: &mut SqliteConnection, run: i64) -> Result<HashMap<i64, Tail>, RecordError> {
    let mut unwritten = Vec::new();
    let found = stored_tails(connection, run, &mut unwritten).await?;
    if unwritten.is_empty() {
        return Ok(found);
    }
    anew(connection, run).await?;
    stored_tails(connection, run, &mut Vec::new()).await
}

async fn stored_tails(
    connection: &mut SqliteConnection,
    run: i64,
    unwritten: &mut Vec<Bucket>,
) -> Result<HashMap<i64, Tail>, RecordError> {
    let last: Vec<(i64, i64)> = sqlx::query_as("SELECT key, step FROM latest_metric WHERE run = ?")
        .bind(run)
        .fetch_all(&mut *connection)
        .await
        .doing(DOING)?;
    let mut tails: HashMap<i64, Tail> =
        last.into_iter().map(|(key, last_step)| (key, Tail { last_step, ..Tail::default() })).collect();
    if tails.is_empty() {
        return Ok(tails);
    }
    let numbers: Vec<(i64, i64, i64)> =
        sqlx::query_as("SELECT key, width, max(bucket) + 1 FROM metric_bucket WHERE run = ? GROUP BY key, width")
            .bind(run)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
    for (key, width, next) in numbers {
        let open =
            tails.get_mut(&key).and_then(|tail| tail.open.get_mut(WIDTHS.iter().position(|known| *known == width)?));
        if let Some(open) = open {
            open.number = next;
        }
    }
    // The widest first: no part of a narrower width completes a bucket that is stored already.
    for narrower in (0..WIDTHS.len() - 1).rev() {
        for (key, bucket, part) in parts(connection, run, narrower).await? {
            let Some(tail) = tails.get_mut(&key) else { continue };
            if bucket >= tail.open[narrower + 1].number * PARTS {
                tail.add(run, key, narrower + 1, part, unwritten);
            }
        }
    }
    for (key, step, value) in rest(connection, run).await? {
        if let Some(tail) = tails.get_mut(&key) {
            tail.add(run, key, 0, Summary::of_value(step, value.unwrap_or(f64::NAN)), unwritten);
        }
    }
    Ok(tails)
}

type Part = (i64, i64, i64, i64, Option<f64>, Option<f64>, f64, Option<f64>);

/// Buckets of one width that lie behind the last whole bucket of the next width.
async fn parts(
    connection: &mut SqliteConnection,
    run: i64,
    narrower: usize,
) -> Result<Vec<(i64, i64, Summary)>, RecordError> {
    let rows: Vec<Part> = sqlx::query_as(
        "WITH wider AS (SELECT key, max(bucket) + 1 AS next FROM metric_bucket WHERE run = ?1 AND width = ?3 GROUP BY key) \
         SELECT b.key, b.bucket, b.last_step, b.finite, b.low, b.high, b.total, b.last \
         FROM metric_bucket b LEFT JOIN wider w ON w.key = b.key \
         WHERE b.run = ?1 AND b.width = ?2 AND b.bucket >= coalesce(w.next, 0) * ?4 ORDER BY b.key, b.bucket",
    )
    .bind(run)
    .bind(WIDTHS[narrower])
    .bind(WIDTHS[narrower + 1])
    .bind(PARTS)
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    let summary = |(key, bucket, last_step, finite, low, high, total, last): Part| {
        (key, bucket, Summary { last_step, finite, low, high, total, last })
    };
    Ok(rows.into_iter().map(summary).collect())
}

/// Rows behind the last whole bucket.
async fn rest(connection: &mut SqliteConnection, run: i64) -> Result<Vec<(i64, i64, Option<f64>)>, RecordError> {
    sqlx::query_as(
        "WITH whole AS (SELECT key, max(last_step) AS last_step FROM metric_bucket WHERE run = ?1 AND width = ?2 GROUP BY key) \
         SELECT m.key, m.step, m.value FROM metric m LEFT JOIN whole w ON w.key = m.key \
         WHERE m.run = ?1 AND m.step > coalesce(w.last_step, -1) ORDER BY m.step",
    )
    .bind(run)
    .bind(WIDTHS[0])
    .fetch_all(connection)
    .await
    .doing(DOING)
}
