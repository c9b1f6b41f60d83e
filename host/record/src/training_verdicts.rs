//! What the judge said in training of completions that are recorded, as it was asked.

use std::collections::HashMap;

use sqlx::FromRow;

use crate::error::Doing as _;
use crate::{Record, RecordError};

/// Criterion, vote, reason.
type Attribute = (String, Option<f64>, String);

/// What the judge said of two completions of a training step, in one order of presentation.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedVerdict {
    /// Position of the completion that stood first.
    pub first: i64,
    /// Of the one that stood second.
    pub second: i64,
    /// p(first ≻ second); `None`: it failed.
    pub probability: Option<f64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Criterion, vote for the first, reason.
    pub attributes: Vec<Attribute>,
}

#[derive(FromRow)]
struct VerdictColumns {
    first: i64,
    second: i64,
    probability: Option<f64>,
    failure: Option<String>,
}

/// First, second, criterion, vote, reason.
type AttributeColumns = (i64, i64, String, Option<f64>, String);

impl Record {
    /// The training steps of a run whose verdicts are recorded, ascending.
    pub fn training_verdict_steps(&mut self, run: i64) -> Result<Vec<i64>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT DISTINCT step FROM training_verdict WHERE run = ? ORDER BY step")
                .bind(run)
                .fetch_all(connection)
                .await
                .doing("listing the steps whose verdicts are recorded")
        })
    }

    /// All verdicts on the completions of one training step, by position; none in steps that an earlier version recorded.
    pub fn training_verdicts(&mut self, run: i64, step: i64) -> Result<Vec<RecordedVerdict>, RecordError> {
        let doing = "reading the verdicts of a training step";
        self.block(async |connection| {
            let verdicts: Vec<VerdictColumns> = sqlx::query_as(
                "SELECT first, second, probability, failure FROM training_verdict WHERE run = ? AND step = ? \
                 ORDER BY first, second",
            )
            .bind(run)
            .bind(step)
            .fetch_all(&mut *connection)
            .await
            .doing(doing)?;
            let rows: Vec<AttributeColumns> = sqlx::query_as(
                "SELECT first, second, name, value, reason FROM training_verdict_attribute \
                 WHERE run = ? AND step = ? ORDER BY first, second, place",
            )
            .bind(run)
            .bind(step)
            .fetch_all(connection)
            .await
            .doing(doing)?;
            let mut attributes: HashMap<(i64, i64), Vec<Attribute>> = HashMap::new();
            for (first, second, name, value, reason) in rows {
                attributes.entry((first, second)).or_default().push((name, value, reason));
            }
            let with_attributes = |verdict: VerdictColumns| {
                let VerdictColumns { first, second, probability, failure } = verdict;
                let attributes = attributes.remove(&(first, second)).unwrap_or_default();
                RecordedVerdict { first, second, probability, failure, attributes }
            };
            Ok(verdicts.into_iter().map(with_attributes).collect())
        })
    }
}
