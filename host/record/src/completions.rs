//! Sampled completions of a run, with what the judge said of them.

use std::collections::HashMap;

use slhf_plan::{PromptId, Role};
use sqlx::FromRow;

use crate::error::Doing as _;
use crate::{Record, RecordError};

/// A sampled completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The step it was sampled at.
    pub step: i64,
    /// Within the step.
    pub position: i64,
    /// Who gave it, in training or on a held-out prompt.
    pub role: Role,
    /// Round of refinement, from 0.
    pub round: i64,
    /// Which prompt; `None` in completions that earlier versions recorded.
    pub prompt_id: Option<PromptId>,
    /// The prompt's last message.
    pub prompt: String,
    /// The completion.
    pub text: String,
    /// Whether it ended by itself.
    pub finished: bool,
    /// Its length.
    pub tokens: i64,
    /// The judge's p(this ≻ its opponent).
    pub probability: Option<f64>,
    /// What it was rewarded with in training; `None`: nobody was asked, or it failed, or an earlier version recorded it.
    pub reward: Option<f64>,
    /// Why it was not rewarded.
    pub reward_failure: Option<String>,
    /// Criterion, vote, reason; of a reward: criterion, its value, reason.
    pub attributes: Vec<Attribute>,
}

#[derive(FromRow)]
struct CompletionColumns {
    step: i64,
    position: i64,
    role: String,
    round: i64,
    prompt_id: Option<String>,
    prompt: String,
    text: String,
    finished: bool,
    tokens: i64,
    probability: Option<f64>,
    reward: Option<f64>,
    reward_failure: Option<String>,
}

impl CompletionColumns {
    fn with(self, attributes: Vec<Attribute>) -> Result<Completion, RecordError> {
        let prompt_id =
            self.prompt_id.as_deref().map(str::parse).transpose().map_err(|error| RecordError::Invalid {
                what: format!("completion {} of step {}: its prompt_id: {error}", self.position, self.step),
            })?;
        Ok(Completion {
            step: self.step,
            position: self.position,
            role: Role::parse(&self.role),
            round: self.round,
            prompt_id,
            prompt: self.prompt,
            text: self.text,
            finished: self.finished,
            tokens: self.tokens,
            probability: self.probability,
            reward: self.reward,
            reward_failure: self.reward_failure,
            attributes,
        })
    }
}

/// Criterion, vote, reason.
type Attribute = (String, Option<f64>, String);

/// Position, role, round.
type Place = (i64, String, i64);

type AttributeColumns = (i64, String, i64, String, Option<f64>, String);

impl Record {
    /// The steps at which completions were recorded, ascending.
    pub fn completion_steps(&mut self, run: i64) -> Result<Vec<i64>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT DISTINCT step FROM completions WHERE run = ? ORDER BY step")
                .bind(run)
                .fetch_all(connection)
                .await
                .doing("reading completions")
        })
    }

    /// All completions of one step, by position.
    pub fn completions(&mut self, run: i64, step: i64) -> Result<Vec<Completion>, RecordError> {
        let doing = "reading completions";
        self.block(async |connection| {
            let rows: Vec<CompletionColumns> = sqlx::query_as(
                "SELECT step, position, role, round, prompt_id, prompt, text, finished, tokens, probability, reward, \
                 reward_failure FROM completions \
                 WHERE run = ? AND step = ? ORDER BY role LIKE 'held-out/%', position, round, role DESC",
            )
            .bind(run)
            .bind(step)
            .fetch_all(&mut *connection)
            .await
            .doing(doing)?;
            let attributes: Vec<AttributeColumns> = sqlx::query_as(
                "SELECT position, role, round, name, value, reason FROM completion_attribute \
                 WHERE run = ? AND step = ? ORDER BY position, role, round, place",
            )
            .bind(run)
            .bind(step)
            .fetch_all(connection)
            .await
            .doing(doing)?;
            let mut by_completion: HashMap<Place, Vec<Attribute>> = HashMap::new();
            for (position, role, round, name, value, reason) in attributes {
                by_completion.entry((position, role, round)).or_default().push((name, value, reason));
            }
            let completion = |row: CompletionColumns| {
                let attributes = by_completion.remove(&(row.position, row.role.clone(), row.round));
                row.with(attributes.unwrap_or_default())
            };
            rows.into_iter().map(completion).collect()
        })
    }

    /// The plans that were frozen with a run: of all batch groups of its execution, as JSON, in their order.
    pub fn plans_frozen_with(&mut self, run: i64) -> Result<Vec<String>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar(
                "SELECT g.frozen FROM batch_group g WHERE g.execution = \
                 (SELECT c.execution FROM run r JOIN cell c ON c.id = r.cell WHERE r.id = ?) ORDER BY g.number",
            )
            .bind(run)
            .fetch_all(connection)
            .await
            .doing("reading the plans that were frozen with a run")
        })
    }

    /// The plan that was frozen for a run, as JSON; `None` for a run that another one answered.
    pub fn frozen_plan(&mut self, run: i64) -> Result<Option<String>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT g.frozen FROM run r JOIN batch_group g ON g.id = r.batch_group WHERE r.id = ?")
                .bind(run)
                .fetch_optional(connection)
                .await
                .doing("reading a frozen plan")
        })
    }
}
