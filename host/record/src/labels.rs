//! What people say of runs: tags and notes.

use sqlx::FromRow;

use crate::error::Doing as _;
use crate::time::now_ms;
use crate::{Record, RecordError};

/// Characters that a tag may have at most.
pub const TAG_CHARACTERS_MAX: usize = 64;

/// A note on a run.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Note {
    /// When it was written, ISO 8601, UTC.
    pub written_at: String,
    /// What it says.
    pub text: String,
}

/// What is to be changed of the tags of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Tags that they get.
    pub add: Vec<String>,
    /// Tags that they lose.
    pub remove: Vec<String>,
}

/// Refuses what is no tag: one to 64 characters without a blank or what a terminal would not show.
fn check_tag(name: &str) -> Result<(), RecordError> {
    let length = name.chars().count();
    let is_plain = !name.chars().any(|one| one.is_whitespace() || one.is_control());
    if (1..=TAG_CHARACTERS_MAX).contains(&length) && is_plain {
        return Ok(());
    }
    let what = format!(
        "\"{}\" is no tag: expected 1 to {TAG_CHARACTERS_MAX} characters without blanks, such as paper-v2",
        name.escape_debug()
    );
    Err(RecordError::Invalid { what })
}

impl Record {
    /// Changes the tags of runs. Returns how many tags were added and removed; one that is there is not added again.
    pub fn change_tags(&mut self, runs: &[i64], change: &TagChange) -> Result<(u64, u64), RecordError> {
        change.add.iter().try_for_each(|name| check_tag(name))?;
        let doing = "changing tags";
        self.transaction(doing, async |connection| {
            let (mut added, mut removed) = (0, 0);
            for run in runs {
                for name in &change.remove {
                    let query = sqlx::query("DELETE FROM tag WHERE run = ? AND name = ?").bind(run).bind(name);
                    removed += query.execute(&mut *connection).await.doing(doing)?.rows_affected();
                }
                for name in &change.add {
                    let query = sqlx::query("INSERT OR IGNORE INTO tag (run, name, added_at) VALUES (?, ?, ?)");
                    let query = query.bind(run).bind(name).bind(now_ms());
                    added += query.execute(&mut *connection).await.doing(doing)?.rows_affected();
                }
            }
            Ok((added, removed))
        })
    }

    /// The tags of a run, by name.
    pub fn tags(&mut self, run: i64) -> Result<Vec<String>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT tag FROM tags WHERE run = ? ORDER BY tag")
                .bind(run)
                .fetch_all(connection)
                .await
                .doing("reading tags")
        })
    }

    /// Every tag of the record with the number of runs that carry it, by name.
    pub fn all_tags(&mut self) -> Result<Vec<(String, i64)>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as("SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY tag")
                .fetch_all(connection)
                .await
                .doing("reading tags")
        })
    }

    /// Adds a note to a run; earlier ones stay.
    pub fn add_note(&mut self, run: i64, text: &str) -> Result<(), RecordError> {
        if text.trim().is_empty() {
            return Err(RecordError::Invalid { what: "the note is empty: write what is to be remembered".to_owned() });
        }
        self.transaction("writing a note", async |connection| {
            sqlx::query("INSERT INTO note (run, written_at, text) VALUES (?, ?, ?)")
                .bind(run)
                .bind(now_ms())
                .bind(text)
                .execute(connection)
                .await
                .doing("writing a note")?;
            Ok(())
        })
    }

    /// The notes on a run, oldest first.
    pub fn notes(&mut self, run: i64) -> Result<Vec<Note>, RecordError> {
        self.block(async |connection| {
            sqlx::query_as("SELECT written_at, text FROM notes WHERE run = ? ORDER BY note")
                .bind(run)
                .fetch_all(connection)
                .await
                .doing("reading notes")
        })
    }
}
