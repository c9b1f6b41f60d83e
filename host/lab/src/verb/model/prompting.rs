//! What a model goes on from, and how it chooses tokens, as the command line takes them.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value as Json;
use slhf_plan::{Message, PromptText, Sampling};

use crate::failure::Failure;

/// How tokens are chosen. What is not given is left to the verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct SamplingArguments {
    /// Divides the logits; 0: the most likely token
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Only the K most likely tokens; 0: all
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Only the most likely tokens whose probabilities reach P
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Tokens of one response
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<u32>,
}

impl SamplingArguments {
    /// Whether nothing was asked for.
    pub(crate) fn is_usual(&self) -> bool {
        let Self { temperature, top_k, top_p, max_new_tokens } = self;
        temperature.is_none() && top_k.is_none() && top_p.is_none() && max_new_tokens.is_none()
    }

    /// What was asked for, over what is usual.
    pub(crate) fn over(&self, usual: Sampling) -> Result<Sampling, Failure> {
        let sampling = Sampling {
            temperature: self.temperature.unwrap_or(usual.temperature),
            top_k: self.top_k.unwrap_or(usual.top_k),
            top_p: self.top_p.unwrap_or(usual.top_p),
            max_new_tokens: self.max_new_tokens.unwrap_or(usual.max_new_tokens),
        };
        if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) {
            return bad("--temperature", sampling.temperature, "a finite number, not negative");
        }
        if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
            return bad("--top-p", sampling.top_p, "a number in (0, 1]");
        }
        if sampling.max_new_tokens == 0 {
            return bad("--max-new-tokens", 0, "at least 1");
        }
        Ok(sampling)
    }
}

fn bad<T>(option: &str, value: impl std::fmt::Display, expected: &str) -> Result<T, Failure> {
    Err(Failure::bad_input(format!("{option} {value}: expected {expected}")))
}

/// One user message through the chat template, or the text as it is.
pub(super) fn prompt(text: &str, raw: bool) -> PromptText {
    if raw { PromptText::Raw(text.to_owned()) } else { PromptText::Messages(vec![user(text)]) }
}

/// A user's message.
pub(crate) fn user(text: &str) -> Message {
    Message { role: "user".to_owned(), content: text.to_owned() }
}

/// Reads a conversation: a JSON list of `{role, content}`.
pub(crate) fn messages(file: &Path) -> Result<Vec<Message>, Failure> {
    let invalid = |problem: String| Failure::bad_input(format!("{}: {problem}", file.display()));
    let text = slhf_files::read_text(file, slhf_files::SETTINGS_BYTES_MAX)
        .map_err(|error| invalid(format!("cannot be read: {error}")))?;
    let expected = |error: String| invalid(format!("expected a JSON list of {{\"role\", \"content\"}}: {error}"));
    let messages = match slhf_json::read(text.as_bytes()).map_err(|error| expected(error.to_string()))? {
        Json::Array(turns) => slhf_data::prompts::conversation(turns).map_err(expected)?,
        other => return Err(expected(format!("{} stands here", slhf_json::kind(&other)))),
    };
    if messages.is_empty() {
        return Err(invalid("an empty list; expected at least one message".to_owned()));
    }
    for (index, message) in messages.iter().enumerate() {
        if !["system", "user", "assistant"].contains(&message.role.as_str()) {
            let role = crate::output::visible(&message.role);
            return Err(invalid(format!(
                "message {} has the role \"{role}\"; expected system, user or assistant",
                index + 1
            )));
        }
    }
    Ok(messages)
}

/// Either a text or a file.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct PromptArguments {
    /// One user message, through the chat template
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) prompt: Option<String>,
    /// A conversation: a JSON file with a list of {role, content}
    #[arg(long, value_name = "FILE.json")]
    pub(super) messages: Option<PathBuf>,
}
