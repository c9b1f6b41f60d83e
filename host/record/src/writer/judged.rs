//! Verdicts of a judge on a finite game: rows up to 100 actions, beyond that one matrix.

use slhf_plan::{GameJudged, PairVerdict, VERDICT_ROWS_ACTIONS_MAX};
use sqlx::SqliteConnection;

use super::book::Book;
use super::message::Shared;
use crate::error::Doing as _;
use crate::many_rows::{Query, Row, insert_all};
use crate::value::{same_number, stored_count};
use crate::{DivergencePolicy, RecordError, StepDivergence};

const DOING: &str = "writing verdicts";

struct Verdict {
    game: i64,
    first: i64,
    second: i64,
    probability: f64,
}

impl Row for Verdict {
    const INTO: &'static str = "INSERT INTO verdict (judged_game, first, second, probability)";
    const COLUMNS: usize = 4;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.game).bind(self.first).bind(self.second).bind(self.probability)
    }
}

struct Attribute {
    game: i64,
    first: i64,
    second: i64,
    position: i64,
    name: String,
    value: f64,
    reason: String,
}

impl Row for Attribute {
    const INTO: &'static str =
        "INSERT INTO verdict_attribute (judged_game, first, second, position, name, value, reason)";
    const COLUMNS: usize = 7;
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.game)
            .bind(self.first)
            .bind(self.second)
            .bind(self.position)
            .bind(self.name.clone())
            .bind(self.value)
            .bind(self.reason.clone())
    }
}

impl Book {
    pub(super) async fn write_judged(
        &mut self,
        connection: &mut SqliteConnection,
        judged: &GameJudged,
        shared: &Shared,
    ) -> Result<(), RecordError> {
        // Of a game that no run of this attempt plays nothing is to be said.
        let Some(run) = judged.runs.first() else { return Ok(()) };
        let group = group_of(connection, *run).await?;
        let game = stored_count(judged.game);
        let last: Option<(i64, i64)> = sqlx::query_as(
            "SELECT id, attempt FROM judged_game WHERE batch_group = ? AND game = ? ORDER BY attempt DESC LIMIT 1",
        )
        .bind(group)
        .bind(game)
        .fetch_optional(&mut *connection)
        .await
        .doing(DOING)?;
        let Some((id, attempt)) = last else {
            let id = insert_game(connection, group, (judged, 1)).await?;
            return link(connection, judged, id).await;
        };
        let stored = stored_probabilities(connection, id, judged.actions.len()).await?;
        let computed = judged.verdicts.iter().map(|verdict| verdict.probability);
        let Some(place) = stored.iter().zip(computed).position(|(old, new)| !same_number(*old, new)) else {
            return link(connection, judged, id).await;
        };
        let new = judged.verdicts[place].probability;
        let mut allowed = Vec::new();
        for &run in &judged.runs {
            self.diverge(connection, divergence(judged, run, place, stored[place], new), shared).await?;
            if matches!(self.policy(run), DivergencePolicy::Allow { .. }) {
                allowed.push(run);
            }
        }
        if allowed.is_empty() {
            return Ok(());
        }
        let id = insert_game(connection, group, (judged, attempt + 1)).await?;
        link(connection, &GameJudged { runs: allowed, ..judged.clone() }, id).await
    }
}

/// The batch group of a run.
async fn group_of(connection: &mut SqliteConnection, run: i64) -> Result<i64, RecordError> {
    sqlx::query_scalar("SELECT batch_group FROM run WHERE id = ? AND batch_group IS NOT NULL")
        .bind(run)
        .fetch_optional(connection)
        .await
        .doing(DOING)?
        .ok_or_else(|| RecordError::Invalid { what: format!("run {run} has a judged game and no batch group") })
}

fn divergence(judged: &GameJudged, run: i64, place: usize, stored: f64, computed: f64) -> StepDivergence {
    let n = judged.actions.len();
    StepDivergence {
        run,
        step: 0,
        what: format!("the judge's verdict on {} ≻ {}", judged.actions[place / n], judged.actions[place % n]),
        stored: format!("{stored:?}"),
        computed: format!("{computed:?}"),
    }
}

async fn insert_game(
    connection: &mut SqliteConnection,
    group: i64,
    (judged, attempt): (&GameJudged, i64),
) -> Result<i64, RecordError> {
    let n = judged.actions.len();
    let verdicts = &judged.verdicts;
    let large = n > VERDICT_ROWS_ACTIONS_MAX;
    let matrix: Option<Vec<u8>> =
        large.then(|| verdicts.iter().flat_map(|verdict| verdict.probability.to_le_bytes()).collect());
    let note = large.then(|| large_note(n, verdicts, judged.attributes_dropped));
    let id = sqlx::query(
        "INSERT INTO judged_game (batch_group, game, attempt, actions, matrix, note) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(group)
    .bind(stored_count(judged.game))
    .bind(attempt)
    .bind(stored_count(n))
    .bind(matrix)
    .bind(note)
    .execute(&mut *connection)
    .await
    .doing(DOING)?
    .last_insert_rowid();
    for (position, name) in judged.actions.iter().enumerate() {
        sqlx::query("INSERT INTO judged_action (judged_game, position, name) VALUES (?, ?, ?)")
            .bind(id)
            .bind(stored_count(position))
            .bind(name)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    if !large {
        insert_verdicts(connection, id, n, verdicts).await?;
    }
    Ok(id)
}

fn large_note(n: usize, verdicts: &[PairVerdict], dropped: u64) -> String {
    let attributes = verdicts.iter().map(|verdict| verdict.attributes.len() as u64).sum::<u64>() + dropped;
    format!(
        "{n} actions are more than {VERDICT_ROWS_ACTIONS_MAX}: the {} probabilities are in `matrix` (little-endian f64, \
         row by row), {attributes} attributes were not kept",
        verdicts.len()
    )
}

async fn insert_verdicts(
    connection: &mut SqliteConnection,
    game: i64,
    n: usize,
    verdicts: &[PairVerdict],
) -> Result<(), RecordError> {
    let pair = |place: usize| (stored_count(place / n), stored_count(place % n));
    let rows: Vec<Verdict> = verdicts
        .iter()
        .enumerate()
        .map(|(place, verdict)| {
            let (first, second) = pair(place);
            Verdict { game, first, second, probability: verdict.probability }
        })
        .collect();
    let mut attributes = Vec::new();
    for (place, verdict) in verdicts.iter().enumerate() {
        let (first, second) = pair(place);
        for (position, attribute) in verdict.attributes.iter().enumerate() {
            attributes.push(Attribute {
                game,
                first,
                second,
                position: stored_count(position),
                name: attribute.name.clone(),
                value: attribute.value,
                reason: attribute.reason.clone(),
            });
        }
    }
    insert_all(connection, &rows, DOING).await?;
    insert_all(connection, &attributes, DOING).await
}

async fn link(connection: &mut SqliteConnection, judged: &GameJudged, id: i64) -> Result<(), RecordError> {
    for run in &judged.runs {
        sqlx::query("INSERT OR IGNORE INTO judged_game_run (run, judged_game) VALUES (?, ?)")
            .bind(run)
            .bind(id)
            .execute(&mut *connection)
            .await
            .doing(DOING)?;
    }
    Ok(())
}

async fn stored_probabilities(connection: &mut SqliteConnection, id: i64, n: usize) -> Result<Vec<f64>, RecordError> {
    let matrix: Option<Vec<u8>> = sqlx::query_scalar("SELECT matrix FROM judged_game WHERE id = ?")
        .bind(id)
        .fetch_one(&mut *connection)
        .await
        .doing(DOING)?;
    let stored: Vec<f64> = match matrix {
        Some(bytes) => bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        None => sqlx::query_scalar("SELECT probability FROM verdict WHERE judged_game = ? ORDER BY first, second")
            .bind(id)
            .fetch_all(connection)
            .await
            .doing(DOING)?,
    };
    if stored.len() == n * n {
        Ok(stored)
    } else {
        Err(RecordError::Invalid {
            what: format!("a game of {n} actions has {} stored verdicts instead of n²", stored.len()),
        })
    }
}
