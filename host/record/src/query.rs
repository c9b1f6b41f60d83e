//! Free SQL: one statement that reads, with limits of time, size and memory.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, Executor as _, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _};

use crate::error::{Doing as _, cause, primary_code};
use crate::sql::check_statement;
use crate::{Record, RecordError};

/// Limits of a free query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Milliseconds it may take.
    pub time_ms: u64,
    /// Rows it may return.
    pub rows_max: usize,
    /// Bytes it may return, a number being eight.
    pub bytes_max: u64,
    /// Bytes that SQLite may take in this process from now on, whatever it is asked later; `None`: as many as there are.
    pub heap_bytes: Option<u64>,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { time_ms: 30_000, rows_max: 1_000_000, bytes_max: 64 << 20, heap_bytes: None }
    }
}

/// One cell of an answer, typed as SQLite holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Blob(bytes) => bytes.len() as u64,
            Self::Null | Self::Integer(_) | Self::Real(_) => 8,
        }
    }
}

/// The answer to a free query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryAnswer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// Virtual-machine steps between two looks at the clock: well under a millisecond.
const STEPS_PER_LOOK: i32 = 1000;

impl Record {
    /// Answers one statement that reads. It runs on a connection of its own that is opened read-only.
    pub fn query(&mut self, statement: &str, limits: QueryLimits) -> Result<QueryAnswer, RecordError> {
        check_statement(statement).map_err(|why| RecordError::QueryRefused { why })?;
        if self.is_writable() {
            return Self::open_as_reader(self.path())?.answer(statement, limits);
        }
        self.answer(statement, limits)
    }

    /// Visits the rows of one statement that reads, one by one: there may be more than memory holds.
    ///
    /// # Errors
    /// As [`Record::query`], without its limits; and whatever `visit` ends it with.
    pub fn each_row<E: From<RecordError>>(
        &mut self,
        statement: &str,
        mut visit: impl FnMut(&[Cell]) -> Result<(), E>,
    ) -> Result<(), E> {
        check_statement(statement).map_err(|why| RecordError::QueryRefused { why })?;
        self.visit(statement, |row| {
            let cells = cells(row).map_err(|error| RecordError::QueryFailed { source: cause(error) })?;
            visit(&cells)
        })
    }

    pub(crate) fn visit<E: From<RecordError>>(
        &mut self,
        statement: &str,
        mut visit: impl FnMut(&SqliteRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut ended = Ok(());
        let read = self.block(async |connection| {
            let failed = |error: sqlx::Error| RecordError::QueryFailed { source: cause(error) };
            let mut rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch(connection);
            while let Some(row) = rows.try_next().await.map_err(failed)? {
                ended = visit(&row);
                if ended.is_err() {
                    break;
                }
            }
            Ok(())
        });
        ended?;
        Ok(read?)
    }

    fn answer(&mut self, statement: &str, limits: QueryLimits) -> Result<QueryAnswer, RecordError> {
        self.block(async |connection| {
            if let Some(bytes) = limits.heap_bytes {
                let statement = format!("PRAGMA hard_heap_limit = {bytes}");
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
                    .execute(&mut *connection)
                    .await
                    .doing("preparing a query")?;
            }
            // A second lock beside the read-only file: temporary tables and attached files cannot be written either.
            set_query_only(connection, "ON").await?;
            let answer = fetch(connection, statement, limits).await;
            connection.lock_handle().await.doing("ending a query")?.remove_progress_handler();
            set_query_only(connection, "OFF").await?;
            answer
        })
    }
}

async fn set_query_only(connection: &mut SqliteConnection, on: &'static str) -> Result<(), RecordError> {
    let statement = format!("PRAGMA query_only = {on}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await.doing("preparing a query")?;
    Ok(())
}

async fn fetch(
    connection: &mut SqliteConnection,
    statement: &str,
    limits: QueryLimits,
) -> Result<QueryAnswer, RecordError> {
    let deadline = Instant::now() + Duration::from_millis(limits.time_ms);
    connection
        .lock_handle()
        .await
        .doing("preparing a query")?
        .set_progress_handler(STEPS_PER_LOOK, move || Instant::now() < deadline);
    let failed = |error: sqlx::Error| match primary_code(&error) {
        Some(9) => RecordError::QueryTooSlow { limit_ms: limits.time_ms },
        Some(7) => RecordError::QueryMemory { limit_mib: limits.heap_bytes.unwrap_or(u64::MAX) >> 20 },
        Some(8) => RecordError::QueryRefused { why: "it writes, and `query` only reads".to_owned() },
        _ => RecordError::QueryFailed { source: cause(error) },
    };
    // An answer without rows still has columns.
    let prepared = connection.prepare(sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(statement)));
    let columns = sqlx::Statement::columns(&prepared.await.map_err(failed)?)
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    let mut answer = QueryAnswer { columns, rows: Vec::new() };
    let mut bytes = 0_u64;
    let mut rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        if answer.rows.len() == limits.rows_max {
            return Err(RecordError::QueryTooLarge { limit: limits.rows_max });
        }
        let cells = cells(&row).map_err(failed)?;
        bytes += cells.iter().map(Cell::bytes).sum::<u64>();
        if bytes > limits.bytes_max {
            return Err(RecordError::QueryTooLong { limit_mib: limits.bytes_max >> 20 });
        }
        answer.rows.push(cells);
    }
    Ok(answer)
}

fn cells(row: &SqliteRow) -> Result<Vec<Cell>, sqlx::Error> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok(Cell::Null);
            }
            let kind = value.type_info();
            Ok(match kind.name() {
                "INTEGER" | "BOOLEAN" => Cell::Integer(row.try_get_unchecked(index)?),
                "REAL" => Cell::Real(row.try_get_unchecked(index)?),
                "BLOB" => Cell::Blob(row.try_get_unchecked(index)?),
                _ => Cell::Text(row.try_get_unchecked(index)?),
            })
        })
        .collect()
}
