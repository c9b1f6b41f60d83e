//! What the writer knows of the runs and names it met: where each run stands, and what becomes of one that differs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::PoisonError;

use sqlx::SqliteConnection;

use super::buckets::{Tail, tails};
use super::measure::Measurements;
use super::message::Shared;
use super::names::Names;
use super::supersede::{self, Received};
use crate::divergence::{DivergencePolicy, StepDivergence};
use crate::error::{Doing as _, RecordError};

/// What the writer knows of the runs and names it met.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) runs: HashMap<i64, RunState>,
    policies: HashMap<i64, DivergencePolicy>,
    pub(super) metric_keys: Names,
    pub(super) evaluation_names: Names,
    pub(super) evaluation_subjects: Names,
    pub(super) waiting: Measurements,
}

/// What the writer knows of a run. Steps are −1 where nothing is stored.
#[derive(Debug)]
pub(super) struct RunState {
    pub(super) attempt: i64,
    /// Where each metric ends, by key: what lies beyond needs no comparison.
    pub(super) tails: HashMap<i64, Tail>,
    pub(super) schedule_last: i64,
    pub(super) evaluation_last: i64,
    pub(super) completion_last: i64,
    /// Last step handed over by this attempt, of each kind.
    pub(super) received: Received,
    /// The state change under which old steps are superseded.
    pub(super) diverged: Option<i64>,
    /// It diverged and that is not allowed: nothing more of it is recorded.
    pub(super) refused: Option<StepDivergence>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            runs: HashMap::new(),
            policies: HashMap::new(),
            metric_keys: Names::metric_keys(),
            evaluation_names: Names::evaluation_names(),
            evaluation_subjects: Names::evaluation_subjects(),
            waiting: Measurements::default(),
        }
    }
}

impl Book {
    /// These runs go on from a checkpoint: what is known of them is read anew.
    pub(super) fn resume(&mut self, runs: &[i64], policy: &DivergencePolicy) {
        for run in runs {
            self.runs.remove(run);
            self.policies.insert(*run, policy.clone());
        }
    }

    /// The state of a run, read at its first sight.
    pub(super) async fn state(
        &mut self,
        connection: &mut SqliteConnection,
        run: i64,
    ) -> Result<&mut RunState, RecordError> {
        match self.runs.entry(run) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(RunState::read(connection, run).await?)),
        }
    }

    /// What becomes of a run that differs.
    pub(super) fn policy(&self, run: i64) -> DivergencePolicy {
        self.policies.get(&run).cloned().unwrap_or_default()
    }

    /// A run differs for the first time in this attempt, or again.
    pub(super) async fn diverge(
        &mut self,
        connection: &mut SqliteConnection,
        divergence: StepDivergence,
        shared: &Shared,
    ) -> Result<(), RecordError> {
        let policy = self.policy(divergence.run);
        let state = self.state(connection, divergence.run).await?;
        match policy {
            DivergencePolicy::Allow { reason } if state.diverged.is_none() => {
                state.diverged = Some(supersede::begin(connection, &divergence, &reason, state.received).await?);
                state.tails = tails(connection, divergence.run).await?;
            }
            DivergencePolicy::Allow { .. } => {}
            DivergencePolicy::Refuse => {
                let mut diverged = shared.diverged.lock().unwrap_or_else(PoisonError::into_inner);
                diverged.entry(divergence.run).or_insert_with(|| divergence.clone());
                state.refused.get_or_insert(divergence);
            }
        }
        Ok(())
    }
}

impl RunState {
    async fn read(connection: &mut SqliteConnection, run: i64) -> Result<Self, RecordError> {
        let doing = "reading what is stored of a run";
        let found: Option<StoredSteps> = sqlx::query_as(
            "SELECT attempts, (SELECT max(step) FROM schedule WHERE run = ?1), \
             (SELECT max(step) FROM evaluation WHERE run = ?1), \
             (SELECT max(step) FROM completion WHERE run = ?1) FROM run WHERE id = ?1",
        )
        .bind(run)
        .fetch_optional(&mut *connection)
        .await
        .doing(doing)?;
        let Some((attempt, schedule_last, evaluation_last, completion_last)) = found else {
            let hint = ": the worker sent rows of a run that is not in the record".to_owned();
            return Err(RecordError::NoSuchRun { name: run.to_string(), hint });
        };
        Ok(Self {
            attempt,
            tails: tails(connection, run).await?,
            schedule_last: schedule_last.unwrap_or(-1),
            evaluation_last: evaluation_last.unwrap_or(-1),
            completion_last: completion_last.unwrap_or(-1),
            received: Received { metric: -1, schedule: -1, evaluation: -1, completion: -1 },
            diverged: None,
            refused: None,
        })
    }
}

/// Attempts, and the last stored step of schedules, evaluations and completions.
type StoredSteps = (i64, Option<i64>, Option<i64>, Option<i64>);
