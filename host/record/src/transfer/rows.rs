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

/// A table with its columns.
struct Shape<'a> {
    table: &'a Table,
    columns: Vec<ColumnOf>,
    instead: &'a [Instead<'a>],
}

impl Shape<'_> {
    /// `of` every column that `which` takes, with `between` between them.
    fn each(&self, between: &str, which: impl Fn(&ColumnOf) -> bool, of: impl Fn(&ColumnOf) -> String) -> String {
        self.columns.iter().filter(|column| which(column)).map(of).collect::<Vec<_>>().join(between)
    }

    fn translated(&self, column: &ColumnOf) -> String {
        translated(self.table, &column.name, self.instead)
    }

    /// That a row `o` here is the row `t` there, as far as the columns of `which` say.
    fn same(&self, which: impl Fn(&ColumnOf) -> bool) -> String {
        self.each(" AND ", which, |column| format!("o.\"{}\" IS {}", column.name, self.translated(column)))
    }

    /// Where the rows come from, which alone, and in which order; nothing: none come along.
    fn source(&self, with_common: WithCommon) -> Option<String> {
        let Table { name, travels, .. } = self.table;
        let place = |column: &str| place_of(self.table, column);
        Some(match travels {
            Travels::Stays => return None,
            Travels::Shared => {
                let same =
                    self.each(" AND ", |one| one.name != "id", |one| format!("o.\"{0}\" IS t.\"{0}\"", one.name));
                format!("other.{name} t WHERE NOT EXISTS (SELECT 1 FROM main.{name} o WHERE {same})")
            }
            Travels::Numbered(key) => format!(
                "temp.map_{} own CROSS JOIN other.{name} t ON t.id = own.old{} WHERE own.fresh = 1 ORDER BY own.new",
                key.table(),
                joins(self.table, None)
            ),
            Travels::With(owner, column) => {
                let r = format!("r{}", place(column));
                format!(
                    "temp.map_{} {r} CROSS JOIN other.{name} t ON t.\"{column}\" = {r}.old{} WHERE {r}.fresh = 1",
                    owner.table(),
                    joins(self.table, Some(place(column)))
                )
            }
            Travels::Added(_, column) => {
                let known = format!("r{}.new IS NOT NULL", place(column));
                let taken = match with_common {
                    WithCommon::Yes => format!("({known} OR t.\"{column}\" IS NULL)"),
                    WithCommon::No => known,
                };
                // A tag that both have was added at different times: its key decides. Other rows are the same in all they say.
                let (same, order) = match *name {
                    "tag" => (self.same(|column| column.pk > 0), "run, name"),
                    _ => (self.same(|_| true), "id"),
                };
                let (from, here) = (joins(self.table, None), format!("SELECT 1 FROM main.{name} o WHERE {same}"));
                let order = order.split(", ").map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
                format!("other.{name} t{from} WHERE {taken} AND NOT EXISTS ({here}) ORDER BY {order}")
            }
            Travels::Common if with_common == WithCommon::No && self.table.references.is_empty() => return None,
            Travels::Common => {
                let mut condition =
                    format!("NOT EXISTS (SELECT 1 FROM main.{name} o WHERE {})", self.same(|column| column.pk > 0));
                for place in 0..self.table.references.len() {
                    let _ = write!(condition, " AND r{place}.new IS NOT NULL");
                }
                format!("other.{name} t{} WHERE {condition}", joins(self.table, None))
            }
        })
    }
}

/// Adds the rows of one table that are to come along. Returns how many.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    table: &Table,
    instead: &[Instead<'_>],
    with_common: WithCommon,
) -> Result<u64, RecordError> {
    let mut columns = columns(connection, table.name).await?;
    // Rows that nothing refers to by number, or that are recognized by what they say, get a number here.
    if matches!(table.travels, Travels::Added(..) | Travels::Shared) {
        columns.retain(|column| column.name != "id");
    }
    let shape = Shape { table, columns, instead };
    let Some(source) = shape.source(with_common) else { return Ok(0) };
    let into = shape.each(", ", |_| true, |column| format!("\"{}\"", column.name));
    let select = shape.each(", ", |_| true, |column| shape.translated(column));
    execute(connection, format!("INSERT INTO main.{} ({into}) SELECT {select} FROM {source}", table.name)).await
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
