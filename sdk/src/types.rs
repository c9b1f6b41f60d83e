//! What a plugin is told and what it answers: plain Rust twins of the records in `wit/lab.wit`.

use serde::de::DeserializeOwned;

use crate::Failure;

/// One turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// One response to a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The text; on finite games the action's text, which is its name unless the game gives another.
    pub text: String,
    /// Whether it ended by itself (an end-of-sequence token), not by the length limit.
    pub finished: bool,
    /// Tokens of the policy that wrote it; 0 where there are none (finite games).
    pub token_count: u32,
    /// A JSON object: attributes of an action and the like; `{}` where there is nothing to say.
    pub metadata: String,
}

impl Response {
    /// A finished response without metadata.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), finished: true, token_count: 0, metadata: "{}".to_owned() }
    }

    /// The same response with this metadata, a JSON object.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The metadata, read as a type of the plugin's own (or as [`serde_json::Map`]).
    pub fn read_metadata<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.metadata).map_err(|error| {
            Failure::new(format!("the metadata of response {:?} cannot be read: {error}", short(&self.text)))
        })
    }
}

/// Two responses to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The prompt as plain text.
    pub prompt: String,
    /// The prompt as a conversation; empty on finite games.
    pub messages: Vec<Message>,
    /// A JSON object of the data row: instructions with arguments, references, …; `{}` where there is none.
    pub metadata: String,
    /// The first response: the verdict is the probability that this one is better.
    pub first: Response,
    /// The second response.
    pub second: Response,
    /// The only randomness a plugin has: derived by the host from (seed, step, row); 0 on finite games.
    pub draw: u64,
}

impl Comparison {
    /// A comparison with neither conversation, metadata nor randomness.
    pub fn new(prompt: impl Into<String>, first: Response, second: Response) -> Self {
        Self { prompt: prompt.into(), messages: Vec::new(), metadata: "{}".to_owned(), first, second, draw: 0 }
    }

    /// The same comparison with this metadata of the prompt, a JSON object.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The prompt's metadata, read as a type of the plugin's own (or as [`serde_json::Map`]).
    pub fn read_metadata<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.metadata).map_err(|error| {
            Failure::new(format!("the metadata of the prompt {:?} cannot be read: {error}", short(&self.prompt)))
        })
    }

    /// The same comparison with this draw.
    #[must_use]
    pub fn with_draw(mut self, draw: u64) -> Self {
        self.draw = draw;
        self
    }

    /// The same comparison with the responses exchanged.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self { first: self.second.clone(), second: self.first.clone(), ..self.clone() }
    }

    /// The first response as a candidate of its own, for a reward upstream.
    pub fn first_candidate(&self) -> Candidate {
        self.candidate(&self.first)
    }

    /// The second response as a candidate of its own, for a reward upstream.
    pub fn second_candidate(&self) -> Candidate {
        self.candidate(&self.second)
    }

    /// The conversation that ends with this response: what a reward model is asked about.
    pub fn conversation_with(&self, response: &Response) -> Vec<Message> {
        conversation(&self.messages, &self.prompt, response)
    }

    fn candidate(&self, response: &Response) -> Candidate {
        Candidate {
            prompt: self.prompt.clone(),
            messages: self.messages.clone(),
            metadata: self.metadata.clone(),
            response: response.clone(),
            draw: self.draw,
        }
    }
}

/// One response to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The prompt as plain text.
    pub prompt: String,
    /// The prompt as a conversation; empty on finite games.
    pub messages: Vec<Message>,
    /// A JSON object of the data row; `{}` where there is none.
    pub metadata: String,
    /// The response.
    pub response: Response,
    /// The only randomness a plugin has; 0 on finite games.
    pub draw: u64,
}

impl Candidate {
    /// A candidate with neither conversation, metadata nor randomness.
    pub fn new(prompt: impl Into<String>, response: Response) -> Self {
        Self { prompt: prompt.into(), messages: Vec::new(), metadata: "{}".to_owned(), response, draw: 0 }
    }

    /// The conversation that ends with the response: what a reward model is asked about.
    pub fn conversation(&self) -> Vec<Message> {
        conversation(&self.messages, &self.prompt, &self.response)
    }
}

/// A prompt that is plain text is one turn of the user's.
fn conversation(before: &[Message], prompt: &str, response: &Response) -> Vec<Message> {
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let mut messages = before.to_vec();
    if messages.is_empty() {
        messages.push(message("user", prompt));
    }
    messages.push(message("assistant", &response.text));
    messages
}

/// A criterion's vote: why, not only what.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The criterion.
    pub name: String,
    /// For a verdict: the vote for the first response, in [0, 1]. For a score: the criterion's own reward.
    pub value: f64,
    /// In words; may be empty.
    pub reason: String,
}

impl Attribute {
    /// An attribute without a reason in words.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, reason: String::new() }
    }

    /// The same attribute with this reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// p(first ≻ second), and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// p(first ≻ second), in [0, 1]; the host refuses anything else.
    pub probability: f64,
    /// The votes behind it.
    pub attributes: Vec<Attribute>,
}

impl Verdict {
    /// A verdict without attributes.
    pub fn new(probability: f64) -> Self {
        Self { probability, attributes: Vec::new() }
    }

    /// The same verdict with one more attribute.
    #[must_use]
    pub fn with(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }
}

/// r(prompt, response), and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The reward, finite; the host refuses anything else.
    pub value: f64,
    /// The criteria behind it.
    pub attributes: Vec<Attribute>,
}

impl Score {
    /// A score without attributes.
    pub fn new(value: f64) -> Self {
        Self { value, attributes: Vec::new() }
    }

    /// The same score with one more attribute.
    #[must_use]
    pub fn with(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }
}

/// Whose sample a baseline is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The Leader: its reward is p.
    Leader,
    /// The Follower: its reward is 1 − p.
    Follower,
}

/// One sample whose baseline is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The prompt's number.
    pub prompt_id: u64,
    /// Whose sample it is.
    pub role: Role,
    /// The training step.
    pub step: u64,
    /// Its reward: p for the Leader, 1 − p for the Follower.
    pub reward: f64,
}

/// The beginning of a text, for use in a sentence about it.
pub fn short(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not as intended.
    Warn,
    /// Wrong.
    Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_twice_changes_nothing() {
        let comparison =
            Comparison::new("Q", Response::new("a"), Response::new("b").with_metadata(r#"{"x":1}"#)).with_draw(7);
        assert_eq!(comparison.swapped().first, comparison.second);
        assert_eq!(comparison.swapped().swapped(), comparison);
    }

    #[test]
    fn candidates_carry_the_prompt_and_the_draw() {
        let comparison = Comparison::new("Q", Response::new("a"), Response::new("b")).with_draw(7);
        assert_eq!(comparison.first_candidate().response.text, "a");
        let second = comparison.second_candidate();
        assert_eq!((second.prompt.as_str(), second.response.text.as_str(), second.draw), ("Q", "b", 7));
    }

    #[test]
    fn unreadable_metadata_names_the_response() {
        let response = Response::new("an answer").with_metadata("{nope");
        let failure = response.read_metadata::<serde_json::Map<String, serde_json::Value>>().unwrap_err();
        assert!(failure.reason.starts_with("the metadata of response \"an answer\" cannot be read: "), "{failure}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short("short"), "short");
        assert_eq!(short(&"é".repeat(50)), format!("{}…", "é".repeat(40)));
    }

    #[test]
    fn a_conversation_ends_with_the_response() {
        let told = |messages: Vec<Message>| {
            messages.into_iter().map(|message| format!("{}: {}", message.role, message.content)).collect::<Vec<_>>()
        };
        let mut candidate = Candidate::new("Why?", Response::new("So."));
        assert_eq!(told(candidate.conversation()), ["user: Why?", "assistant: So."]);
        candidate.messages = vec![Message { role: "system".into(), content: "Be brief.".into() }];
        assert_eq!(told(candidate.conversation()), ["system: Be brief.", "assistant: So."]);
        let pair = Comparison::new("Why?", Response::new("a"), Response::new("b"));
        assert_eq!(told(pair.conversation_with(&pair.second)), ["user: Why?", "assistant: b"]);
    }
}
