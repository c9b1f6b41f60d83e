//! One change of a run's state: typed, timed, with a reason.

use sqlx::SqliteConnection;

use crate::error::{Doing as _, RecordError};
use crate::status::RunStatus;
use crate::time::now_ms;

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct StatusChange {
    pub(crate) run: i64,
    pub(crate) to: RunStatus,
    pub(crate) reason: Option<String>,
    pub(crate) step: Option<u64>,
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

/// Marks whatever is running as interrupted, in a copy that nobody computes on.
pub(crate) async fn end_running(connection: &mut SqliteConnection, reason: &str) -> Result<(), RecordError> {
    let running: Vec<i64> = sqlx::query_scalar("SELECT id FROM run WHERE status = 'running'")
        .fetch_all(&mut *connection)
        .await
        .doing("looking for runs that are being computed")?;
    for run in running {
        let change = StatusChange { run, to: RunStatus::Interrupted, reason: Some(reason.to_owned()), step: None };
        change_status(connection, &change).await?;
    }
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
