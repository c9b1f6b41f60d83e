//! Deletes rows of runs, and what nothing refers to any more. Files are not touched here.

use sqlx::SqliteConnection;

use crate::RecordError;
use crate::error::Doing as _;
use crate::transfer::rows::execute;
use crate::transfer::tables::{Key, TABLES, Travels};

const DOING: &str = "deleting runs";

/// What runs leave behind that no other run shares.
const UNSHARED: &[&str] = &[
    "DELETE FROM main.verdict_attribute WHERE judged_game NOT IN (SELECT judged_game FROM main.judged_game_run)",
    "DELETE FROM main.verdict WHERE judged_game NOT IN (SELECT judged_game FROM main.judged_game_run)",
    "DELETE FROM main.judged_action WHERE judged_game NOT IN (SELECT judged_game FROM main.judged_game_run)",
    "DELETE FROM main.judged_game WHERE id NOT IN (SELECT judged_game FROM main.judged_game_run)",
    "DELETE FROM main.plugin_use WHERE id NOT IN (SELECT plugin_use FROM main.plugin_use_run)",
    "DELETE FROM main.artefact WHERE id NOT IN (SELECT artefact FROM main.artefact_run)",
];

/// Plans of which no run is left, and that no other execution's runs are covered by.
const PLANS: &[&str] = &[
    "DELETE FROM main.batch_group WHERE id NOT IN (SELECT batch_group FROM main.run WHERE batch_group IS NOT NULL)",
    "DELETE FROM temp.doomed_cell WHERE id IN (SELECT cell FROM main.run UNION SELECT cell FROM main.answer)",
    "DELETE FROM main.cell_setting WHERE cell IN (SELECT id FROM temp.doomed_cell)",
    "DELETE FROM main.parameter WHERE cell IN (SELECT id FROM temp.doomed_cell)",
    "DELETE FROM main.plugin_grant WHERE cell IN (SELECT id FROM temp.doomed_cell)",
    "DELETE FROM main.cell WHERE id IN (SELECT id FROM temp.doomed_cell)",
    "DELETE FROM temp.doomed_execution WHERE id IN \
     (SELECT execution FROM main.cell UNION SELECT superseded_by FROM main.run WHERE superseded_by IS NOT NULL)",
    "DELETE FROM main.policy_evaluation WHERE execution IN (SELECT id FROM temp.doomed_execution)",
    "DELETE FROM main.software_version WHERE execution IN (SELECT id FROM temp.doomed_execution)",
    "DELETE FROM main.execution WHERE id IN (SELECT id FROM temp.doomed_execution)",
    "DELETE FROM main.experiment WHERE id NOT IN (SELECT experiment FROM main.execution)",
];

/// Deletes what was recorded of runs; the runs themselves and what people said of them stay.
pub(crate) async fn delete_rows_of_runs(connection: &mut SqliteConnection, runs: &[i64]) -> Result<(), RecordError> {
    choose(connection, runs).await?;
    for table in TABLES {
        let is_of_a_run = matches!(table.travels, Travels::With(Key::Run, _) | Travels::Numbered(Key::StateChange));
        if is_of_a_run {
            let statement = format!("DELETE FROM main.{} WHERE run IN (SELECT run FROM temp.doomed)", table.name);
            execute(connection, statement).await?;
        }
    }
    for statement in UNSHARED {
        execute(connection, (*statement).to_owned()).await?;
    }
    Ok(())
}

/// Deletes runs with all that the record holds of them, and executions of which nothing is left, inside the caller's transaction.
pub(crate) async fn delete_runs(
    connection: &mut SqliteConnection,
    runs: &[i64],
    executions: &[i64],
) -> Result<(), RecordError> {
    sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *connection).await.doing(DOING)?;
    delete_rows_of_runs(connection, runs).await?;
    choose_plans(connection, executions).await?;
    for statement in [
        "DELETE FROM main.tag WHERE run IN (SELECT run FROM temp.doomed)",
        "DELETE FROM main.note WHERE run IN (SELECT run FROM temp.doomed)",
        "DELETE FROM main.judge_audit WHERE run IN (SELECT run FROM temp.doomed)",
        "DELETE FROM main.answer WHERE run IN (SELECT run FROM temp.doomed)",
        "DELETE FROM main.run WHERE id IN (SELECT run FROM temp.doomed)",
    ]
    .iter()
    .chain(PLANS)
    {
        execute(connection, (*statement).to_owned()).await?;
    }
    Ok(())
}

async fn choose(connection: &mut SqliteConnection, runs: &[i64]) -> Result<(), RecordError> {
    execute(connection, "DROP TABLE IF EXISTS temp.doomed".to_owned()).await?;
    execute(connection, "CREATE TEMP TABLE doomed (run INTEGER PRIMARY KEY)".to_owned()).await?;
    sqlx::query("INSERT INTO temp.doomed SELECT value FROM json_each(?)")
        .bind(serde_json::Value::from(runs.to_vec()).to_string())
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}

/// Cells and executions that may be left without a run.
async fn choose_plans(connection: &mut SqliteConnection, executions: &[i64]) -> Result<(), RecordError> {
    for statement in [
        "DROP TABLE IF EXISTS temp.doomed_execution",
        "CREATE TEMP TABLE doomed_execution (id INTEGER PRIMARY KEY)",
        "INSERT INTO temp.doomed_execution SELECT DISTINCT c.execution FROM main.run r JOIN main.cell c ON c.id = r.cell \
         WHERE r.id IN (SELECT run FROM temp.doomed)",
        "DROP TABLE IF EXISTS temp.doomed_cell",
        "CREATE TEMP TABLE doomed_cell AS SELECT DISTINCT cell AS id FROM main.run WHERE id IN (SELECT run FROM temp.doomed)",
    ] {
        execute(connection, statement.to_owned()).await?;
    }
    let executions = serde_json::Value::from(executions.to_vec()).to_string();
    for statement in [
        "INSERT OR IGNORE INTO temp.doomed_execution SELECT value FROM json_each(?)",
        "INSERT INTO temp.doomed_cell SELECT id FROM main.cell WHERE execution IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&executions).execute(&mut *connection).await.doing(DOING)?;
    }
    Ok(())
}
