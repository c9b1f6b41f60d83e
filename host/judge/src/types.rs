//! What plugins are told and what they answer, as Rust types with the shapes of `sdk/wit/lab.wit`.
//!
//! Texts are shared (`Arc<str>`): a finite game asks about the same prompt n² times.

use std::sync::Arc;

use wasmtime::component::{ComponentType, Lift, Lower};

/// The metadata of something that has nothing to say: an empty JSON object.
pub const NO_METADATA: &str = "{}";

/// The answer of a `compare` or `score`.
pub(crate) type Outcomes<A> = Result<Vec<Result<A, ItemFailure>>, ItemFailure>;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: Arc<str>,
    /// What was said.
    pub content: Arc<str>,
}

/// One response to a prompt.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Response {
    /// The response itself.
    pub text: Arc<str>,
    /// Whether it ended by itself (an end-of-sequence token), not by the length limit.
    pub finished: bool,
    /// Tokens of the policy that wrote it; 0 where there are none (finite games).
    #[component(name = "token-count")]
    pub token_count: u32,
    /// JSON object; [`NO_METADATA`] where there is nothing to say.
    pub metadata: Arc<str>,
}

impl Response {
    /// A finished response without tokens and metadata, as on finite games.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), finished: true, token_count: 0, metadata: NO_METADATA.into() }
    }
}

/// Two responses to be compared.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Comparison {
    /// The prompt as plain text.
    pub prompt: Arc<str>,
    /// The prompt as a conversation; empty on finite games.
    pub messages: Arc<[Message]>,
    /// JSON object of the data row; [`NO_METADATA`] where there is none.
    pub metadata: Arc<str>,
    /// The response whose probability of being preferred is asked for.
    pub first: Response,
    /// The other one.
    pub second: Response,
    /// The only randomness a plugin has; 0 on finite games.
    pub draw: u64,
}

impl Comparison {
    /// A comparison of two plain texts, with `draw` 0.
    pub fn from_texts(prompt: impl Into<Arc<str>>, first: impl Into<Arc<str>>, second: impl Into<Arc<str>>) -> Self {
        Self {
            prompt: prompt.into(),
            messages: Arc::new([]),
            metadata: NO_METADATA.into(),
            first: Response::from_text(first),
            second: Response::from_text(second),
            draw: 0,
        }
    }

    /// The same two responses the other way round.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self { first: self.second.clone(), second: self.first.clone(), ..self.clone() }
    }
}

/// One response to be scored.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Candidate {
    /// The prompt as plain text.
    pub prompt: Arc<str>,
    /// The prompt as a conversation; empty on finite games.
    pub messages: Arc<[Message]>,
    /// JSON object of the data row; [`NO_METADATA`] where there is none.
    pub metadata: Arc<str>,
    /// The response whose reward is asked for.
    pub response: Response,
    /// The only randomness a plugin has; 0 on finite games.
    pub draw: u64,
}

impl Candidate {
    /// A plain text to be scored, with `draw` 0.
    pub fn from_text(prompt: impl Into<Arc<str>>, response: impl Into<Arc<str>>) -> Self {
        Self {
            prompt: prompt.into(),
            messages: Arc::new([]),
            metadata: NO_METADATA.into(),
            response: Response::from_text(response),
            draw: 0,
        }
    }
}

/// A criterion's vote: why, not only what.
#[derive(Clone, Debug, PartialEq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Attribute {
    /// The criterion.
    pub name: String,
    /// For a verdict: the vote for the first response, in [0, 1]. For a score: the criterion's own reward, finite.
    pub value: f64,
    /// In words; may be empty.
    pub reason: String,
}

/// A judge's answer to one [`Comparison`].
#[derive(Clone, Debug, PartialEq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Verdict {
    /// p(first ≻ second), in [0, 1].
    pub probability: f64,
    /// The criteria behind it; may be empty.
    pub attributes: Vec<Attribute>,
}

/// A reward model's answer to one [`Candidate`].
#[derive(Clone, Debug, PartialEq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Score {
    /// The reward, finite.
    pub value: f64,
    /// The criteria behind it; may be empty.
    pub attributes: Vec<Attribute>,
}

/// What a guest said it cannot judge: an explicit outcome, never 0.5.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct ItemFailure {
    /// One sentence: what is wrong, with what.
    pub reason: String,
}

/// Which policy a sample belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Role {
    /// The Leader: its score is p.
    #[component(name = "leader")]
    Leader,
    /// The Follower: its score is 1 − p.
    #[component(name = "follower")]
    Follower,
}

/// One sample whose baseline is asked for.
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Sample {
    /// Which prompt; 0 on finite games.
    #[component(name = "prompt-id")]
    pub prompt_id: u64,
    /// Whose score it is.
    pub role: Role,
    /// The training step, from 1.
    pub step: u64,
    /// The score.
    pub reward: f64,
}
