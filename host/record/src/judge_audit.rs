//! Audits of judges.

use crate::error::Doing as _;
use crate::time::now_ms;
use crate::{Record, RecordError};

/// What an audit of a judge found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeAudit {
    /// The plugin's name; `outer over inner` where one wraps another.
    pub judge: String,
    /// Its parameters, JSON; with its models' identities, where it asks any.
    pub parameters: String,
    /// Of the plugin's file, lower-case hex.
    pub sha256: String,
    /// The file of pairs, or the run, as it was named.
    pub subject: String,
    /// Of the file; `None`: a run.
    pub subject_sha256: Option<String>,
    /// `None`: a file.
    pub run: Option<i64>,
    /// All that was found, JSON.
    pub document: String,
}

/// A recorded audit.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordedAudit {
    /// Its number.
    pub judge_audit: i64,
    /// See [`JudgeAudit`].
    pub judge: String,
    /// Likewise.
    pub parameters: String,
    /// Likewise.
    pub subject: String,
    /// Likewise.
    pub document: String,
}

impl Record {
    /// All audits, by number; none in a record that nobody wrote to since there are audits.
    pub fn judge_audits(&mut self) -> Result<Vec<RecordedAudit>, RecordError> {
        let doing = "listing the audits of judges";
        self.block(async |connection| {
            let is_there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'judge_audits'")
                .fetch_one(&mut *connection)
                .await
                .doing(doing)?;
            if is_there == 0 {
                return Ok(Vec::new());
            }
            sqlx::query_as(
                "SELECT judge_audit, judge, parameters, subject, document FROM judge_audits ORDER BY judge_audit",
            )
            .fetch_all(connection)
            .await
            .doing(doing)
        })
    }

    /// Adds an audit, and gives its number; earlier ones stay.
    pub fn add_judge_audit(&mut self, found: &JudgeAudit) -> Result<i64, RecordError> {
        self.block(async |connection| {
            let added = sqlx::query(
                "INSERT INTO judge_audit \
                 (audited_at, judge, parameters, sha256, subject, subject_sha256, run, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(now_ms())
            .bind(&found.judge)
            .bind(&found.parameters)
            .bind(&found.sha256)
            .bind(&found.subject)
            .bind(&found.subject_sha256)
            .bind(found.run)
            .bind(&found.document)
            .execute(connection)
            .await
            .doing("writing an audit of a judge")?;
            Ok(added.last_insert_rowid())
        })
    }
}
