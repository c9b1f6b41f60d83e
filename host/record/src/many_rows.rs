//! Many rows a statement.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteArguments;

use crate::RecordError;
use crate::error::Doing as _;

pub(crate) type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// A row that is inserted many at a time.
pub(crate) trait Row {
    /// `INSERT INTO table (column, …)`.
    const INTO: &'static str;
    /// How many columns these are.
    const COLUMNS: usize;
    /// What follows the values: a conflict clause.
    const CONFLICT: &'static str = "";
    /// Binds one row.
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q>;
}

/// Rows a statement, tried in this order: few distinct statements, so that all stay prepared.
const CHUNKS: [usize; 4] = [512, 64, 8, 1];

/// Inserts all rows.
pub(crate) async fn insert_all<R: Row>(
    connection: &mut SqliteConnection,
    rows: &[R],
    doing: &str,
) -> Result<(), RecordError> {
    let mut rest = rows;
    for size in CHUNKS {
        if rest.len() < size {
            continue;
        }
        let statement = statement::<R>(size);
        while rest.len() >= size {
            let (chunk, remaining) = rest.split_at(size);
            let mut query = sqlx::query(sqlx::AssertSqlSafe(statement.clone()));
            for row in chunk {
                query = row.bind(query);
            }
            query.execute(&mut *connection).await.doing(doing)?;
            rest = remaining;
        }
    }
    Ok(())
}

/// The text holds no value, only names of this crate and question marks.
fn statement<R: Row>(rows: usize) -> std::sync::Arc<str> {
    let one = format!("({})", vec!["?"; R::COLUMNS].join(","));
    format!("{} VALUES {} {}", R::INTO, vec![one; rows].join(","), R::CONFLICT).into()
}
