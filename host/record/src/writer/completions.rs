//! Sampled completions with what a judge said of them.

use std::collections::HashMap;

use slhf_plan::CompletionRow;
use sqlx::SqliteConnection;

use super::book::Book;
use super::message::Shared;
use super::training_verdicts::{self, StoredVerdicts};
use crate::error::Doing as _;
use crate::many_rows::{Query, Row, insert_all};
use crate::value::{same_number, stored_count};
use crate::{RecordError, StepDivergence};

const DOING: &str = "writing completions";

/// What names a completion within its run.
type Place = (i64, i64, String, i64);

/// What is compared when a resume samples again.
type Stored = (i64, i64, String, i64, String, i64, Option<f64>, Option<f64>);

struct Completion<'a>(&'a CompletionRow);

impl Row for Completion<'_> {
    const INTO: &'static str = "INSERT INTO completion (run, step, position, role, round, prompt, text, finished, tokens, probability, prompt_id, \
         reward, reward_failure)";
    const COLUMNS: usize = 13;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let row = self.0;
        query
            .bind(row.run)
            .bind(stored_count(row.step))
            .bind(i64::from(row.position))
            .bind(row.role.to_string())
            .bind(i64::from(row.round))
            .bind(row.prompt.clone())
            .bind(row.text.clone())
            .bind(row.finished)
            .bind(i64::from(row.tokens))
            .bind(row.probability.filter(|value| value.is_finite()))
            .bind(row.prompt_id.to_string())
            .bind(row.reward.as_ref().and_then(|reward| reward.as_ref().ok().copied()))
            .bind(row.reward.as_ref().and_then(|reward| reward.as_ref().err().cloned()))
    }
}

struct Attribute<'a> {
    row: &'a CompletionRow,
    place: i64,
    said: &'a slhf_plan::VerdictAttribute,
}

impl Row for Attribute<'_> {
    const INTO: &'static str =
        "INSERT INTO completion_attribute (run, step, position, role, round, place, name, value, reason)";
    const COLUMNS: usize = 9;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.row.run)
            .bind(stored_count(self.row.step))
            .bind(i64::from(self.row.position))
            .bind(self.row.role.to_string())
            .bind(i64::from(self.row.round))
            .bind(self.place)
            .bind(self.said.name.clone())
            .bind(self.said.value)
            .bind(self.said.reason.clone())
    }
}

impl Book {
    /// Writes completions; those that are stored already are compared, by text and verdicts.
    pub(super) async fn write_completions(
        &mut self,
        connection: &mut SqliteConnection,
        rows: &[CompletionRow],
        shared: &Shared,
    ) -> Result<(), RecordError> {
        let mut new: Vec<&CompletionRow> = Vec::with_capacity(rows.len());
        for of_step in rows.chunk_by(|a, b| (a.run, a.step) == (b.run, b.step)) {
            let (run, step) = (of_step[0].run, stored_count(of_step[0].step));
            let state = self.state(connection, run).await?;
            state.received.completion = state.received.completion.max(step);
            if state.completion_last < step {
                new.extend(of_step);
                continue;
            }
            let stored = stored(connection, run, step).await?;
            let verdicts = training_verdicts::stored(connection, run, step).await?;
            for row in of_step {
                let Some(old) = stored.get(&place(row)) else {
                    new.push(row);
                    continue;
                };
                let Some(divergence) = divergence(row, old, &verdicts) else { continue };
                self.diverge(connection, divergence, shared).await?;
                if let Some(change) = self.state(connection, run).await?.diverged {
                    super::supersede::completion(connection, change, row).await?;
                    new.push(row);
                }
            }
        }
        let mut kept = Vec::with_capacity(new.len());
        for row in new {
            if self.state(connection, row.run).await?.refused.is_none() {
                kept.push(row);
            }
        }
        let completions: Vec<Completion<'_>> = kept.iter().map(|row| Completion(row)).collect();
        let attributes: Vec<Attribute<'_>> = kept
            .iter()
            .flat_map(|row| {
                row.attributes.iter().enumerate().map(|(place, attribute)| Attribute {
                    row,
                    place: stored_count(place),
                    said: attribute,
                })
            })
            .collect();
        insert_all(connection, &completions, DOING).await?;
        insert_all(connection, &attributes, DOING).await?;
        training_verdicts::insert(connection, &kept).await
    }
}

fn place(row: &CompletionRow) -> Place {
    (stored_count(row.step), i64::from(row.position), row.role.to_string(), i64::from(row.round))
}

async fn stored(connection: &mut SqliteConnection, run: i64, step: i64) -> Result<HashMap<Place, Stored>, RecordError> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT step, position, role, round, text, tokens, probability, reward FROM completion WHERE run = ? AND step = ?",
    )
    .bind(run)
    .bind(step)
    .fetch_all(connection)
    .await
    .doing("comparing completions with what is stored")?;
    Ok(rows.into_iter().map(|row| ((row.0, row.1, row.2.clone(), row.3), row)).collect())
}

fn divergence(row: &CompletionRow, old: &Stored, verdicts: &StoredVerdicts) -> Option<StepDivergence> {
    let (.., text, _, probability, reward) = old;
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let what = |part: &str| format!("the {part} of the {}'s completion {}", row.role, row.position);
    let (what, stored, computed) = if *text != row.text {
        (what("text"), format!("{:?}", shortened(text)), format!("{:?}", shortened(&row.text)))
    } else if !same_number(number(*probability), number(row.probability)) {
        (what("verdict"), format!("{probability:?}"), format!("{:?}", row.probability))
    } else if let (Some(stored), Some(Ok(computed))) = (reward, &row.reward)
        && !same_number(*stored, *computed)
    {
        (what("reward"), format!("{stored:?}"), format!("{computed:?}"))
    } else {
        training_verdicts::difference(row, verdicts)?
    };
    Some(StepDivergence { run: row.run, step: row.step, what, stored, computed })
}

/// A text's beginning, for a sentence.
fn shortened(text: &str) -> String {
    let mut start: String = text.chars().take(60).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
