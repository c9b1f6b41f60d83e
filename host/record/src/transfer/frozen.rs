//! Frozen plans name their runs by number: those of another record's runs get the numbers that the runs have here.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::SqliteConnection;

use super::rows::DOING;
use crate::RecordError;
use crate::error::Doing as _;

/// Rewrites the plans of batch groups of which runs were added.
pub(crate) async fn rewrite(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let numbers: Vec<(i64, i64)> =
        sqlx::query_as("SELECT old, new FROM temp.map_run").fetch_all(&mut *connection).await.doing(DOING)?;
    let numbers: HashMap<i64, i64> = numbers.into_iter().collect();
    let groups: Vec<(i64, bool, String, String)> = sqlx::query_as(
        "SELECT g.new, g.fresh, t.frozen, o.frozen FROM temp.map_batch_group g JOIN other.batch_group t ON t.id = g.old \
         JOIN main.batch_group o ON o.id = g.new WHERE EXISTS \
         (SELECT 1 FROM temp.map_run m JOIN other.run r ON r.id = m.old WHERE m.fresh = 1 AND r.batch_group = g.old)",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for (group, is_new, there, here) in groups {
        let (Ok(mut plan), Ok(own)) = (serde_json::from_str(&there), serde_json::from_str(&here)) else { continue };
        let own = if is_new { Vec::new() } else { runs_of(&own) };
        let mut place = 0;
        renumber(&mut plan, &mut |run| {
            // A run of the group that stayed behind has no number here; what is negative is nobody's.
            let known = numbers.get(&run).or_else(|| own.get(place)).copied();
            place += 1;
            known.unwrap_or(-run.abs())
        });
        sqlx::query("UPDATE main.batch_group SET frozen = ? WHERE id = ?")
            .bind(plan.to_string())
            .bind(group)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(())
}

/// The run numbers of a plan: of one run, or of all runs of a group of games.
fn renumber(plan: &mut Value, number: &mut dyn FnMut(i64) -> i64) {
    let Value::Object(fields) = plan else { return };
    if let Some(run) = fields.get("run").and_then(Value::as_i64) {
        fields.insert("run".to_owned(), Value::from(number(run)));
        return;
    }
    if let Some(Value::Array(runs)) = fields.get_mut("runs") {
        for run in runs {
            renumber(run, number);
        }
    }
}

fn runs_of(plan: &Value) -> Vec<i64> {
    let mut found = Vec::new();
    renumber(&mut plan.clone(), &mut |run| {
        found.push(run);
        run
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_plan_is_renumbered_and_nothing_else() {
        let check = |before: &str, after: &str| {
            let mut plan = serde_json::from_str(before).unwrap();
            renumber(&mut plan, &mut |run| run + 10);
            assert_eq!(plan.to_string(), after);
        };
        check(
            r#"{"games":[{"run":1}],"runs":[{"run":3,"seed":1},{"run":4,"seed":18446744073709551615}]}"#,
            r#"{"games":[{"run":1}],"runs":[{"run":13,"seed":1},{"run":14,"seed":18446744073709551615}]}"#,
        );
        check(r#"{"kind":"language-model","run":7,"x":0.1}"#, r#"{"kind":"language-model","run":17,"x":0.1}"#);
        check(r#"{"run":[1],"runs":3}"#, r#"{"run":[1],"runs":3}"#);
        check("[1]", "[1]");
        assert_eq!(runs_of(&serde_json::json!({"runs": [{"run": 3}, {"run": 4}]})), [3, 4]);
    }
}
