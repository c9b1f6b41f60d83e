//! What the judge said in training, beside the completions that it was said of.

use std::collections::HashMap;

use slhf_plan::{CompletionRow, TrainingVerdict, VerdictAttribute};
use sqlx::SqliteConnection;

use crate::RecordError;
use crate::error::Doing as _;
use crate::many_rows::{Query, Row, insert_all};
use crate::value::{same_number, stored_count};

const DOING: &str = "writing the verdicts of a training step";

/// First, second → the probability, or why there is none.
pub(super) type StoredVerdicts = HashMap<(i64, i64), (Option<f64>, Option<String>)>;

struct Verdict<'a> {
    row: &'a CompletionRow,
    said: &'a TrainingVerdict,
}

impl Row for Verdict<'_> {
    const INTO: &'static str = "INSERT INTO training_verdict (run, step, first, second, probability, failure)";
    const COLUMNS: usize = 6;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let (probability, failure) = columns(self.said);
        query
            .bind(self.row.run)
            .bind(stored_count(self.row.step))
            .bind(i64::from(self.row.position))
            .bind(i64::from(self.said.second))
            .bind(probability)
            .bind(failure.map(str::to_owned))
    }
}

struct Attribute<'a> {
    row: &'a CompletionRow,
    second: u32,
    place: i64,
    said: &'a VerdictAttribute,
}

impl Row for Attribute<'_> {
    const INTO: &'static str =
        "INSERT INTO training_verdict_attribute (run, step, first, second, place, name, value, reason)";
    const COLUMNS: usize = 8;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.row.run)
            .bind(stored_count(self.row.step))
            .bind(i64::from(self.row.position))
            .bind(i64::from(self.second))
            .bind(self.place)
            .bind(self.said.name.clone())
            .bind(self.said.value)
            .bind(self.said.reason.clone())
    }
}

fn columns(said: &TrainingVerdict) -> (Option<f64>, Option<&str>) {
    match &said.outcome {
        Ok(verdict) => (Some(verdict.probability), None),
        Err(failure) => (None, Some(failure)),
    }
}

/// Writes what was said where these completions stood first.
pub(super) async fn insert(connection: &mut SqliteConnection, rows: &[&CompletionRow]) -> Result<(), RecordError> {
    let mut verdicts = Vec::new();
    let mut attributes = Vec::new();
    for row in rows {
        for said in &row.verdicts {
            verdicts.push(Verdict { row, said });
            let Ok(verdict) = &said.outcome else { continue };
            let places = verdict.attributes.iter().enumerate();
            attributes.extend(places.map(|(place, attribute)| Attribute {
                row,
                second: said.second,
                place: stored_count(place),
                said: attribute,
            }));
        }
    }
    insert_all(connection, &verdicts, DOING).await?;
    insert_all(connection, &attributes, DOING).await
}

/// What is stored of a step, for a resume that computes it again.
pub(super) async fn stored(
    connection: &mut SqliteConnection,
    run: i64,
    step: i64,
) -> Result<StoredVerdicts, RecordError> {
    let rows: Vec<(i64, i64, Option<f64>, Option<String>)> =
        sqlx::query_as("SELECT first, second, probability, failure FROM training_verdict WHERE run = ? AND step = ?")
            .bind(run)
            .bind(step)
            .fetch_all(connection)
            .await
            .doing("comparing verdicts with what is stored")?;
    Ok(rows
        .into_iter()
        .map(|(first, second, probability, failure)| ((first, second), (probability, failure)))
        .collect())
}

/// What differs first: what it is, what was stored, what was computed. A step that an earlier version recorded has nothing
/// to compare with.
pub(super) fn difference(row: &CompletionRow, stored: &StoredVerdicts) -> Option<(String, String, String)> {
    row.verdicts.iter().find_map(|said| {
        let (probability, failure) = stored.get(&(i64::from(row.position), i64::from(said.second)))?;
        let (now, why) = columns(said);
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        if same_number(number(*probability), number(now)) && failure.as_deref() == why {
            return None;
        }
        let what = format!("the verdict on the completions {} and {}", row.position, said.second);
        let shown = |probability: Option<f64>, failure: Option<&str>| match probability {
            Some(probability) => format!("{probability:?}"),
            None => format!("failed ({})", failure.unwrap_or("no reason")),
        };
        Some((what, shown(*probability, failure.as_deref()), shown(now, why)))
    })
}
