//! How runs start and end, and how they are set aside: never silently.

use crate::error::Doing as _;
use crate::lease::still_held;
use crate::status_change::{StatusChange, change_status};
use crate::{Lease, Record, RecordError, RunStatus};

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
