//! Every table of the schema, and how its rows go from one record to another. A test compares this with the migrations.

/// What a number in a table stands for: a row of a table that others refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Experiment,
    Execution,
    Cell,
    Group,
    Run,
    StateChange,
    JudgedGame,
    PluginUse,
    Artefact,
    Environment,
    Metric,
    Parameter,
    EvaluationName,
    EvaluationSubject,
}

impl Key {
    pub(crate) const ALL: [Self; 14] = [
        Self::Experiment,
        Self::Execution,
        Self::Cell,
        Self::Group,
        Self::Run,
        Self::StateChange,
        Self::JudgedGame,
        Self::PluginUse,
        Self::Artefact,
        Self::Environment,
        Self::Metric,
        Self::Parameter,
        Self::EvaluationName,
        Self::EvaluationSubject,
    ];

    /// The table whose `id` it is.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Execution => "execution",
            Self::Cell => "cell",
            Self::Group => "batch_group",
            Self::Run => "run",
            Self::StateChange => "state_change",
            Self::JudgedGame => "judged_game",
            Self::PluginUse => "plugin_use",
            Self::Artefact => "artefact",
            Self::Environment => "environment",
            Self::Metric => "metric_key",
            Self::Parameter => "parameter_key",
            Self::EvaluationName => "evaluation_name",
            Self::EvaluationSubject => "evaluation_subject",
        }
    }
}

/// How the rows of a table go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Travels {
    /// Its rows are words that all runs share: those that are missing are added.
    Shared,
    /// Its rows have numbers of their own, and go where their number is new.
    Numbered(Key),
    /// Its rows go with the row of this kind that they belong to, which `column` names.
    With(Key, &'static str),
    /// Rows are only ever added to what is known by this column; an equal one is there already.
    Added(Key, &'static str),
    /// Rows belong to no run: all of another record are added, where they are not there already.
    Common,
    /// The rows of a record are its own.
    Stays,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) travels: Travels,
    /// Columns that hold numbers of rows elsewhere, without its own `id`.
    pub(crate) references: &'static [(&'static str, Key)],
    /// Whether two records that know the same run must agree on these rows.
    pub(crate) compared: Compared,
}

/// Whether rows of a run are part of what makes it the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    Rows,
    Not,
}

use Compared::{Not, Rows};
use Key::{
    Artefact, Cell, Environment, EvaluationName, EvaluationSubject, Execution, Experiment, Group, JudgedGame, Metric,
    Parameter, PluginUse, Run, StateChange,
};
use Travels::{Added, Common, Numbered, Shared, Stays, With};

const fn table(
    name: &'static str,
    travels: Travels,
    references: &'static [(&'static str, Key)],
    compared: Compared,
) -> Table {
    Table { name, travels, references, compared }
}

const OF_RUN: Travels = With(Run, "run");
const OF_CELL: Travels = With(Cell, "cell");
const OF_GAME: Travels = With(JudgedGame, "judged_game");
const RUN: &[(&str, Key)] = &[("run", Run)];
const REPLACED: &[(&str, Key)] = &[("run", Run), ("state_change", StateChange)];

/// Every table, in an order in which rows can be added: what is referred to comes first.
pub(crate) const TABLES: &[Table] = &[
    table("experiment", Shared, &[], Not),
    table("environment", Shared, &[], Not),
    table("metric_key", Shared, &[], Not),
    table("parameter_key", Shared, &[], Not),
    table("evaluation_name", Shared, &[], Not),
    table("evaluation_subject", Shared, &[], Not),
    table("execution", Numbered(Execution), &[("experiment", Experiment)], Not),
    table("software_version", With(Execution, "execution"), &[("execution", Execution)], Not),
    table("cell", Numbered(Cell), &[("execution", Execution)], Not),
    table("cell_setting", OF_CELL, &[("cell", Cell)], Not),
    table("parameter", OF_CELL, &[("cell", Cell), ("key", Parameter)], Not),
    table("plugin_grant", OF_CELL, &[("cell", Cell)], Not),
    table("batch_group", Numbered(Group), &[("execution", Execution)], Not),
    table("run", Numbered(Run), &[("cell", Cell), ("batch_group", Group), ("superseded_by", Execution)], Not),
    table("answer", Common, &[("cell", Cell), ("run", Run)], Not),
    table("state_change", Numbered(StateChange), RUN, Not),
    table("metric", OF_RUN, &[("run", Run), ("key", Metric)], Rows),
    table("latest_metric", OF_RUN, &[("run", Run), ("key", Metric)], Not),
    table("metric_bucket", OF_RUN, &[("run", Run), ("key", Metric)], Not),
    table("schedule", OF_RUN, RUN, Rows),
    table("evaluation", OF_RUN, &[("run", Run), ("name", EvaluationName), ("subject", EvaluationSubject)], Rows),
    table("completion", OF_RUN, RUN, Rows),
    table("completion_attribute", OF_RUN, RUN, Rows),
    table("training_verdict", OF_RUN, RUN, Rows),
    table("training_verdict_attribute", OF_RUN, RUN, Rows),
    table("superseded_metric", OF_RUN, &[("run", Run), ("state_change", StateChange), ("key", Metric)], Not),
    table("superseded_schedule", OF_RUN, REPLACED, Not),
    table(
        "superseded_evaluation",
        OF_RUN,
        &[("run", Run), ("state_change", StateChange), ("name", EvaluationName), ("subject", EvaluationSubject)],
        Not,
    ),
    table("superseded_completion", OF_RUN, REPLACED, Not),
    table("superseded_completion_attribute", OF_RUN, REPLACED, Not),
    table("superseded_training_verdict", OF_RUN, REPLACED, Not),
    table("superseded_training_verdict_attribute", OF_RUN, REPLACED, Not),
    table("run_environment", OF_RUN, &[("run", Run), ("environment", Environment)], Rows),
    table("plugin_use", Numbered(PluginUse), &[], Not),
    table("plugin_use_run", OF_RUN, &[("run", Run), ("plugin_use", PluginUse)], Not),
    table("model_use", OF_RUN, RUN, Rows),
    table("cost", OF_RUN, RUN, Rows),
    table("judged_game", Numbered(JudgedGame), &[("batch_group", Group)], Not),
    table("judged_game_run", OF_RUN, &[("run", Run), ("judged_game", JudgedGame)], Not),
    table("judged_action", OF_GAME, &[("judged_game", JudgedGame)], Not),
    table("verdict", OF_GAME, &[("judged_game", JudgedGame)], Not),
    table("verdict_attribute", OF_GAME, &[("judged_game", JudgedGame)], Not),
    table("artefact", Numbered(Artefact), &[], Not),
    table("artefact_run", OF_RUN, &[("run", Run), ("artefact", Artefact)], Not),
    table("policy_evaluation", Added(Execution, "execution"), &[("execution", Execution)], Not),
    table("judge_audit", Added(Run, "run"), RUN, Not),
    table("tag", Added(Run, "run"), RUN, Not),
    table("note", Added(Run, "run"), RUN, Not),
    table("model_answer", Common, &[], Not),
    table("lease", Stays, &[], Not),
    table("held_run", Stays, RUN, Not),
    table("record_identity", Stays, &[], Not),
    table("_sqlx_migrations", Stays, &[], Not),
];

#[cfg(test)]
mod tests {
    use sqlx::SqliteConnection;

    use super::*;
    use crate::error::Doing as _;
    use crate::{OpenMode, Record, RecordError};

    async fn texts(
        connection: &mut SqliteConnection,
        statement: &'static str,
        of: &str,
    ) -> Result<Vec<String>, RecordError> {
        sqlx::query_scalar(statement).bind(of).fetch_all(connection).await.doing("asking")
    }

    /// A table, or a column that refers to another table's rows, that this file does not know would be lost or wrong after a merge.
    #[test]
    fn every_table_and_every_reference_is_here() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::open(&folder.path().join("lab.db"), OpenMode::Create).unwrap();
        let found = record
            .block(async |connection| {
                let tables = "SELECT name FROM sqlite_schema WHERE type = ? AND name NOT LIKE 'sqlite_%'";
                let mut found = Vec::new();
                for name in texts(connection, tables, "table").await? {
                    let references =
                        "SELECT \"from\" || ' -> ' || \"table\" FROM pragma_foreign_key_list(?) ORDER BY 1";
                    let references = texts(connection, references, &name).await?;
                    let columns = texts(connection, "SELECT name FROM pragma_table_info(?)", &name).await?;
                    found.push((name, references, columns));
                }
                Ok(found)
            })
            .unwrap();
        let mut missing = Vec::new();
        for (name, references, columns) in &found {
            let Some(table) = TABLES.iter().find(|table| table.name == name) else {
                missing.push(format!("the table {name} is not in TABLES: say how its rows go to another record"));
                continue;
            };
            if table.travels == Stays {
                continue;
            }
            let known: Vec<String> =
                table.references.iter().map(|(column, key)| format!("{column} -> {}", key.table())).collect();
            missing.extend(
                references
                    .iter()
                    .filter(|one| !known.contains(one))
                    .map(|one| format!("{name}: {one} is not in TABLES")),
            );
            // These refer without a foreign key.
            for (column, key) in [("run", Run), ("cell", Cell), ("execution", Execution)] {
                if columns.iter().any(|own| own == column) && !table.references.contains(&(column, key)) {
                    missing.push(format!("{name}.{column} is not in TABLES"));
                }
            }
            if columns.iter().any(|own| own == "key") && name != "model_answer" && name != "cell_setting" {
                assert!(table.references.iter().any(|(column, _)| *column == "key"), "{name}.key");
            }
        }
        for table in TABLES {
            if !found.iter().any(|(name, _, _)| name == table.name) {
                missing.push(format!("there is no table {}", table.name));
            }
        }
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}
