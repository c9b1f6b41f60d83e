//! Metrics over the steps, in as many points as somebody can see: read from buckets, not from the rows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sqlx::SqliteConnection;

use crate::buckets::{PARTS, WIDTHS};
use crate::error::Doing as _;
use crate::{Record, RecordError};

const DOING: &str = "reading a curve";

/// A metric of a run over its steps, in order. Values that are not finite are left out.
pub type Curve = Vec<CurvePoint>;

/// One recorded value, or what some consecutive ones have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The last of its steps.
    pub step: i64,
    /// How many finite values it stands for.
    pub values: i64,
    /// The lowest of them.
    pub low: f64,
    /// The highest of them.
    pub high: f64,
    /// Their sum.
    pub total: f64,
    /// The value at [`CurvePoint::step`]; NaN where that is not finite.
    pub last: f64,
}

impl CurvePoint {
    fn of_value(step: i64, value: f64) -> Self {
        Self { step, values: 1, low: value, high: value, total: value, last: value }
    }

    /// The mean of its values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.values == 1 { self.total } else { self.total / self.values as f64 }
    }
}

/// Which curves are read, and how finely.
#[derive(Clone, Debug)]
pub struct CurveQuery<'a> {
    /// Metrics.
    pub keys: &'a [&'a str],
    /// Values of a metric in a run beyond which some are put together.
    pub points_max: usize,
    /// Only these steps.
    pub steps: RangeInclusive<i64>,
}

impl<'a> CurveQuery<'a> {
    /// Of all steps.
    #[must_use]
    pub fn new(keys: &'a [&'a str], points_max: usize) -> Self {
        Self { keys, points_max, steps: 0..=i64::MAX }
    }
}

type BucketRow = (i64, i64, i64, Option<f64>, Option<f64>, f64, Option<f64>);

impl Record {
    /// The curves of metrics of some runs, by run and metric. Where one of these runs has recorded more values of a metric than
    /// [`CurveQuery::points_max`], each point stands for 16, 256 or 4,096 of them, the fewest that suffice, and so in all of
    /// these runs; values behind the last whole bucket come finer. No extreme is lost.
    pub fn curves(
        &mut self,
        runs: &[i64],
        query: &CurveQuery<'_>,
    ) -> Result<BTreeMap<(i64, String), Curve>, RecordError> {
        self.block(async |connection| {
            let mut curves = BTreeMap::new();
            let mut whole = Vec::new();
            for (id, key) in ids(connection, query.keys).await? {
                let Some(width) = width(connection, runs, id, query).await? else {
                    whole.push((id, key));
                    continue;
                };
                for run in runs {
                    let curve = from_buckets(connection, *run, id, width, &query.steps).await?;
                    curves.insert((*run, key.clone()), curve);
                }
            }
            from_rows(connection, runs, &whole, &query.steps, &mut curves).await?;
            curves.retain(|_, curve: &mut Curve| !curve.is_empty());
            Ok(curves)
        })
    }
}

/// The numbers of the metrics that the record knows.
async fn ids(connection: &mut SqliteConnection, keys: &[&str]) -> Result<Vec<(i64, String)>, RecordError> {
    sqlx::query_as("SELECT id, name FROM metric_key WHERE name IN (SELECT value FROM json_each(?)) ORDER BY name")
        .bind(serde_json::Value::from(keys.to_vec()).to_string())
        .fetch_all(connection)
        .await
        .doing(DOING)
}

/// Which of [`WIDTHS`] a curve of at most so many points needs; `None`: the rows themselves are no more.
async fn width(
    connection: &mut SqliteConnection,
    runs: &[i64],
    key: i64,
    query: &CurveQuery<'_>,
) -> Result<Option<usize>, RecordError> {
    let mut longest = 0;
    for run in runs {
        let buckets: Option<i64> = sqlx::query_scalar(
            "SELECT max(bucket) - min(bucket) + 1 FROM metric_bucket WHERE run = ? AND key = ? AND width = ? \
             AND last_step BETWEEN ? AND ?",
        )
        .bind(run)
        .bind(key)
        .bind(WIDTHS[0])
        .bind(query.steps.start())
        .bind(query.steps.end())
        .fetch_one(&mut *connection)
        .await
        .doing(DOING)?;
        longest = longest.max(buckets.unwrap_or(0) * PARTS);
    }
    let points_max = i64::try_from(query.points_max).unwrap_or(i64::MAX);
    if longest <= points_max {
        return Ok(None);
    }
    let enough = WIDTHS.iter().position(|width| longest / width <= points_max);
    Ok(Some(enough.unwrap_or(WIDTHS.len() - 1)))
}

/// Buckets of one width; what they do not reach yet from those of the next narrower one, and in the end from rows.
async fn from_buckets(
    connection: &mut SqliteConnection,
    run: i64,
    key: i64,
    widest: usize,
    steps: &RangeInclusive<i64>,
) -> Result<Curve, RecordError> {
    let mut curve = Curve::new();
    let (mut reached, mut next) = (steps.start() - 1, 0);
    for width in WIDTHS[..=widest].iter().rev() {
        let rows: Vec<BucketRow> = sqlx::query_as(
            "SELECT bucket, last_step, finite, low, high, total, last FROM metric_bucket \
             WHERE run = ? AND key = ? AND width = ? AND bucket >= ? AND last_step BETWEEN ? AND ? ORDER BY bucket",
        )
        .bind(run)
        .bind(key)
        .bind(width)
        .bind(next)
        .bind(steps.start())
        .bind(steps.end())
        .fetch_all(&mut *connection)
        .await
        .doing(DOING)?;
        for (bucket, step, values, low, high, total, last) in rows {
            (reached, next) = (step, bucket + 1);
            if let (Some(low), Some(high)) = (low, high) {
                curve.push(CurvePoint { step, values, low, high, total, last: last.unwrap_or(f64::NAN) });
            }
        }
        next *= PARTS;
    }
    let rest = rows(connection, run, key, reached + 1..=*steps.end()).await?;
    curve.extend(rest.into_iter().map(|(step, value)| CurvePoint::of_value(step, value)));
    Ok(curve)
}

/// The finite values of one metric, by step.
async fn rows(
    connection: &mut SqliteConnection,
    run: i64,
    key: i64,
    steps: RangeInclusive<i64>,
) -> Result<Vec<(i64, f64)>, RecordError> {
    sqlx::query_as(
        "SELECT step, value FROM metric WHERE run = ? AND step BETWEEN ? AND ? AND key = ? AND value IS NOT NULL ORDER BY step",
    )
    .bind(run)
    .bind(steps.start())
    .bind(steps.end())
    .bind(key)
    .fetch_all(connection)
    .await
    .doing(DOING)
}

/// All rows of some metrics, each run read once.
async fn from_rows(
    connection: &mut SqliteConnection,
    runs: &[i64],
    keys: &[(i64, String)],
    steps: &RangeInclusive<i64>,
    curves: &mut BTreeMap<(i64, String), Curve>,
) -> Result<(), RecordError> {
    if keys.is_empty() {
        return Ok(());
    }
    if let [(id, name)] = keys {
        for run in runs {
            let rows = rows(connection, *run, *id, steps.clone()).await?;
            let points = rows.into_iter().map(|(step, value)| CurvePoint::of_value(step, value));
            curves.insert((*run, name.clone()), points.collect());
        }
        return Ok(());
    }
    let ids: Vec<i64> = keys.iter().map(|(id, _)| *id).collect();
    let wanted = serde_json::Value::from(ids).to_string();
    for run in runs {
        let rows: Vec<(i64, i64, f64)> = sqlx::query_as(
            "SELECT key, step, value FROM metric WHERE run = ? AND step BETWEEN ? AND ? AND key IN (SELECT value FROM json_each(?)) \
             AND value IS NOT NULL ORDER BY step",
        )
        .bind(run)
            .bind(steps.start())
            .bind(steps.end())
            .bind(&wanted)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        for (key, step, value) in rows {
            if let Some((_, name)) = keys.iter().find(|(id, _)| *id == key) {
                curves.entry((*run, name.clone())).or_default().push(CurvePoint::of_value(step, value));
            }
        }
    }
    Ok(())
}
