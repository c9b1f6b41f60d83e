//! Runs that both records know: which of them has gone further, and whether they tell the same story.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::SqliteConnection;

use super::rows::{DOING, count, execute};
use super::tables::{Compared, TABLES};
use crate::error::Doing as _;
use crate::removal::delete_rows_of_runs;
use crate::{RecordError, RunStatus};

/// A run that both have.
#[derive(Debug, sqlx::FromRow)]
struct Both {
    there: i64,
    here: i64,
    experiment: String,
    cell: String,
    seed: i64,
    same_plan: bool,
    status_there: String,
    status_here: String,
}

/// What came of the runs that both records know.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Numbers here of runs that went further there.
    pub(crate) further: Vec<i64>,
    /// How many are here already, at least as far.
    pub(crate) known: usize,
    /// One sentence for each run of which each record has rows that the other one lacks.
    pub(crate) conflicts: Vec<String>,
}

/// Compares the runs that both records know, and makes room for those that went further there.
pub(crate) async fn relate(connection: &mut SqliteConnection) -> Result<Relations, RecordError> {
    let runs: Vec<Both> = sqlx::query_as(
        "SELECT m.old AS there, m.new AS here, e.name AS experiment, c.label AS cell, o.seed, \
         t.seed = o.seed AND t.content_hash = o.content_hash AND t.steps = o.steps AS same_plan, \
         t.status AS status_there, o.status AS status_here \
         FROM temp.map_run m JOIN other.run t ON t.id = m.old JOIN main.run o ON o.id = m.new \
         JOIN main.cell c ON c.id = o.cell JOIN main.execution x ON x.id = c.execution JOIN main.experiment e ON e.id = x.experiment \
         WHERE m.fresh = 0 ORDER BY m.new",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    let (mut more_there, mut more_here) = (BTreeMap::new(), BTreeSet::new());
    for table in TABLES.iter().filter(|table| table.compared == Compared::Rows) {
        for found in count(connection, table).await? {
            if found.missing > 0 {
                more_there.entry(found.run).or_insert(table.name);
            }
            if found.ours > found.theirs - found.missing {
                more_here.insert(found.run);
            }
        }
    }
    let mut relations = Relations::default();
    for run in runs {
        let name =
            || format!("{}/{}/{} (run {} there, run {} here)", run.experiment, run.cell, run.seed, run.there, run.here);
        let progress = |status: &str| RunStatus::from_name(status).map_or(0, progress);
        let (there, here) = (progress(&run.status_there), progress(&run.status_here));
        match (more_there.get(&run.here), more_here.contains(&run.here)) {
            _ if !run.same_plan => relations.conflicts.push(format!("{} was planned differently", name())),
            (Some(table), true) => {
                relations.conflicts.push(format!("{} was computed in both, and differs (in {table})", name()));
            }
            (Some(table), false) if run.status_here == "finished" || run.status_here == "running" => {
                relations.conflicts.push(format!(
                    "{} is {} here, and has more rows there (in {table})",
                    name(),
                    run.status_here
                ));
            }
            (Some(_), false) => relations.further.push(run.here),
            (None, false) if there > here && run.status_here != "running" => relations.further.push(run.here),
            (None, _) => relations.known += 1,
        }
    }
    if relations.conflicts.is_empty() && !relations.further.is_empty() {
        make_room(connection, &relations.further).await?;
    }
    Ok(relations)
}

/// How far a run has come, as far as its state says.
fn progress(status: RunStatus) -> u8 {
    match status {
        RunStatus::Pending => 0,
        RunStatus::Running | RunStatus::Interrupted => 1,
        RunStatus::Failed | RunStatus::Finished | RunStatus::Superseded => 2,
    }
}

/// All that is here of these runs is there, too: their rows here make room for those. What people said of them stays.
async fn make_room(connection: &mut SqliteConnection, runs: &[i64]) -> Result<(), RecordError> {
    sqlx::query("UPDATE temp.map_run SET fresh = 1 WHERE new IN (SELECT value FROM json_each(?))")
        .bind(serde_json::Value::from(runs.to_vec()).to_string())
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    delete_rows_of_runs(connection, runs).await?;
    execute(connection, "DELETE FROM main.run WHERE id IN (SELECT new FROM temp.map_run WHERE fresh = 1)".to_owned())
        .await?;
    Ok(())
}
