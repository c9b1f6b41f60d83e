//! What a plugin may ask of a model that it was granted, and what comes back.
//!
//! The same for a model on the run's device and for one behind a server: a plugin cannot tell them apart.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Message;

/// What stands before a continuation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModelContext {
    /// A conversation, rendered by the model's own chat template, with the assistant's turn opened.
    Conversation(Vec<Message>),
    /// A text as it is.
    Raw(String),
}

/// A choice among continuations: asked for the log-probability of each.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChoiceItem {
    /// What stands before all of them.
    pub context: ModelContext,
    /// At least two, none empty, none twice.
    pub continuations: Vec<String>,
    /// The randomness of sampled answers, where frequencies stand for probabilities.
    pub draw: u64,
}

/// What a choice may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Evidence {
    /// Log-probabilities alone.
    LogProbabilities,
    /// Log-probabilities, or, from a model that gives none, how often each continuation begins so many sampled answers.
    FrequencyOf(u32),
}

/// The log-probability of each continuation, in nats, given the context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// One a continuation, in order; −∞ only where a frequency is 0.
    pub log_probabilities: Vec<f64>,
    /// Answers that were sampled, where these are frequencies; 0 where they are log-probabilities.
    pub sampled: u32,
}

/// A completion that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionItem {
    /// What is completed.
    pub context: ModelContext,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCompletion {
    /// The text, without what ended it.
    pub text: String,
    /// Whether it ended by itself, not by the limit.
    pub finished: bool,
    /// Tokens, as the model counts them; 0 where it does not say.
    pub token_count: u32,
}

/// One number of a reward head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedValue {
    /// The label's name.
    pub name: String,
    /// Finite.
    pub value: f64,
}

/// A text as a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Finite numbers.
    pub vector: Vec<f64>,
    /// How the vectors of tokens became one: `mean`, `last`, or `server` where a server does not say.
    pub pooling: String,
}

/// A batch of one kind of question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ModelCall {
    /// Log-probabilities of continuations.
    Choose(Vec<ChoiceItem>, Evidence),
    /// Completions.
    Complete(Vec<CompletionItem>),
    /// Reward heads, of conversations that end with a response.
    Score(Vec<Vec<Message>>),
    /// Vectors of texts.
    Embed(Vec<String>),
}

impl ModelCall {
    /// Items in it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Choose(items, _) => items.len(),
            Self::Complete(items) => items.len(),
            Self::Score(items) => items.len(),
            Self::Embed(items) => items.len(),
        }
    }

    /// Whether it asks nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its name in messages and in the record.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Choose(..) => "choose",
            Self::Complete(_) => "complete",
            Self::Score(_) => "score",
            Self::Embed(_) => "embed",
        }
    }
}

/// What came of a batch: as many outcomes as there were items, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ModelReply {
    /// Of [`ModelCall::Choose`].
    Chosen(Vec<Result<Choice, ModelFault>>),
    /// Of [`ModelCall::Complete`].
    Completed(Vec<Result<ModelCompletion, ModelFault>>),
    /// Of [`ModelCall::Score`].
    Scored(Vec<Result<Vec<NamedValue>, ModelFault>>),
    /// Of [`ModelCall::Embed`].
    Embedded(Vec<Result<Embedding, ModelFault>>),
}

impl ModelReply {
    /// The same fault for every item of a call.
    #[must_use]
    pub fn fault(call: &ModelCall, fault: &ModelFault) -> Self {
        match call {
            ModelCall::Choose(items, _) => Self::Chosen(items.iter().map(|_| Err(fault.clone())).collect()),
            ModelCall::Complete(items) => Self::Completed(items.iter().map(|_| Err(fault.clone())).collect()),
            ModelCall::Score(items) => Self::Scored(items.iter().map(|_| Err(fault.clone())).collect()),
            ModelCall::Embed(items) => Self::Embedded(items.iter().map(|_| Err(fault.clone())).collect()),
        }
    }
}

impl ModelReply {
    /// All faults in it.
    #[must_use]
    pub fn faults(&self) -> Vec<&ModelFault> {
        fn of<T>(outcomes: &[Result<T, ModelFault>]) -> Vec<&ModelFault> {
            outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect()
        }
        match self {
            Self::Chosen(outcomes) => of(outcomes),
            Self::Completed(outcomes) => of(outcomes),
            Self::Scored(outcomes) => of(outcomes),
            Self::Embedded(outcomes) => of(outcomes),
        }
    }
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No answer within the time.
    TimeOut,
    /// Nobody answers, or the answer is a refusal.
    Refused,
    /// The answer is none.
    Malformed,
    /// The budget is spent.
    OverBudget,
    /// This model, or its server, cannot do it.
    NotSupported,
    /// More than a limit allows.
    TooLarge,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::TimeOut, Self::Refused, Self::Malformed, Self::OverBudget, Self::NotSupported, Self::TooLarge];

    /// As the record has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TimeOut => "time_out",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::OverBudget => "over_budget",
            Self::NotSupported => "not_supported",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why an item has no answer: the plugin passes it on, and never makes a number of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct ModelFault {
    /// Its kind.
    pub kind: FaultKind,
    /// One sentence.
    pub reason: String,
}

impl ModelFault {
    /// A fault in a sentence.
    pub fn new(kind: FaultKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

/// What a use of models cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUsage {
    /// Calls of plugins.
    pub calls: u64,
    /// Their items.
    pub items: u64,
    /// Items whose reply was known: from the record, or on a device from earlier in the same process.
    pub cache_hits: u64,
    /// Requests to a server; 0 on a device.
    pub requests: u64,
    /// Of these, those that had to be made again.
    pub retries: u64,
    /// Tokens that were read.
    pub prompt_tokens: u64,
    /// Tokens that were written.
    pub completion_tokens: u64,
    /// Milliseconds, summed over requests that ran side by side.
    pub milliseconds: u64,
    /// Items that ended in a fault, by [`FaultKind::ALL`].
    pub faults: [u64; 6],
}

impl ModelUsage {
    /// Counts a fault.
    pub fn add_fault(&mut self, kind: FaultKind) {
        if let Some(place) = FaultKind::ALL.iter().position(|known| *known == kind) {
            self.faults[place] += 1;
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.items += other.items;
        self.cache_hits += other.cache_hits;
        self.requests += other.requests;
        self.retries += other.retries;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.milliseconds += other.milliseconds;
        for (own, more) in self.faults.iter_mut().zip(other.faults) {
            *own += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_by_kind() {
        let mut usage = ModelUsage::default();
        for kind in FaultKind::ALL {
            usage.add_fault(kind);
        }
        usage.add_fault(FaultKind::Malformed);
        let mut twice = usage;
        twice.add(&usage);
        assert_eq!((usage.faults, twice.faults), ([1, 1, 2, 1, 1, 1], [2, 2, 4, 2, 2, 2]));
    }

    #[test]
    fn a_fault_of_all_has_an_outcome_for_each_item() {
        let fault = ModelFault::new(FaultKind::Refused, "no");
        let call = ModelCall::Embed(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(ModelReply::fault(&call, &fault), ModelReply::Embedded(vec![Err(fault.clone()), Err(fault)]));
        assert_eq!((call.len(), call.name(), call.is_empty()), (2, "embed", false));
    }
}
