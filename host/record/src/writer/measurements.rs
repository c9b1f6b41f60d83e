//! Metrics, schedules and evaluations of one commit: what is new is inserted, what was computed again is compared with
//! what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use slhf_plan::{EvaluationRow, MetricsBatch, ScheduleRow};
use sqlx::SqliteConnection;

use super::book::Book;
use super::buckets::{Bucket, tails};
use super::measure::{Evaluation, Latest, Measurement, Metric, Schedule};
use super::message::Shared;
use super::supersede;
use crate::buckets;
use crate::divergence::StepDivergence;
use crate::error::{Doing as _, RecordError};
use crate::many_rows::insert_all;

/// A row that came out differently.
#[derive(Debug)]
struct Difference<M> {
    computed: M,
    divergence: StepDivergence,
}

impl Book {
    pub(super) async fn gather_metrics(
        &mut self,
        connection: &mut SqliteConnection,
        batch: &MetricsBatch,
    ) -> Result<(), RecordError> {
        let mut keys = Vec::with_capacity(batch.keys.len());
        for key in &batch.keys {
            keys.push(self.metric_keys.id(connection, key).await?);
        }
        if keys.is_empty() {
            return Ok(());
        }
        for ((&run, &step), values) in batch.runs.iter().zip(&batch.steps).zip(batch.values.chunks_exact(keys.len())) {
            let step = to_step(run, step)?;
            let state = self.state(connection, run).await?;
            state.received.metric = state.received.metric.max(step);
            let rows = keys.iter().zip(values).map(|(&key, &value)| Metric { run, step, key, value });
            self.waiting.metrics.extend(rows);
        }
        Ok(())
    }

    pub(super) async fn gather_schedules(
        &mut self,
        connection: &mut SqliteConnection,
        rows: &[ScheduleRow],
    ) -> Result<(), RecordError> {
        for row in rows {
            let step = to_step(row.run, row.step)?;
            let state = self.state(connection, row.run).await?;
            state.received.schedule = state.received.schedule.max(step);
            self.waiting.schedules.push(Schedule::new(row, step));
        }
        Ok(())
    }

    pub(super) async fn gather_evaluations(
        &mut self,
        connection: &mut SqliteConnection,
        rows: &[EvaluationRow],
    ) -> Result<(), RecordError> {
        for row in rows {
            let step = to_step(row.run, row.step)?;
            let state = self.state(connection, row.run).await?;
            state.received.evaluation = state.received.evaluation.max(step);
            let name = self.evaluation_names.id(connection, &row.name.to_string()).await?;
            let subject = self.evaluation_subjects.id(connection, &row.subject).await?;
            self.waiting.evaluations.push(Evaluation::new(row, step, name, subject));
        }
        Ok(())
    }

    pub(super) async fn write_measurements(
        &mut self,
        connection: &mut SqliteConnection,
        shared: &Shared,
    ) -> Result<(), RecordError> {
        let waiting = std::mem::take(&mut self.waiting);
        let runs = &self.runs;
        let (mut metrics, metrics_again) = split(waiting.metrics, |row| {
            runs.get(&row.run).and_then(|state| state.tails.get(&row.key)).map_or(-1, |tail| tail.last_step)
        });
        let (mut schedules, schedules_again) =
            split(waiting.schedules, |row| runs.get(&row.run).map_or(-1, |state| state.schedule_last));
        let (mut evaluations, evaluations_again) =
            split(waiting.evaluations, |row| runs.get(&row.run).map_or(-1, |state| state.evaluation_last));

        let mut metric_differences = compare(connection, metrics_again, &mut metrics, |row| {
            format!("metric {}", self.metric_keys.name(row.key))
        })
        .await?;
        metric_differences.retain(|difference| !is_measured_time(self.metric_keys.name(difference.computed.key)));
        let schedule_differences =
            compare(connection, schedules_again, &mut schedules, |_| "the schedule's".to_owned()).await?;
        let evaluation_differences = compare(connection, evaluations_again, &mut evaluations, |row| {
            let (name, subject) = (self.evaluation_names.name(row.name), self.evaluation_subjects.name(row.subject));
            format!("evaluation {name} of {subject}:")
        })
        .await?;

        let mut first = BTreeMap::new();
        note_first(&mut first, &metric_differences);
        note_first(&mut first, &schedule_differences);
        note_first(&mut first, &evaluation_differences);
        for divergence in first.into_values() {
            self.diverge(connection, divergence, shared).await?;
        }
        self.replace(connection, metric_differences, &mut metrics).await?;
        self.replace(connection, schedule_differences, &mut schedules).await?;
        self.replace(connection, evaluation_differences, &mut evaluations).await?;

        self.insert(connection, metrics, schedules, evaluations).await
    }

    /// Sets old rows aside where that is allowed; the new ones join the rows to insert.
    async fn replace<M: Measurement>(
        &mut self,
        connection: &mut SqliteConnection,
        differences: Vec<Difference<M>>,
        new: &mut Vec<M>,
    ) -> Result<(), RecordError> {
        for difference in differences {
            let state = self.state(connection, difference.computed.run()).await?;
            if let Some(change) = state.diverged {
                supersede::one(connection, change, &difference.computed).await?;
                new.push(difference.computed);
            }
        }
        Ok(())
    }

    async fn insert(
        &mut self,
        connection: &mut SqliteConnection,
        mut metrics: Vec<Metric>,
        mut schedules: Vec<Schedule>,
        mut evaluations: Vec<Evaluation>,
    ) -> Result<(), RecordError> {
        self.tidy(&mut metrics)?;
        self.tidy(&mut schedules)?;
        self.tidy(&mut evaluations)?;
        insert_all(connection, &metrics, "writing metrics").await?;
        insert_all(connection, &schedules, "writing schedules").await?;
        insert_all(connection, &evaluations, "writing evaluations").await?;
        let latest: BTreeMap<(i64, i64), Metric> =
            metrics.iter().map(|metric| ((metric.run, metric.key), *metric)).collect();
        let rows: Vec<Latest> = latest.values().map(|metric| Latest(*metric)).collect();
        insert_all(connection, &rows, "writing latest metrics").await?;
        self.insert_buckets(connection, &metrics).await?;
        for row in &schedules {
            let state = self.state(connection, row.run).await?;
            state.schedule_last = state.schedule_last.max(row.step);
        }
        for row in &evaluations {
            let state = self.state(connection, row.run).await?;
            state.evaluation_last = state.evaluation_last.max(row.step);
        }
        Ok(())
    }

    /// Buckets that these new rows complete. Where a row lies before others, those of its run are made anew.
    async fn insert_buckets(
        &mut self,
        connection: &mut SqliteConnection,
        metrics: &[Metric],
    ) -> Result<(), RecordError> {
        let mut whole = Vec::new();
        let mut disordered = BTreeSet::new();
        for of_run in metrics.chunk_by(|one, other| one.run == other.run) {
            let Some(first) = of_run.first() else { continue };
            let state = self.state(connection, first.run).await?;
            for metric in of_run {
                let tail = state.tails.entry(metric.key).or_default();
                if metric.step > tail.last_step {
                    tail.push(metric, &mut whole);
                } else {
                    disordered.insert(metric.run);
                }
            }
        }
        whole.retain(|bucket| !disordered.contains(&bucket.run()));
        whole.sort_by_key(Bucket::place);
        insert_all(connection, &whole, "writing buckets of metrics").await?;
        for run in disordered {
            buckets::anew(connection, run).await?;
            self.state(connection, run).await?.tails = tails(connection, run).await?;
        }
        Ok(())
    }

    /// Sorts rows into the order of their table, drops those of refused runs and those said twice.
    fn tidy<M: Measurement>(&self, rows: &mut Vec<M>) -> Result<(), RecordError> {
        if self.runs.values().any(|state| state.refused.is_some()) {
            rows.retain(|row| self.runs.get(&row.run()).is_some_and(|state| state.refused.is_none()));
        }
        rows.sort_by_key(Measurement::place);
        let contradiction =
            rows.windows(2).find(|pair| pair[0].place() == pair[1].place() && pair[0].difference(&pair[1]).is_some());
        if let Some([row, _]) = contradiction {
            return Err(RecordError::Invalid {
                what: format!(
                    "the worker said two different values of one {} for run {} at step {}",
                    M::TABLE,
                    row.run(),
                    row.step()
                ),
            });
        }
        rows.dedup_by_key(|row| row.place());
        Ok(())
    }
}

/// Whether a metric measures the machine instead of the run: a resume never repeats it, so it is not compared, and the
/// value that was measured first stays.
fn is_measured_time(key: &str) -> bool {
    key == "step_time" || ["timing/", "perf/", "memory/"].iter().any(|prefix| key.starts_with(prefix))
}

fn to_step(run: i64, step: u64) -> Result<i64, RecordError> {
    i64::try_from(step).map_err(|_| RecordError::Invalid {
        what: format!("run {run} sent step {step}, above {}, the largest the record can hold", i64::MAX),
    })
}

/// Rows beyond what is stored, and rows that may be stored already.
fn split<M: Measurement>(rows: Vec<M>, last_stored: impl Fn(&M) -> i64) -> (Vec<M>, Vec<M>) {
    rows.into_iter().partition(|row| row.step() > last_stored(row))
}

/// Compares rows with what is stored. Equal ones are done with, missing ones join `new`, the others are returned in
/// the order of their steps.
async fn compare<M: Measurement>(
    connection: &mut SqliteConnection,
    mut again: Vec<M>,
    new: &mut Vec<M>,
    subject: impl Fn(&M) -> String,
) -> Result<Vec<Difference<M>>, RecordError> {
    again.sort_by_key(Measurement::place);
    let mut differences = Vec::new();
    for rows in again.chunk_by(|a, b| a.run() == b.run()) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        let stored = read_stored::<M>(connection, first.run(), first.step(), last.step()).await?;
        for row in rows {
            let Some(old) = stored.get(&row.place()) else {
                new.push(row.clone());
                continue;
            };
            if let Some((field, stored, computed)) = old.difference(row) {
                let what = match field {
                    "value" => subject(row).trim_end_matches(':').to_owned(),
                    field => format!("{} {field}", subject(row)),
                };
                let step = row.step().unsigned_abs();
                let divergence = StepDivergence { run: row.run(), step, what, stored, computed };
                differences.push(Difference { computed: row.clone(), divergence });
            }
        }
    }
    Ok(differences)
}

async fn read_stored<M: Measurement>(
    connection: &mut SqliteConnection,
    run: i64,
    first: i64,
    last: i64,
) -> Result<HashMap<(i64, i64, (i64, i64)), M>, RecordError> {
    let statement = format!("SELECT {} FROM {} WHERE run = ? AND step BETWEEN ? AND ?", M::NAMES, M::TABLE);
    let rows: Vec<M> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(run)
        .bind(first)
        .bind(last)
        .fetch_all(connection)
        .await
        .doing("comparing recomputed steps with what is stored")?;
    Ok(rows.into_iter().map(|row| (row.place(), row)).collect())
}

fn note_first<M>(first: &mut BTreeMap<i64, StepDivergence>, differences: &[Difference<M>]) {
    for Difference { divergence, .. } in differences {
        let known = first.entry(divergence.run).or_insert_with(|| divergence.clone());
        if divergence.step < known.step {
            *known = divergence.clone();
        }
    }
}
