//! Changes of a run's state: typed, timed, with a reason, never silent.

use sqlx::SqliteConnection;

use crate::error::Doing as _;
use crate::lease::still_held;
use crate::time::now_ms;
use crate::{Lease, Record, RecordError, RunStatus};

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct StatusChange {
    pub(crate) run: i64,
    pub(crate) to: RunStatus,
    pub(crate) reason: Option<String>,
    pub(crate) step: Option<u64>,
}

impl Record {
    /// Starts runs under a lease: pending, interrupted or failed → running. None is started when one cannot be.
    pub fn start_runs(&mut self, lease: Lease, runs: &[i64]) -> Result<(), RecordError> {
        self.transaction("starting runs", async |connection| {
            still_held(connection, lease).await?;
            for &run in runs {
                let change = StatusChange { run, to: RunStatus::Running, reason: None, step: None };
                change_status(connection, &change).await?;
                sqlx::query("INSERT INTO held_run (run, lease) VALUES (?, ?)")
                    .bind(run)
                    .bind(lease.0)
                    .execute(&mut *connection)
                    .await
                    .doing("starting runs")?;
            }
            Ok(())
        })
    }

    /// Ends runs that the worker could not end itself (it died, it was stopped) as failed or interrupted, and pending
    /// ones as failed. Call it after the writer was flushed.
    pub fn end_runs(&mut self, runs: &[i64], status: RunStatus, reason: &str) -> Result<(), RecordError> {
        self.end(None, runs, status, reason)
    }

    /// Likewise, of runs that were started under this lease; [`RecordError::LeaseLost`] where another process took it over.
    pub fn end_runs_under(
        &mut self,
        lease: Lease,
        runs: &[i64],
        status: RunStatus,
        reason: &str,
    ) -> Result<(), RecordError> {
        self.end(Some(lease), runs, status, reason)
    }

    fn end(&mut self, lease: Option<Lease>, runs: &[i64], status: RunStatus, reason: &str) -> Result<(), RecordError> {
        self.transaction("ending runs", async |connection| {
            if let Some(lease) = lease {
                still_held(connection, lease).await?;
            }
            for &run in runs {
                let change = StatusChange { run, to: status, reason: Some(reason.to_owned()), step: None };
                change_status(connection, &change).await?;
            }
            Ok(())
        })
    }

    /// `--supersede`: sets aside all runs of earlier executions of `experiment` that are not running; their rows stay.
    /// Returns how many.
    pub fn supersede_earlier(&mut self, experiment: &str, execution: i64, reason: &str) -> Result<u64, RecordError> {
        let doing = "superseding runs";
        self.transaction(doing, async |connection| {
            let runs: Vec<i64> = sqlx::query_scalar(
                "SELECT r.id FROM run r JOIN cell c ON c.id = r.cell JOIN execution x ON x.id = c.execution \
                 JOIN experiment e ON e.id = x.experiment WHERE e.name = ? AND x.number < ? \
                 AND r.status NOT IN ('superseded', 'running') ORDER BY r.id",
            )
            .bind(experiment)
            .bind(execution)
            .fetch_all(&mut *connection)
            .await
            .doing(doing)?;
            for &run in &runs {
                let change =
                    StatusChange { run, to: RunStatus::Superseded, reason: Some(reason.to_owned()), step: None };
                change_status(connection, &change).await?;
                sqlx::query(
                    "UPDATE run SET superseded_by = (SELECT x.id FROM execution x JOIN experiment e \
                     ON e.id = x.experiment WHERE e.name = ? AND x.number = ?) WHERE id = ?",
                )
                .bind(experiment)
                .bind(execution)
                .bind(run)
                .execute(&mut *connection)
                .await
                .doing(doing)?;
            }
            Ok(runs.len() as u64)
        })
    }

    /// Sets aside single runs, each with the reason.
    pub fn supersede_runs(&mut self, runs: &[i64], reason: &str) -> Result<(), RecordError> {
        self.transaction("superseding runs", async |connection| {
            for &run in runs {
                let change =
                    StatusChange { run, to: RunStatus::Superseded, reason: Some(reason.to_owned()), step: None };
                change_status(connection, &change).await?;
            }
            Ok(())
        })
    }
}

/// Changes a run's state inside the caller's transaction; an illegal way is an error.
pub(crate) async fn change_status(connection: &mut SqliteConnection, change: &StatusChange) -> Result<(), RecordError> {
    let doing = "changing the state of a run";
    let from = status_of(connection, change.run).await?;
    if !from.may_become(change.to) {
        return Err(RecordError::IllegalTransition { run: change.run, from, to: change.to });
    }
    let now = now_ms();
    let started = change.to == RunStatus::Running;
    let ended = from == RunStatus::Running || change.to == RunStatus::Failed;
    let step = change.step.and_then(|step| i64::try_from(step).ok());
    sqlx::query(
        "UPDATE run SET status = ?1, reason = ?2, attempts = attempts + ?3, \
         started_at = CASE WHEN ?3 THEN coalesce(started_at, ?4) ELSE started_at END, \
         finished_at = CASE WHEN ?3 THEN NULL WHEN ?5 THEN ?4 ELSE finished_at END, \
         steps_done = coalesce(?6, steps_done) WHERE id = ?7",
    )
    .bind(change.to.as_str())
    .bind(change.reason.as_deref())
    .bind(started)
    .bind(now)
    .bind(ended)
    .bind(step)
    .bind(change.run)
    .execute(&mut *connection)
    .await
    .doing(doing)?;
    if ended {
        sqlx::query("DELETE FROM held_run WHERE run = ?")
            .bind(change.run)
            .execute(&mut *connection)
            .await
            .doing(doing)?;
    }
    sqlx::query(
        "INSERT INTO state_change (run, changed_at, from_status, to_status, reason, step) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(change.run)
    .bind(now)
    .bind(from.as_str())
    .bind(change.to.as_str())
    .bind(change.reason.as_deref())
    .bind(step)
    .execute(connection)
    .await
    .doing(doing)?;
    Ok(())
}

async fn status_of(connection: &mut SqliteConnection, run: i64) -> Result<RunStatus, RecordError> {
    let doing = "reading the state of a run";
    let name: Option<String> = sqlx::query_scalar("SELECT status FROM run WHERE id = ?")
        .bind(run)
        .fetch_optional(connection)
        .await
        .doing(doing)?;
    name.as_deref()
        .and_then(RunStatus::from_name)
        .ok_or_else(|| RecordError::NoSuchRun { name: run.to_string(), hint: String::new() })
}
