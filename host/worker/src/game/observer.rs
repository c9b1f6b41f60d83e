//! Tells the lab what a group of games does: rows in batches, everything else at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use slhf_learn::{Cause, Ended, FinalPolicy, Measurement, Observer};
use slhf_plan::{CheckpointKind, EvaluationName, EvaluationRow, GroupPlan, MetricsBatch, ScheduleRow};

use crate::error::WorkerError;
use crate::teller::{Teller, run_end};

/// Rows wait no longer than this before the lab hears of them.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Nor do more rows than this wait.
const ROWS_MAX: usize = 4096;

/// Probabilities of games with more actions are not listed one by one.
const ACTIONS_LISTED_MAX: usize = 20;

/// The observer of a training: it collects steps of microseconds.
#[derive(Debug)]
pub(super) struct GroupObserver<'a> {
    teller: Teller<'a>,
    group: &'a GroupPlan,
    metrics: Vec<MetricsBatch>,
    schedules: Vec<ScheduleRow>,
    evaluations: Vec<EvaluationRow>,
    rows: usize,
    flushed: Instant,
    /// When the lab was last told how far it is.
    told_at: Option<Instant>,
}

impl<'a> GroupObserver<'a> {
    pub(super) fn new(teller: Teller<'a>, group: &'a GroupPlan) -> Self {
        Self {
            teller,
            group,
            metrics: Vec::new(),
            schedules: Vec::new(),
            evaluations: Vec::new(),
            rows: 0,
            flushed: Instant::now(),
            told_at: None,
        }
    }

    /// Sends all rows that wait.
    pub(super) fn flush(&mut self) -> Result<(), WorkerError> {
        for batch in self.metrics.drain(..) {
            self.teller.metrics(batch)?;
        }
        self.teller.schedules(std::mem::take(&mut self.schedules))?;
        self.teller.evaluations(std::mem::take(&mut self.evaluations))?;
        self.rows = 0;
        self.flushed = Instant::now();
        Ok(())
    }

    fn row_added(&mut self) -> Result<(), WorkerError> {
        self.rows += 1;
        if self.rows >= ROWS_MAX || self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    /// The names of a run's actions.
    fn actions(&self, run: i64) -> Vec<&'a str> {
        let plan = self.group.runs.iter().find(|plan| plan.run == run);
        let game = plan.and_then(|plan| self.group.games.get(plan.game));
        game.map_or_else(Vec::new, |game| game.actions.iter().map(|action| action.name.as_str()).collect())
    }
}

fn probability(run: i64, step: u64, subject: String, value: f64) -> EvaluationRow {
    EvaluationRow { run, step, name: EvaluationName::Probability, subject, value, interval: None, n: 0 }
}

impl Observer for GroupObserver<'_> {
    fn stop_requested(&self) -> bool {
        self.teller.is_asked_to_stop()
    }

    fn metrics(&mut self, run: i64, step: u64, measurement: &Measurement) -> Result<(), Cause> {
        let same_keys = |batch: &MetricsBatch| batch.keys.iter().eq(measurement.keys.iter().map(|key| key.name()));
        let known = self.metrics.iter().position(same_keys);
        let index = known.unwrap_or(self.metrics.len());
        if known.is_none() {
            let keys = measurement.keys.iter().map(|key| key.name().to_owned()).collect();
            self.metrics.push(MetricsBatch { keys, ..MetricsBatch::default() });
        }
        let batch = &mut self.metrics[index];
        batch.runs.push(run);
        batch.steps.push(step);
        batch.values.extend_from_slice(&measurement.values);
        Ok(self.row_added()?)
    }

    fn schedule(&mut self, row: ScheduleRow) -> Result<(), Cause> {
        self.schedules.push(row);
        Ok(self.row_added()?)
    }

    fn leader(&mut self, run: i64, step: u64, probabilities: &[f64]) -> Result<(), Cause> {
        let names = self.actions(run);
        let rows = names.iter().zip(probabilities);
        self.evaluations.extend(rows.map(|(name, value)| probability(run, step, format!("leader/{name}"), *value)));
        Ok(self.row_added()?)
    }

    fn final_policy(&mut self, run: i64, step: u64, policy: &FinalPolicy) -> Result<(), Cause> {
        let names = self.actions(run);
        if names.len() > ACTIONS_LISTED_MAX {
            return Ok(());
        }
        let row = |subject: String, value: f64| probability(run, step, subject, value);
        let leader = names.iter().zip(&policy.leader).map(|(name, value)| row(format!("leader/{name}"), *value));
        self.evaluations.extend(leader);
        for (first, answers) in names.iter().zip(policy.follower.chunks_exact(names.len().max(1))) {
            let rows = names.iter().zip(answers);
            self.evaluations.extend(rows.map(|(second, value)| row(format!("follower/{first}/{second}"), *value)));
        }
        Ok(self.row_added()?)
    }

    fn checkpoint(&mut self, step: u64, states: &[(i64, Vec<u8>)]) -> Result<(), Cause> {
        self.flush()?;
        // A game is judged whole before the first step, and again when its runs are resumed.
        Ok(self.teller.checkpoint(CheckpointKind::GameRuns, step, states, BTreeMap::new())?)
    }

    fn progress(&mut self, run_steps_done: u64) -> Result<(), Cause> {
        // A clock of its own: rows are flushed by themselves and would put this off for ever.
        if self.told_at.is_none_or(|told| told.elapsed() >= FLUSH_EVERY) {
            self.flush()?;
            self.teller.progress(run_steps_done)?;
            self.told_at = Some(Instant::now());
        }
        Ok(())
    }

    fn ended(&mut self, run: i64, step: u64, ended: Ended) -> Result<(), Cause> {
        self.flush()?;
        Ok(self.teller.outgoing.report(run_end(run, step, ended))?)
    }
}
