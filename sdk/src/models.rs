//! Models that an experiment grants to a plugin by name: `[judge.models.NAME]`.
//!
//! A plugin asks in batches, and never knows whether a model is on the run's device or behind a server. Whatever has no answer is a
//! [`Fault`], which becomes a [`Failure`] with `?`: never a number of the plugin's own.

use std::fmt;

use crate::{Failure, Message};

/// What stands before a continuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// Rendered by the model's own chat template, with the assistant's turn opened.
    Conversation(Vec<Message>),
    /// As it is.
    Raw(String),
}

impl Context {
    /// A conversation of one message of the user's.
    pub fn asked(question: impl Into<String>) -> Self {
        Self::Conversation(vec![Message { role: "user".to_owned(), content: question.into() }])
    }
}

/// A choice among continuations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceItem {
    /// What stands before all of them.
    pub context: Context,
    /// At least two, none empty, none twice. Short ones that the model's tokenizer makes one token of are best.
    pub continuations: Vec<String>,
    /// Randomness, where frequencies stand for probabilities.
    pub draw: u64,
}

/// What a choice may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Log-probabilities alone.
    LogProbabilities,
    /// Where a model gives none: how often so many sampled answers begin with each continuation.
    FrequencyOf(u32),
}

/// The log-probability of each continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// One a continuation, in nats; −∞ only where a frequency is 0.
    pub log_probabilities: Vec<f64>,
    /// Answers that were sampled; 0 where these are log-probabilities.
    pub sampled: u32,
}

impl Choice {
    /// Each continuation's share of what all of them have together.
    pub fn shares(&self) -> Vec<f64> {
        let largest = self.log_probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = self.log_probabilities.iter().map(|value| (value - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }
}

/// A completion that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletionItem {
    /// What is completed.
    pub context: Context,
    /// Tokens at most.
    pub max_new_tokens: u32,
    /// 0: the most likely token each time.
    pub temperature: f64,
    /// In (0, 1].
    pub top_p: f64,
    /// The randomness of a sampled completion.
    pub draw: u64,
}

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// Whether it ended by itself, not by the limit.
    pub finished: bool,
    /// Tokens; 0 where nobody counted them.
    pub token_count: u32,
}

/// One value of a reward head.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedValue {
    /// The label.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// A text as a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The vector.
    pub vector: Vec<f64>,
    /// `mean`, `last`, or `server` where a server does not say.
    pub pooling: String,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No answer within the time.
    TimeOut,
    /// Nobody answers, or the answer is a refusal.
    Refused,
    /// The answer is none.
    Malformed,
    /// The budget is spent.
    OverBudget,
    /// This model cannot do it.
    NotSupported,
    /// More than a limit allows.
    TooLarge,
}

/// Why an item has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// One sentence.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(fault.reason)
    }
}

/// An outcome an item, in order.
pub type Answers<T> = Vec<Result<T, Fault>>;

/// The granted models: the host's in a plugin, one of a test's own natively.
///
/// Ask once, for the whole batch: items are answered side by side, and share what they begin with.
pub trait Models {
    /// Names of the models that were granted, in alphabetical order.
    fn granted(&self) -> Vec<String>;

    /// The log-probability of each continuation.
    fn choose(&self, model: &str, items: Vec<ChoiceItem>, evidence: Evidence) -> Answers<Choice>;

    /// Completions.
    fn complete(&self, model: &str, items: Vec<CompletionItem>) -> Answers<Completion>;

    /// The values of a reward head, of conversations that end with a response.
    fn score(&self, model: &str, conversations: Vec<Vec<Message>>) -> Answers<Vec<NamedValue>>;

    /// Vectors.
    fn embed(&self, model: &str, texts: Vec<String>) -> Answers<Embedding>;

    /// The one model that was granted, for a plugin that needs one and leaves its name to the experiment.
    fn only(&self) -> Result<String, Failure> {
        match <[String; 1]>::try_from(self.granted()) {
            Ok([name]) => Ok(name),
            Err(names) if names.is_empty() => {
                Err("no model was granted: add a table [judge.models.NAME] with path or server".into())
            }
            Err(names) => {
                Err(format!("{} models were granted ({}), and this plugin asks one", names.len(), names.join(", "))
                    .into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_the_continuations_have_together() {
        let check = |log_probabilities: [f64; 2], expected: [f64; 2]| {
            let shares = Choice { log_probabilities: log_probabilities.to_vec(), sampled: 0 }.shares();
            assert!(shares.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-12), "{shares:?}");
        };
        check([-1.0, -1.0], [0.5, 0.5]);
        check([-900.0, -900.0 + 3.0_f64.ln()], [0.25, 0.75]);
        check([0.0, f64::NEG_INFINITY], [1.0, 0.0]);
    }
}
