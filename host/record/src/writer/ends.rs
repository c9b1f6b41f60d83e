//! What a worker says besides measurements: checkpoints, plugin use, costs, environments, ends of runs.

use slhf_plan::{ArtefactWritten, CheckpointWritten, PluginUse, RunCost, RunEnd, RunEnvironment, RunOutcome};
use sqlx::SqliteConnection;

use super::book::Book;
use crate::error::Doing as _;
use crate::status_change::{StatusChange, change_status};
use crate::time::now_ms;
use crate::value::stored_count;
use crate::{RecordError, RunStatus};

impl Book {
    /// A checkpoint of runs that diverged must never be resumed from, so it is not recorded for them.
    pub(super) async fn write_checkpoint(
        &mut self,
        connection: &mut SqliteConnection,
        checkpoint: &CheckpointWritten,
    ) -> Result<(), RecordError> {
        let doing = "writing a checkpoint's row";
        let mut runs = Vec::with_capacity(checkpoint.runs.len());
        for &run in &checkpoint.runs {
            if self.state(connection, run).await?.refused.is_none() {
                runs.push(run);
            }
        }
        if runs.is_empty() {
            return Ok(());
        }
        replaced(connection, &checkpoint.path).await?;
        let artefact = sqlx::query(
            "INSERT INTO artefact (kind, path, sha256, size_bytes, written_at) VALUES ('checkpoint', ?, ?, ?, ?)",
        )
        .bind(&checkpoint.path)
        .bind(&checkpoint.sha256)
        .bind(stored_count(checkpoint.size_bytes))
        .bind(now_ms())
        .execute(&mut *connection)
        .await
        .doing(doing)?
        .last_insert_rowid();
        for run in runs {
            sqlx::query("INSERT INTO artefact_run (run, step, artefact) VALUES (?, ?, ?)")
                .bind(run)
                .bind(stored_count(checkpoint.step))
                .bind(artefact)
                .execute(&mut *connection)
                .await
                .doing(doing)?;
            sqlx::query("UPDATE run SET steps_done = max(steps_done, ?) WHERE id = ?")
                .bind(stored_count(checkpoint.step))
                .bind(run)
                .execute(&mut *connection)
                .await
                .doing(doing)?;
        }
        Ok(())
    }

    pub(super) async fn write_artefact(
        &mut self,
        connection: &mut SqliteConnection,
        artefact: &ArtefactWritten,
    ) -> Result<(), RecordError> {
        let doing = "writing an artifact's row";
        if self.state(connection, artefact.run).await?.refused.is_some() {
            return Ok(());
        }
        replaced(connection, &artefact.path).await?;
        let id =
            sqlx::query("INSERT INTO artefact (kind, path, sha256, size_bytes, written_at) VALUES (?, ?, ?, ?, ?)")
                .bind(&artefact.kind)
                .bind(&artefact.path)
                .bind(&artefact.sha256)
                .bind(stored_count(artefact.size_bytes))
                .bind(now_ms())
                .execute(&mut *connection)
                .await
                .doing(doing)?
                .last_insert_rowid();
        sqlx::query("INSERT INTO artefact_run (run, step, artefact) VALUES (?, ?, ?)")
            .bind(artefact.run)
            .bind(stored_count(artefact.step))
            .bind(id)
            .execute(connection)
            .await
            .doing(doing)?;
        Ok(())
    }

    pub(super) async fn write_cost(
        &mut self,
        connection: &mut SqliteConnection,
        cost: &RunCost,
    ) -> Result<(), RecordError> {
        let attempt = self.state(connection, cost.run).await?.attempt;
        let seconds = cost.seconds.iter().map(|(phase, seconds)| (format!("seconds.{phase}"), "s", *seconds));
        let counts = cost.counts.iter().map(|(quantity, unit, value)| (quantity.clone(), unit.as_str(), *value));
        let memory = ("peak_memory_bytes".to_owned(), "B", cost.peak_memory_bytes as f64);
        for (quantity, unit, value) in seconds.chain(counts).chain([memory]) {
            sqlx::query(
                "INSERT INTO cost (run, attempt, quantity, unit, value) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (run, attempt, quantity) DO UPDATE SET value = \
                 CASE WHEN quantity LIKE 'peak%' THEN max(value, excluded.value) ELSE value + excluded.value END",
            )
            .bind(cost.run)
            .bind(attempt)
            .bind(quantity)
            .bind(unit)
            .bind(if value.is_finite() { value } else { 0.0 })
            .execute(&mut *connection)
            .await
            .doing("writing costs")?;
        }
        Ok(())
    }

    pub(super) async fn write_environment(
        &mut self,
        connection: &mut SqliteConnection,
        RunEnvironment { runs, environment }: &RunEnvironment,
    ) -> Result<(), RecordError> {
        let doing = "writing an environment";
        for statement in [
            "INSERT OR IGNORE INTO environment (device, device_description, cpu_capability, threads, \
             libtorch_version, worker_sha256, mkl_cbwr) VALUES (?, ?, ?, ?, ?, ?, ?)",
            "SELECT id FROM environment WHERE device = ? AND device_description = ? AND cpu_capability = ? AND \
             threads = ? AND libtorch_version = ? AND worker_sha256 = ? AND mkl_cbwr = ?",
        ] {
            let found: Option<(i64,)> = sqlx::query_as(statement)
                .bind(&environment.device)
                .bind(&environment.device_description)
                .bind(&environment.cpu_capability)
                .bind(i64::from(environment.threads))
                .bind(&environment.libtorch_version)
                .bind(&environment.worker_sha256)
                .bind(&environment.mkl_cbwr)
                .fetch_optional(&mut *connection)
                .await
                .doing(doing)?;
            let Some((id,)) = found else { continue };
            for &run in runs {
                let attempt = self.state(connection, run).await?.attempt;
                sqlx::query("INSERT OR REPLACE INTO run_environment (run, attempt, environment) VALUES (?, ?, ?)")
                    .bind(run)
                    .bind(attempt)
                    .bind(id)
                    .execute(&mut *connection)
                    .await
                    .doing(doing)?;
            }
        }
        Ok(())
    }

    pub(super) async fn write_end(
        &mut self,
        connection: &mut SqliteConnection,
        end: RunEnd,
    ) -> Result<(), RecordError> {
        let refused = self.state(connection, end.run).await?.refused.clone();
        let (to, reason) = match (refused, end.outcome) {
            (Some(divergence), _) => (RunStatus::Failed, Some(divergence.to_string())),
            (None, RunOutcome::Finished) => (RunStatus::Finished, Some("all steps are done".to_owned())),
            (None, RunOutcome::Interrupted) => {
                (RunStatus::Interrupted, Some("stopped on request, with a checkpoint".to_owned()))
            }
            (None, RunOutcome::Failed(reason)) => (RunStatus::Failed, Some(reason)),
        };
        let change = StatusChange { run: end.run, to, reason, step: Some(end.step) };
        change_status(connection, &change).await
    }
}

/// What lay at this path before is gone: its row says since when.
async fn replaced(connection: &mut SqliteConnection, path: &str) -> Result<(), RecordError> {
    sqlx::query("UPDATE artefact SET removed_at = ? WHERE path = ? AND removed_at IS NULL")
        .bind(now_ms())
        .bind(path)
        .execute(connection)
        .await
        .doing("writing the row of a file")?;
    Ok(())
}

pub(super) async fn write_plugin_use(
    connection: &mut SqliteConnection,
    plugin_use: &PluginUse,
) -> Result<(), RecordError> {
    let doing = "writing the use of a plugin";
    let id = sqlx::query(
        "INSERT INTO plugin_use (role, name, version, wit_version, sha256, calls, items, failed_items, wall_ns, fuel, \
         peak_memory_bytes, runs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&plugin_use.role)
    .bind(&plugin_use.name)
    .bind(&plugin_use.version)
    .bind(&plugin_use.wit_version)
    .bind(&plugin_use.sha256)
    .bind(stored_count(plugin_use.calls))
    .bind(stored_count(plugin_use.items))
    .bind(stored_count(plugin_use.failed_items))
    .bind(stored_count(plugin_use.wall_ns))
    .bind(plugin_use.fuel.map(stored_count))
    .bind(stored_count(plugin_use.peak_memory_bytes))
    .bind(stored_count(plugin_use.runs.len()))
    .execute(&mut *connection)
    .await
    .doing(doing)?
    .last_insert_rowid();
    for run in &plugin_use.runs {
        sqlx::query("INSERT OR IGNORE INTO plugin_use_run (run, plugin_use) VALUES (?, ?)")
            .bind(run)
            .bind(id)
            .execute(&mut *connection)
            .await
            .doing(doing)?;
    }
    Ok(())
}
