//! Every value of every metric of a run, for exports: as few columns a value as SQLite needs, since each costs as much as all the rest of
//! reading it.

use std::collections::HashMap;

use sqlx::Row as _;

use crate::error::{Doing as _, cause};
use crate::value::number_from_columns;
use crate::{Record, RecordError};

const DOING: &str = "reading metrics";
/// Bits of a packed place that hold the metric's key, as many as a record has names for.
const KEY_BITS: u32 = 24;
/// Steps below this are packed with their keys.
const PACKED_STEPS: i64 = 1 << (62 - KEY_BITS);

/// One value of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricPoint {
    /// Steps done.
    pub step: i64,
    /// Which metric: see [`Record::metric_names`].
    pub key: i64,
    /// The value, also where it is not finite.
    pub value: f64,
}

/// The steps and keys of a run that recorded every metric at every step: its values follow one another in that order.
struct Grid {
    steps: Vec<i64>,
    keys: Vec<i64>,
}

impl Grid {
    fn place(&self, index: usize) -> Option<(i64, i64)> {
        Some((*self.steps.get(index / self.keys.len())?, self.keys[index % self.keys.len()]))
    }
}

fn failed(error: sqlx::Error) -> RecordError {
    RecordError::QueryFailed { source: cause(error) }
}

impl Record {
    /// Numbers and names of metrics.
    pub fn metric_names(&mut self) -> Result<Vec<(i64, String)>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as("SELECT id, name FROM metric_key ORDER BY id")
                .fetch_all(connection)
                .await
                .doing("reading the names of metrics")
        })
    }

    /// Visits every value of every metric of a run, by step and key: a million a second.
    ///
    /// # Errors
    /// When the record fails, and whatever `visit` ends it with.
    pub fn each_metric<E: From<RecordError>>(
        &mut self,
        run: i64,
        visit: impl FnMut(MetricPoint) -> Result<(), E>,
    ) -> Result<(), E> {
        // What is read first must still hold when the rest is read.
        self.statement("BEGIN")?;
        let visited = self.each_metric_within(run, visit);
        self.statement("COMMIT")?;
        visited
    }

    fn statement(&mut self, statement: &'static str) -> Result<(), RecordError> {
        self.block(async |connection| {
            sqlx::raw_sql(statement).execute(connection).await.doing(DOING)?;
            Ok(())
        })
    }

    fn each_metric_within<E: From<RecordError>>(
        &mut self,
        run: i64,
        mut visit: impl FnMut(MetricPoint) -> Result<(), E>,
    ) -> Result<(), E> {
        let named = self.named_values(run)?;
        let mut tell = |(step, key): (i64, i64), value: Option<f64>| {
            let value = value.or_else(|| named.get(&(step, key)).copied()).unwrap_or(f64::NAN);
            visit(MetricPoint { step, key, value })
        };
        if let Some(grid) = self.grid(run)? {
            let mut index = 0;
            return self.visit(&format!("SELECT value FROM metric WHERE run = {run} ORDER BY step, key"), |row| {
                let place = grid.place(index);
                index += 1;
                let value = row.try_get_unchecked(0).map_err(failed)?;
                place.map_or(Ok(()), |place| tell(place, value))
            });
        }
        let packed = format!(
            "SELECT (step << {KEY_BITS}) | key, value FROM metric WHERE run = {run} AND step < {PACKED_STEPS} ORDER BY step, key"
        );
        self.visit(&packed, |row| {
            let place: i64 = row.try_get_unchecked(0).map_err(failed)?;
            let value = row.try_get_unchecked(1).map_err(failed)?;
            tell((place >> KEY_BITS, place & ((1 << KEY_BITS) - 1)), value)
        })?;
        let rest = format!(
            "SELECT step, key, value FROM metric WHERE run = {run} AND step >= {PACKED_STEPS} ORDER BY step, key"
        );
        self.visit(&rest, |row| {
            let [step, key] = [0, 1].map(|column| row.try_get_unchecked(column).map_err(failed));
            tell((step?, key?), row.try_get_unchecked(2).map_err(failed)?)
        })
    }

    /// `None` where a step lacks a metric.
    fn grid(&mut self, run: i64) -> Result<Option<Grid>, RecordError> {
        self.block(async |connection| {
            let keys: Vec<i64> = sqlx::query_scalar("SELECT key FROM latest_metric WHERE run = ? ORDER BY key")
                .bind(run)
                .fetch_all(&mut *connection)
                .await
                .doing(DOING)?;
            // Keys of a step differ, and none is unknown to the latest metrics: as many of them are all of them.
            let steps: Vec<(i64, i64, i64)> =
                sqlx::query_as("SELECT step, count(*), sum(key) FROM metric WHERE run = ? GROUP BY step ORDER BY step")
                    .bind(run)
                    .fetch_all(connection)
                    .await
                    .doing(DOING)?;
            let whole = (i64::try_from(keys.len()).unwrap_or(i64::MAX), keys.iter().sum::<i64>());
            let is_grid = !keys.is_empty() && steps.iter().all(|(_, count, sum)| (*count, *sum) == whole);
            Ok(is_grid.then(|| Grid { steps: steps.into_iter().map(|(step, ..)| step).collect(), keys }))
        })
    }

    /// The values of a run's metrics that are not finite, by step and key.
    fn named_values(&mut self, run: i64) -> Result<HashMap<(i64, i64), f64>, RecordError> {
        let rows: Vec<(i64, i64, String)> = self.block(async |connection| {
            sqlx::query_as("SELECT step, key, non_finite FROM metric WHERE run = ? AND non_finite IS NOT NULL")
                .bind(run)
                .fetch_all(connection)
                .await
                .doing("reading metrics that are not finite")
        })?;
        let value = |name: &str| number_from_columns(None, Some(name)).unwrap_or(f64::NAN);
        Ok(rows.into_iter().map(|(step, key, name)| ((step, key), value(&name))).collect())
    }
}
