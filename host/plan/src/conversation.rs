//! Conversations: what a model goes on from, and what a judge is told of it.

use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// What a model goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptText {
    /// A conversation, rendered by the model's chat template with the generation prompt.
    Messages(Vec<Message>),
    /// The text as it is, with the tokenizer's own beginning-of-sequence token.
    Raw(String),
}

/// A prompt with what a judge is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPrompt {
    /// The conversation; the last message is the user's.
    pub messages: Vec<Message>,
    /// A JSON object.
    pub metadata: String,
}
