//! Names as integers, so that a value's row is small.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use crate::RecordError;
use crate::error::Doing as _;

/// One table of names.
#[derive(Debug)]
pub(super) struct Names {
    insert: &'static str,
    select: &'static str,
    ids: HashMap<String, i64>,
}

impl Names {
    pub(super) fn metric_keys() -> Self {
        Self::new("INSERT OR IGNORE INTO metric_key (name) VALUES (?)", "SELECT id FROM metric_key WHERE name = ?")
    }

    pub(super) fn evaluation_names() -> Self {
        Self::new(
            "INSERT OR IGNORE INTO evaluation_name (name) VALUES (?)",
            "SELECT id FROM evaluation_name WHERE name = ?",
        )
    }

    pub(super) fn evaluation_subjects() -> Self {
        Self::new(
            "INSERT OR IGNORE INTO evaluation_subject (name) VALUES (?)",
            "SELECT id FROM evaluation_subject WHERE name = ?",
        )
    }

    fn new(insert: &'static str, select: &'static str) -> Self {
        Self { insert, select, ids: HashMap::new() }
    }

    /// The number of a name, made where it is new. A failed commit ends the writer, so an entry is never one that
    /// was rolled back.
    pub(super) async fn id(&mut self, connection: &mut SqliteConnection, name: &str) -> Result<i64, RecordError> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        let doing = "naming a metric";
        sqlx::query(self.insert).bind(name).execute(&mut *connection).await.doing(doing)?;
        let id = sqlx::query_scalar(self.select).bind(name).fetch_one(connection).await.doing(doing)?;
        self.ids.insert(name.to_owned(), id);
        Ok(id)
    }

    /// The name of a number that this writer met.
    pub(super) fn name(&self, id: i64) -> &str {
        self.ids.iter().find_map(|(name, known)| (*known == id).then_some(name.as_str())).unwrap_or("?")
    }
}
