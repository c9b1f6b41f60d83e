//! Rows of an attached record as they are to stand in this one: numbers of rows translated, everything else as it is.

use std::fmt::Write as _;

use sqlx::SqliteConnection;

use super::tables::{Key, Table, Travels};
use crate::RecordError;
use crate::error::Doing as _;

pub(crate) const DOING: &str = "merging a record";

/// A column, and its place in the table's primary key (0: none).
#[derive(Clone, Debug, sqlx::FromRow)]
struct ColumnOf {
    name: String,
    pk: i64,
}

/// An expression that stands in a column in the place of the other record's value.
pub(crate) type Instead<'a> = (&'a str, &'a str);

async fn columns(connection: &mut SqliteConnection, table: &str) -> Result<Vec<ColumnOf>, RecordError> {
    sqlx::query_as("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid")
        .bind(table)
        .fetch_all(connection)
        .await
        .doing(DOING)
}

pub(crate) async fn execute(connection: &mut SqliteConnection, statement: String) -> Result<u64, RecordError> {
    let done = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(connection).await.doing(DOING)?;
    Ok(done.rows_affected())
}

/// The joins that a table's references need, `t` being its row: `r0`, `r1`, … in their order.
fn joins(table: &Table, without: Option<usize>) -> String {
    let mut text = String::new();
    for (place, (column, key)) in table.references.iter().enumerate() {
        if Some(place) != without {
            let _ = write!(text, " LEFT JOIN temp.map_{} r{place} ON r{place}.old = t.\"{column}\"", key.table());
        }
    }
    text
}

/// What stands in a column of this record for a row `t` of the other one.
fn translated(table: &Table, column: &str, instead: &[Instead<'_>]) -> String {
    if let Some((_, expression)) = instead.iter().find(|(name, _)| *name == column) {
        return (*expression).to_owned();
    }
    match table.references.iter().position(|(name, _)| *name == column) {
        Some(place) => format!("r{place}.new"),
        None if column == "id" && matches!(table.travels, Travels::Numbered(_)) => "own.new".to_owned(),
        None => format!("t.\"{column}\""),
    }
}

fn place_of(table: &Table, column: &str) -> usize {
    table.references.iter().position(|(name, _)| *name == column).unwrap_or_default()
}

/// Adds the rows of one table that are to come along. Returns how many.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    table: &Table,
    instead: &[Instead<'_>],
    with_common: WithCommon,
) -> Result<u64, RecordError> {
    let name = table.name;
    let all = columns(connection, name).await?;
    // Rows that are only added get a number here; nothing refers to it.
    let is_free = |column: &&ColumnOf| !(matches!(table.travels, Travels::Added(..)) && column.name == "id");
    let kept: Vec<&ColumnOf> = all.iter().filter(is_free).collect();
    let list = |of: &dyn Fn(&ColumnOf) -> String| kept.iter().map(|one| of(one)).collect::<Vec<_>>().join(", ");
    let into = list(&|column| format!("\"{}\"", column.name));
    let select = list(&|column| translated(table, &column.name, instead));
    let same = || {
        let equal = |column: &&ColumnOf| format!("o.\"{}\" IS {}", column.name, translated(table, &column.name, instead));
        kept.iter().map(equal).collect::<Vec<_>>().join(" AND ")
    };
    let key = || {
        let equal = |column: &&ColumnOf| format!("o.\"{}\" = {}", column.name, translated(table, &column.name, instead));
        kept.iter().filter(|column| column.pk > 0).map(equal).collect::<Vec<_>>().join(" AND ")
    };
    let from = match table.travels {
        Travels::Stays => return Ok(0),
        Travels::Shared => format!("other.{name} t WHERE NOT EXISTS (SELECT 1 FROM main.{name} o WHERE {})", {
            let named = kept.iter().filter(|column| column.name != "id");
            named.map(|column| format!("o.\"{0}\" IS t.\"{0}\"", column.name)).collect::<Vec<_>>().join(" AND ")
        }),
        Travels::Numbered(key) => format!(
            "temp.map_{} own CROSS JOIN other.{name} t ON t.id = own.old{} WHERE own.fresh = 1 ORDER BY own.new",
            key.table(),
            joins(table, None)
        ),
        Travels::With(owner, column) => {
            let place = place_of(table, column);
            format!(
                "temp.map_{} r{place} CROSS JOIN other.{name} t ON t.\"{column}\" = r{place}.old{} WHERE r{place}.fresh = 1",
                owner.table(),
                joins(table, Some(place))
            )
        }
        Travels::Added(_, column) => {
            let owner = format!("r{}.new IS NOT NULL", place_of(table, column));
            let taken = match with_common {
                WithCommon::Yes => format!("({owner} OR t.\"{column}\" IS NULL)"),
                WithCommon::No => owner,
            };
            // A tag that both have was added there and here at different times: its key decides.
            let known = if table.name == "tag" { key() } else { same() };
            format!(
                "other.{name} t{} WHERE {taken} AND NOT EXISTS (SELECT 1 FROM main.{name} o WHERE {known}) ORDER BY t.rowid",
                joins(table, None)
            )
            .replace(" ORDER BY t.rowid", if table.name == "tag" { "" } else { " ORDER BY t.id" })
        }
        Travels::Common => {
            if with_common == WithCommon::No && table.references.is_empty() {
                return Ok(0);
            }
            let mapped: String = (0..table.references.len())
                .map(|place| format!(" AND r{place}.new IS NOT NULL"))
                .collect();
            format!(
                "other.{name} t{} WHERE NOT EXISTS (SELECT 1 FROM main.{name} o WHERE {}){mapped}",
                joins(table, None),
                key()
            )
        }
    };
    let select = if matches!(table.travels, Travels::Shared) {
        list(&|column| if column.name == "id" { "NULL".to_owned() } else { format!("t.\"{}\"", column.name) })
    } else {
        select
    };
    execute(connection, format!("INSERT INTO main.{name} ({into}) SELECT {select} FROM {from}")).await
}

/// Whether rows that belong to no run come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithCommon {
    Yes,
    No,
}

/// How the rows of one table of a run that both records know compare.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct Counted {
    /// The run, here.
    pub(crate) run: i64,
    /// Its rows there.
    pub(crate) theirs: i64,
    /// Those of them that are not here.
    pub(crate) missing: i64,
    /// Its rows here.
    pub(crate) ours: i64,
}

/// Compares the rows of one table, run by run.
pub(crate) async fn count(connection: &mut SqliteConnection, table: &Table) -> Result<Vec<Counted>, RecordError> {
    let name = table.name;
    let all = columns(connection, name).await?;
    let run = table.references.iter().position(|(_, key)| *key == Key::Run).unwrap_or_default();
    let equal = |column: &ColumnOf| {
        let how = if column.pk > 0 { "=" } else { "IS" };
        format!("o.\"{}\" {how} {}", column.name, translated(table, &column.name, &[]))
    };
    let same = all.iter().map(equal).collect::<Vec<_>>().join(" AND ");
    let statement = format!(
        "SELECT r{run}.new AS run, (SELECT count(*) FROM other.{name} t WHERE t.run = r{run}.old) AS theirs, \
         (SELECT count(*) FROM other.{name} t{} WHERE t.run = r{run}.old AND NOT EXISTS \
         (SELECT 1 FROM main.{name} o WHERE {same})) AS missing, \
         (SELECT count(*) FROM main.{name} o WHERE o.run = r{run}.new) AS ours \
         FROM temp.map_run r{run} WHERE r{run}.fresh = 0",
        joins(table, Some(run))
    );
    sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(connection).await.doing(DOING)
}
