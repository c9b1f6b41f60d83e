//! Which row of another record is which row here, or which number it gets.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::SqliteConnection;

use super::rows::{DOING, WithCommon, add, execute};
use super::tables::{Key, TABLES, Travels};
use crate::RecordError;
use crate::error::Doing as _;

/// Which runs of the other record come along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All that nobody computes, and whatever belongs to no run.
    Everything,
    /// These runs, and all cells of these executions.
    Runs {
        /// By number.
        runs: Vec<i64>,
        /// By the number of their row.
        executions: Vec<i64>,
    },
}

impl Scope {
    pub(crate) fn with_common(&self) -> WithCommon {
        match self {
            Self::Everything => WithCommon::Yes,
            Self::Runs { .. } => WithCommon::No,
        }
    }
}

/// Which numbers runs get that are new here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// The next ones.
    Next,
    /// Their own: between a record and its trash.
    Kept,
}

/// Begins anew: empty maps, and what is chosen.
pub(crate) async fn begin(connection: &mut SqliteConnection, scope: &Scope) -> Result<(), RecordError> {
    for key in Key::ALL {
        let name = key.table();
        for statement in [
            format!("DROP TABLE IF EXISTS temp.map_{name}"),
            format!(
                "CREATE TEMP TABLE map_{name} (old INTEGER PRIMARY KEY, new INTEGER NOT NULL, fresh INTEGER NOT NULL)"
            ),
            format!("CREATE INDEX temp.map_{name}_by_new ON map_{name} (new)"),
        ] {
            execute(connection, statement).await?;
        }
    }
    for statement in [
        "DROP TABLE IF EXISTS temp.chosen_run",
        "CREATE TEMP TABLE chosen_run (run INTEGER PRIMARY KEY)",
        "DROP TABLE IF EXISTS temp.chosen_execution",
        "CREATE TEMP TABLE chosen_execution (id INTEGER PRIMARY KEY, number INTEGER)",
    ] {
        execute(connection, statement.to_owned()).await?;
    }
    match scope {
        Scope::Everything => {
            for statement in [
                "INSERT INTO temp.chosen_run SELECT id FROM other.run WHERE status <> 'running'",
                "INSERT INTO temp.chosen_execution SELECT id, number FROM other.execution",
            ] {
                execute(connection, statement.to_owned()).await?;
            }
        }
        Scope::Runs { runs, executions } => {
            sqlx::query("INSERT INTO temp.chosen_run SELECT value FROM json_each(?)")
                .bind(serde_json::Value::from(runs.clone()).to_string())
                .execute(&mut *connection)
                .await
                .doing(DOING)?;
            let of_runs = "INSERT INTO temp.chosen_execution SELECT DISTINCT x.id, x.number FROM temp.chosen_run h \
                 JOIN other.run r ON r.id = h.run JOIN other.cell c ON c.id = r.cell JOIN other.execution x ON x.id = c.execution";
            execute(connection, of_runs.to_owned()).await?;
            sqlx::query(
                "INSERT OR IGNORE INTO temp.chosen_execution SELECT id, number FROM other.execution \
                 WHERE id IN (SELECT value FROM json_each(?))",
            )
            .bind(serde_json::Value::from(executions.clone()).to_string())
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
        }
    }
    Ok(())
}

/// Words that all runs share: names of experiments, metrics, parameters; environments.
pub(crate) async fn shared(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    for table in TABLES.iter().filter(|table| table.travels == Travels::Shared) {
        add(connection, table, &[], WithCommon::No).await?;
        let name = table.name;
        let same: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_table_info(?) WHERE name <> 'id' ORDER BY cid")
                .bind(name)
                .fetch_all(&mut *connection)
                .await
                .doing(DOING)?;
        let same =
            same.iter().map(|column| format!("o.\"{column}\" IS t.\"{column}\"")).collect::<Vec<_>>().join(" AND ");
        let statement = format!(
            "INSERT INTO temp.map_{name} SELECT t.id, o.id, 0 FROM other.{name} t JOIN main.{name} o ON {same}"
        );
        execute(connection, statement).await?;
    }
    Ok(())
}

/// Executions by their random ids, their cells and batch groups by number, runs by their random ids.
pub(crate) async fn plans(connection: &mut SqliteConnection, numbering: Numbering) -> Result<(), RecordError> {
    known(
        connection,
        "execution",
        "other.execution t JOIN temp.chosen_execution h ON h.id = t.id JOIN main.execution o ON o.identity = t.identity",
    )
    .await?;
    fresh(connection, "execution", "other.execution t JOIN temp.chosen_execution h ON h.id = t.id").await?;
    number_executions(connection).await?;
    for name in ["cell", "batch_group"] {
        let of = format!("other.{name} t JOIN temp.map_execution x ON x.old = t.execution");
        known(connection, name, &format!("{of} JOIN main.{name} o ON o.execution = x.new AND o.number = t.number"))
            .await?;
        fresh(connection, name, &of).await?;
    }
    known(
        connection,
        "run",
        "other.run t JOIN temp.chosen_run h ON h.run = t.id JOIN main.run o ON o.identity = t.identity",
    )
    .await?;
    match numbering {
        Numbering::Next => fresh(connection, "run", "other.run t JOIN temp.chosen_run h ON h.run = t.id").await,
        Numbering::Kept => {
            let statement = "INSERT INTO temp.map_run SELECT t.id, t.id, 1 FROM other.run t \
                 JOIN temp.chosen_run h ON h.run = t.id WHERE t.id NOT IN (SELECT old FROM temp.map_run)";
            execute(connection, statement.to_owned()).await.map(drop)
        }
    }
}

/// What belongs to runs and has numbers of its own. Two runs of one batch group can share a use of a plugin, a game or a file, of
/// which one may be here already.
pub(crate) async fn belongings(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    fresh(connection, "state_change", "other.state_change t JOIN temp.map_run m ON m.old = t.run AND m.fresh = 1")
        .await?;
    known(
        connection,
        "judged_game",
        "other.judged_game t JOIN temp.map_batch_group g ON g.old = t.batch_group JOIN main.judged_game o \
         ON o.batch_group = g.new AND o.game = t.game AND o.attempt = t.attempt",
    )
    .await?;
    let of = |name: &str| {
        format!(
            "(SELECT DISTINCT l.{name} AS id FROM temp.map_run m CROSS JOIN other.{name}_run l ON l.run = m.old \
             WHERE m.fresh = 1) h JOIN other.{name} t ON t.id = h.id"
        )
    };
    fresh(connection, "judged_game", &of("judged_game")).await?;
    // Equal in all it measured, and linked to a run of a batch group that is known: the same use.
    let use_ = "o.role = t.role AND o.name = t.name AND o.version = t.version AND o.wit_version = t.wit_version \
         AND o.sha256 = t.sha256 AND o.calls = t.calls AND o.items = t.items AND o.failed_items = t.failed_items \
         AND o.wall_ns = t.wall_ns AND o.fuel IS t.fuel AND o.peak_memory_bytes = t.peak_memory_bytes AND o.runs = t.runs";
    known(
        connection,
        "plugin_use",
        &format!(
            "{} JOIN other.plugin_use_run k ON k.plugin_use = t.id JOIN other.run s ON s.id = k.run \
             JOIN temp.map_batch_group g ON g.old = s.batch_group JOIN main.run r ON r.batch_group = g.new \
             JOIN main.plugin_use_run p ON p.run = r.id JOIN main.plugin_use o ON o.id = p.plugin_use AND {use_} \
             GROUP BY t.id",
            of("plugin_use")
        ),
    )
    .await?;
    fresh(connection, "plugin_use", &of("plugin_use")).await?;
    // Files by when they were written, for which step of which run; one that another run of the group has by its hash.
    known(
        connection,
        "artefact",
        "temp.map_run m CROSS JOIN other.artefact_run k ON k.run = m.old JOIN other.run s ON s.id = k.run \
         JOIN other.artefact t ON t.id = k.artefact JOIN temp.map_batch_group g ON g.old = s.batch_group \
         JOIN main.run r ON r.batch_group = g.new JOIN main.artefact_run p ON p.run = r.id AND p.step = k.step \
         JOIN main.artefact o ON o.id = p.artefact AND o.kind = t.kind AND o.written_at = t.written_at \
         AND (p.run = m.new OR (o.sha256 = t.sha256 AND o.path = t.path)) GROUP BY t.id",
    )
    .await?;
    fresh(connection, "artefact", &of("artefact")).await
}

async fn known(connection: &mut SqliteConnection, name: &str, from: &str) -> Result<(), RecordError> {
    execute(connection, format!("INSERT OR IGNORE INTO temp.map_{name} SELECT t.id, o.id, 0 FROM {from}")).await?;
    Ok(())
}

/// Numbers after the last one that was ever given, in the other record's order.
async fn fresh(connection: &mut SqliteConnection, name: &str, from: &str) -> Result<(), RecordError> {
    let last = format!(
        "max((SELECT coalesce(max(id), 0) FROM main.{name}), \
         (SELECT coalesce(max(seq), 0) FROM main.sqlite_sequence WHERE name = '{name}'))"
    );
    let statement = format!(
        "INSERT INTO temp.map_{name} SELECT t.id, {last} + row_number() OVER (ORDER BY t.id), 1 FROM {from} \
         WHERE t.id NOT IN (SELECT old FROM temp.map_{name})"
    );
    execute(connection, statement).await?;
    Ok(())
}

/// An execution keeps its number where that is free in its experiment here; else it gets the next one.
async fn number_executions(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let taken: Vec<(i64, i64)> = sqlx::query_as("SELECT experiment, number FROM main.execution")
        .fetch_all(&mut *connection)
        .await
        .doing(DOING)?;
    let mut by_experiment: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (experiment, number) in taken {
        by_experiment.entry(experiment).or_default().insert(number);
    }
    let new: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT t.id, e.new, t.number FROM other.execution t JOIN temp.map_execution x ON x.old = t.id AND x.fresh = 1 \
         JOIN temp.map_experiment e ON e.old = t.experiment ORDER BY e.new, t.number",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for (id, experiment, number) in new {
        let taken = by_experiment.entry(experiment).or_default();
        let next = taken.last().copied().unwrap_or(0) + 1;
        let number = if taken.contains(&number) { next } else { number };
        taken.insert(number);
        sqlx::query("UPDATE temp.chosen_execution SET number = ? WHERE id = ?")
            .bind(number)
            .bind(id)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(())
}
