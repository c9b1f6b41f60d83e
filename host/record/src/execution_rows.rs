//! Rows of a new execution, many a statement: an execution may have ten thousand cells.

use slhf_plan::OnFailure;
use sqlx::SqliteConnection;

use crate::RecordError;
use crate::many_rows::{Query, Row, insert_all};
use crate::new_execution::{CellSetting, NewRun, PluginGrant};
use crate::value::{ParameterValue, non_finite_name, stored_count};

/// Everything that cells have.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    pub(crate) cells: Vec<CellRow<'a>>,
    pub(crate) settings: Vec<SettingRow<'a>>,
    pub(crate) parameters: Vec<ParameterRow<'a>>,
    pub(crate) grants: Vec<GrantRow<'a>>,
    pub(crate) runs: Vec<RunRow<'a>>,
    pub(crate) states: Vec<PendingRow>,
    pub(crate) answers: Vec<AnswerRow>,
}

impl Rows<'_> {
    /// What is referred to comes first.
    pub(crate) async fn insert(&self, connection: &mut SqliteConnection, doing: &str) -> Result<(), RecordError> {
        insert_all(connection, &self.cells, doing).await?;
        insert_all(connection, &self.settings, doing).await?;
        insert_all(connection, &self.parameters, doing).await?;
        insert_all(connection, &self.grants, doing).await?;
        insert_all(connection, &self.runs, doing).await?;
        insert_all(connection, &self.states, doing).await?;
        insert_all(connection, &self.answers, doing).await
    }
}

#[derive(Debug)]
pub(crate) struct CellRow<'a> {
    pub(crate) id: i64,
    pub(crate) execution: i64,
    pub(crate) number: i64,
    pub(crate) label: &'a str,
}

impl Row for CellRow<'_> {
    const INTO: &'static str = "INSERT INTO cell (id, execution, number, label)";
    const COLUMNS: usize = 4;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.id).bind(self.execution).bind(self.number).bind(self.label.to_owned())
    }
}

#[derive(Debug)]
pub(crate) struct SettingRow<'a> {
    pub(crate) cell: i64,
    pub(crate) setting: &'a CellSetting,
}

impl Row for SettingRow<'_> {
    const INTO: &'static str = "INSERT INTO cell_setting (cell, axis, axis_name, key, type, value, non_finite)";
    const COLUMNS: usize = 7;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let CellSetting { axis, axis_name, key, value } = self.setting;
        let query = query.bind(self.cell).bind(i64::from(*axis)).bind(axis_name.clone()).bind(key.clone());
        bind_value(query, value)
    }
}

#[derive(Debug)]
pub(crate) struct ParameterRow<'a> {
    pub(crate) cell: i64,
    pub(crate) key: i64,
    pub(crate) value: &'a ParameterValue,
}

impl Row for ParameterRow<'_> {
    const INTO: &'static str = "INSERT INTO parameter (cell, key, type, value, non_finite)";
    const COLUMNS: usize = 5;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        bind_value(query.bind(self.cell).bind(self.key), self.value)
    }
}

/// Binds the three columns `type`, `value`, `non_finite`.
fn bind_value<'q>(query: Query<'q>, value: &ParameterValue) -> Query<'q> {
    let query = query.bind(value.type_name());
    match value {
        ParameterValue::Boolean(value) => query.bind(*value).bind(None::<&str>),
        ParameterValue::Integer(value) => query.bind(*value).bind(None::<&str>),
        ParameterValue::Float(value) => {
            let finite = value.is_finite().then_some(*value);
            query.bind(finite).bind(non_finite_name(*value))
        }
        ParameterValue::Text(value) | ParameterValue::Json(value) => query.bind(value.clone()).bind(None::<&str>),
        ParameterValue::None => query.bind(None::<i64>).bind(None::<&str>),
    }
}

#[derive(Debug)]
pub(crate) struct GrantRow<'a> {
    pub(crate) cell: i64,
    pub(crate) grant: &'a PluginGrant,
}

impl Row for GrantRow<'_> {
    const INTO: &'static str = "INSERT INTO plugin_grant (cell, role, name, path, sha256, capabilities, parameters, on_failure, memory_mib, \
         deadline_ms, fuel_per_item, stack_kib, output_mib, log_lines)";
    const COLUMNS: usize = 14;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let grant = self.grant;
        query
            .bind(self.cell)
            .bind(grant.role.clone())
            .bind(grant.name.clone())
            .bind(grant.path.clone())
            .bind(grant.sha256.clone())
            .bind(grant.capabilities.join(", "))
            .bind(grant.parameters.clone())
            .bind(grant.on_failure.map(|choice| match choice {
                OnFailure::Abort => "abort",
                OnFailure::Skip => "skip",
            }))
            .bind(i64::from(grant.limits.memory_mib))
            .bind(stored_count(grant.limits.deadline_ms))
            .bind(grant.limits.fuel_per_item.map(stored_count))
            .bind(i64::from(grant.limits.stack_kib))
            .bind(i64::from(grant.limits.output_mib))
            .bind(i64::from(grant.limits.log_lines))
    }
}

/// A run that has not begun. Its random id is given afterwards, to all at once.
#[derive(Debug)]
pub(crate) struct RunRow<'a> {
    pub(crate) id: i64,
    pub(crate) cell: i64,
    pub(crate) run: &'a NewRun,
    pub(crate) created_at: i64,
}

impl Row for RunRow<'_> {
    const INTO: &'static str = "INSERT INTO run (id, cell, seed, content_hash, steps, status, created_at)";
    const COLUMNS: usize = 7;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.id)
            .bind(self.cell)
            .bind(stored_count(self.run.seed))
            .bind(self.run.content_hash.clone())
            .bind(stored_count(self.run.steps))
            .bind("pending")
            .bind(self.created_at)
    }
}

/// The first state of a run.
#[derive(Debug)]
pub(crate) struct PendingRow {
    pub(crate) run: i64,
    pub(crate) changed_at: i64,
}

impl Row for PendingRow {
    const INTO: &'static str = "INSERT INTO state_change (run, changed_at, to_status)";
    const COLUMNS: usize = 3;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.run).bind(self.changed_at).bind("pending")
    }
}

/// A seed that a finished run of before covers.
#[derive(Debug)]
pub(crate) struct AnswerRow {
    pub(crate) cell: i64,
    pub(crate) seed: i64,
    pub(crate) run: i64,
}

impl Row for AnswerRow {
    const INTO: &'static str = "INSERT INTO answer (cell, seed, run)";
    const COLUMNS: usize = 3;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.cell).bind(self.seed).bind(self.run)
    }
}
