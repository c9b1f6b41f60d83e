//! What served models answered, kept so that a run that goes on asks nothing twice; and what runs spent on them.

use std::collections::HashMap;

use sqlx::FromRow;

use crate::error::Doing as _;
use crate::{Record, RecordError};

/// SHA-256 of who was asked what.
pub type AnswerKey = [u8; 32];

/// Keys in one question to the database.
const KEYS_MAX: usize = 500;

#[derive(FromRow)]
struct AnswerColumns {
    key: Vec<u8>,
    answer: Vec<u8>,
}

impl Record {
    /// Answers that are known, by their keys.
    pub fn model_answers(&mut self, keys: &[AnswerKey]) -> Result<HashMap<AnswerKey, Vec<u8>>, RecordError> {
        let doing = "reading the replies of models";
        self.block(async |connection| {
            let mut found = HashMap::new();
            for keys in keys.chunks(KEYS_MAX) {
                let places = vec!["?"; keys.len()].join(", ");
                let text = format!("SELECT key, answer FROM model_answer WHERE key IN ({places})");
                let mut query = sqlx::query_as::<_, AnswerColumns>(sqlx::AssertSqlSafe(text));
                for key in keys {
                    query = query.bind(&key[..]);
                }
                for row in query.fetch_all(&mut *connection).await.doing(doing)? {
                    if let Ok(key) = AnswerKey::try_from(row.key) {
                        found.insert(key, row.answer);
                    }
                }
            }
            Ok(found)
        })
    }

    /// Keeps a reply that no run asked for; one that is known stays.
    pub fn add_model_answer(&mut self, key: &AnswerKey, answer: &[u8]) -> Result<(), RecordError> {
        self.block(async |connection| {
            sqlx::query("INSERT OR IGNORE INTO model_answer (key, answer) VALUES (?, ?)")
                .bind(&key[..])
                .bind(answer)
                .execute(connection)
                .await
                .doing("writing the reply of a model")?;
            Ok(())
        })
    }

    /// Tokens that a run has spent at a served model so far.
    pub fn tokens_spent(&mut self, run: i64, model: &str, server: &str) -> Result<u64, RecordError> {
        self.block(async |connection| {
            let spent: Option<i64> = sqlx::query_scalar(
                "SELECT prompt_tokens + completion_tokens FROM model_use \
                 WHERE run = ? AND model = ? AND place = 'served' AND server = ?",
            )
            .bind(run)
            .bind(model)
            .bind(server)
            .fetch_optional(connection)
            .await
            .doing("reading what a model has cost")?;
            Ok(u64::try_from(spent.unwrap_or(0)).unwrap_or(0))
        })
    }
}
