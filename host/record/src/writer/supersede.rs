//! Setting old steps aside when a resume computes others and may.

use sqlx::SqliteConnection;

use super::measure::{Evaluation, Measurement, Metric, Schedule};
use crate::buckets;
use crate::error::Doing as _;
use crate::time::now_ms;
use crate::value::stored_count;
use crate::{RecordError, StepDivergence};

const DOING: &str = "setting superseded steps aside";

/// Last step handed over by this attempt, of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) metric: i64,
    pub(super) schedule: i64,
    pub(super) evaluation: i64,
    pub(super) completion: i64,
}

/// Begins a divergence: a state change that says from where and why, under which all stored steps go that this attempt
/// has not reached yet. Steps that it has reached were compared one by one and are replaced one by one. Returns the
/// state change.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    divergence: &StepDivergence,
    reason: &str,
    received: Received,
) -> Result<i64, RecordError> {
    let text = format!(
        "the resume came out differently from step {} on ({} was {}, now {}): {reason}; the old steps are kept as \
         superseded",
        divergence.step, divergence.what, divergence.stored, divergence.computed
    );
    let change = sqlx::query(
        "INSERT INTO state_change (run, changed_at, from_status, to_status, reason, step) \
         SELECT id, ?, status, status, ?, ? FROM run WHERE id = ?",
    )
    .bind(now_ms())
    .bind(text)
    .bind(stored_count(divergence.step))
    .bind(divergence.run)
    .execute(&mut *connection)
    .await
    .doing(DOING)?
    .last_insert_rowid();
    let step = stored_count(divergence.step);
    beyond::<Metric>(connection, change, divergence.run, received.metric.max(step)).await?;
    beyond::<Schedule>(connection, change, divergence.run, received.schedule.max(step)).await?;
    beyond::<Evaluation>(connection, change, divergence.run, received.evaluation.max(step)).await?;
    completions(connection, change, divergence.run, Which::Beyond(received.completion.max(step))).await?;
    latest_anew(connection, divergence.run).await?;
    buckets::anew(connection, divergence.run).await?;
    Ok(change)
}

/// Which completions of a run are set aside.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// All of later steps.
    Beyond(i64),
    /// One.
    This(&'a slhf_plan::CompletionRow),
}

/// Sets one completion aside, with its attributes.
pub(super) async fn completion(
    connection: &mut SqliteConnection,
    change: i64,
    row: &slhf_plan::CompletionRow,
) -> Result<(), RecordError> {
    completions(connection, change, row.run, Which::This(row)).await
}

async fn completions(
    connection: &mut SqliteConnection,
    change: i64,
    run: i64,
    which: Which<'_>,
) -> Result<(), RecordError> {
    verdicts(connection, change, run, which).await?;
    let tables = [
        ("completion_attribute", "run, step, position, role, round, place, name, value, reason"),
        (
            "completion",
            "run, step, position, role, round, prompt, text, finished, tokens, probability, prompt_id, reward, reward_failure",
        ),
    ];
    let condition = match which {
        Which::Beyond(_) => "step > ?3",
        Which::This(_) => "step = ?3 AND position = ?4 AND role = ?5 AND round = ?6",
    };
    for (table, names) in tables {
        let copy = format!(
            "INSERT INTO superseded_{table} (state_change, {names}) SELECT ?1, {names} FROM {table} \
             WHERE run = ?2 AND {condition}"
        );
        let delete = format!("DELETE FROM {table} WHERE ?1 = ?1 AND run = ?2 AND {condition}");
        for statement in [copy, delete] {
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(change).bind(run);
            let query = match which {
                Which::Beyond(step) => query.bind(step),
                Which::This(row) => query
                    .bind(stored_count(row.step))
                    .bind(i64::from(row.position))
                    .bind(row.role.to_string())
                    .bind(i64::from(row.round)),
            };
            query.execute(&mut *connection).await.doing(DOING)?;
        }
    }
    Ok(())
}

/// Verdicts go with the completion that stood first.
async fn verdicts(
    connection: &mut SqliteConnection,
    change: i64,
    run: i64,
    which: Which<'_>,
) -> Result<(), RecordError> {
    let (step, condition) = match which {
        Which::Beyond(step) => (step, "step > ?3 AND ?4 = ?4"),
        // Completions of an evaluation have positions of their own, and no verdicts of training.
        Which::This(row) if row.role.is_held_out => return Ok(()),
        Which::This(row) => (stored_count(row.step), "step = ?3 AND first = ?4"),
    };
    let first = match which {
        Which::Beyond(_) => 0,
        Which::This(row) => i64::from(row.position),
    };
    let tables = [
        ("training_verdict_attribute", "run, step, first, second, place, name, value, reason"),
        ("training_verdict", "run, step, first, second, probability, failure"),
    ];
    for (table, names) in tables {
        let copy = format!(
            "INSERT INTO superseded_{table} (state_change, {names}) SELECT ?1, {names} FROM {table} \
             WHERE run = ?2 AND {condition}"
        );
        let delete = format!("DELETE FROM {table} WHERE ?1 = ?1 AND run = ?2 AND {condition}");
        for statement in [copy, delete] {
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(change).bind(run).bind(step).bind(first);
            query.execute(&mut *connection).await.doing(DOING)?;
        }
    }
    Ok(())
}

/// Sets one row aside.
pub(super) async fn one<M: Measurement>(
    connection: &mut SqliteConnection,
    change: i64,
    row: &M,
) -> Result<(), RecordError> {
    let condition = format!("run = ?2 AND step = ?3 AND {}", M::KEY_CONDITION);
    let copy = format!(
        "INSERT INTO superseded_{0} (state_change, {1}) SELECT ?1, {1} FROM {0} WHERE {condition}",
        M::TABLE,
        M::NAMES
    );
    let delete = format!("DELETE FROM {} WHERE ?1 = ?1 AND {condition}", M::TABLE);
    for statement in [copy, delete] {
        let (first, second) = row.key();
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(change)
            .bind(row.run())
            .bind(row.step())
            .bind(first)
            .bind(second)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(())
}

/// Sets all rows beyond a step aside.
async fn beyond<M: Measurement>(
    connection: &mut SqliteConnection,
    change: i64,
    run: i64,
    step: i64,
) -> Result<(), RecordError> {
    let copy = format!(
        "INSERT INTO superseded_{0} (state_change, {1}) SELECT ?1, {1} FROM {0} WHERE run = ?2 AND step > ?3",
        M::TABLE,
        M::NAMES
    );
    let delete = format!("DELETE FROM {} WHERE ?1 = ?1 AND run = ?2 AND step > ?3", M::TABLE);
    for statement in [copy, delete] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(change)
            .bind(run)
            .bind(step)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(())
}

/// The latest values of a run whose last steps were set aside.
async fn latest_anew(connection: &mut SqliteConnection, run: i64) -> Result<(), RecordError> {
    sqlx::query("DELETE FROM latest_metric WHERE run = ?").bind(run).execute(&mut *connection).await.doing(DOING)?;
    sqlx::query(
        "INSERT INTO latest_metric (run, key, step, value, non_finite) \
         SELECT run, key, step, value, non_finite FROM (SELECT *, row_number() OVER (PARTITION BY key \
         ORDER BY step DESC) AS place FROM metric WHERE run = ?) WHERE place = 1",
    )
    .bind(run)
    .execute(connection)
    .await
    .doing(DOING)?;
    Ok(())
}
