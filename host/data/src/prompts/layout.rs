//! From the rows of a file to prompts: which keys hold what in each layout.

use serde_json::{Map, Value};
use slhf_json::kind;
use slhf_plan::{Message, PromptLayout};

use super::implicit;
use super::lines::Numbered;
use super::row::PromptRow;
use super::turns::conversation;
use crate::DataError;
use crate::error::Source;

/// `HelpSteer2` writes the turns of a conversation into one text, each but the first behind this mark and its role.
const TURN_MARK: &str = "<extra_id_1>";

/// Keys of `HelpSteer2` that belong to an answer, not to the prompt.
const ANSWER_KEYS: [&str; 6] = ["response", "helpfulness", "correctness", "coherence", "complexity", "verbosity"];

/// What is expected of a row beside `prompt`.
const PLAIN_KEYS: &str = " (text) or \"messages\" (a list of {role, content})";

/// The prompt of a row.
pub(crate) fn prompt(
    source: Source<'_>,
    layout: PromptLayout,
    (number, object): Numbered,
) -> Result<PromptRow, DataError> {
    let row = Row { source, number, object, nulls: Vec::new() };
    match layout {
        PromptLayout::HelpSteer2 => row.help_steer(),
        PromptLayout::UltraFeedback => row.ultra_feedback(),
        PromptLayout::Jsonl | PromptLayout::Parquet | PromptLayout::Text => row.plain(),
    }
}

struct Row<'a> {
    source: Source<'a>,
    number: usize,
    object: Map<String, Value>,
    /// Keys that were looked for and held null.
    nulls: Vec<&'static str>,
}

impl Row<'_> {
    /// Takes a field out of the row. One that is null counts as absent: where data sets are put together, a row has null in the
    /// columns that are another's.
    fn take(&mut self, key: &'static str) -> Option<Value> {
        let value = self.object.remove(key)?;
        if value.is_null() {
            self.nulls.push(key);
            return None;
        }
        Some(value)
    }

    /// `prompt` (text, or a list of messages) or `messages`; else what `chosen` and `rejected` begin with.
    fn plain(mut self) -> Result<PromptRow, DataError> {
        let (prompt, messages) = (self.take("prompt"), self.take("messages"));
        let key = if prompt.is_some() { "prompt" } else { "messages" };
        let messages = match (prompt, messages) {
            (Some(_), Some(_)) => {
                return Err(
                    self.wrong("messages", "the row has both \"prompt\" and \"messages\"; expected one of them")
                );
            }
            (Some(Value::Array(turns)), None) => self.turns("prompt", turns)?,
            (Some(prompt), None) => vec![user(self.text("prompt", prompt)?)],
            (None, Some(Value::Array(turns))) => self.turns("messages", turns)?,
            (None, Some(other)) => {
                return Err(
                    self.wrong("messages", format!("{} stands here; expected a list of messages", kind(&other)))
                );
            }
            (None, None) => return self.implicit("prompt", PLAIN_KEYS),
        };
        self.finish(key, messages)
    }

    /// The prompt that `chosen` and `rejected` begin with; else an error that names `key` and what else is `expected`.
    fn implicit(mut self, key: &str, expected: &str) -> Result<PromptRow, DataError> {
        if [&self.object.get("chosen"), &self.object.get("rejected")]
            .iter()
            .any(|answer| answer.is_none_or(Value::is_null))
        {
            return Err(self.without(key, expected));
        }
        let messages = match (self.take("chosen"), self.take("rejected")) {
            (Some(Value::Array(mut chosen)), Some(Value::Array(rejected))) => {
                chosen.truncate(implicit::turns(&chosen, &rejected));
                self.turns("chosen", chosen)?
            }
            (Some(Value::String(chosen)), Some(Value::String(rejected))) => {
                vec![user(implicit::text(&chosen, &rejected))]
            }
            (chosen, rejected) => {
                let [chosen, rejected] = [chosen, rejected].map(|answer| answer.as_ref().map_or("nothing", kind));
                let problem = format!(
                    "{chosen} and {rejected} stand under \"chosen\" and \"rejected\"; expected two texts or two lists of messages"
                );
                return Err(self.wrong("chosen", problem));
            }
        };
        // A table has null in this column where the row has none.
        if self.object.get("messages").is_some_and(Value::is_null) {
            self.object.remove("messages");
        }
        let is_empty = |message: &Message| message.content.trim().is_empty();
        if messages.iter().all(is_empty) {
            let problem =
                "\"chosen\" and \"rejected\" begin with no prompt that both have; expected it there, or a \"prompt\"";
            return Err(self.wrong("chosen", problem));
        }
        self.finish("chosen", messages)
    }

    fn help_steer(mut self) -> Result<PromptRow, DataError> {
        let Some(prompt) = self.take("prompt") else {
            return Err(self.without("prompt", ", the text that HelpSteer2 has there"));
        };
        let prompt = self.text("prompt", prompt)?;
        let mut parts = prompt.split(TURN_MARK);
        let mut messages = vec![user(parts.next().unwrap_or_default().trim_end().to_owned())];
        for part in parts {
            let (role, content) = part.split_once('\n').unwrap_or((part, ""));
            let role = role.trim().to_lowercase();
            // A mark at the very end asks for the answer.
            if role == "assistant" && content.trim().is_empty() {
                continue;
            }
            messages.push(Message { role, content: content.trim_end().to_owned() });
        }
        for key in ANSWER_KEYS {
            self.object.remove(key);
        }
        self.finish("prompt", messages)
    }

    fn ultra_feedback(mut self) -> Result<PromptRow, DataError> {
        self.object.remove("completions");
        if let Some(instruction) = self.take("instruction") {
            self.object.remove("chosen");
            self.object.remove("rejected");
            let instruction = self.text("instruction", instruction)?;
            return self.finish("instruction", vec![user(instruction)]);
        }
        let Some(prompt) = self.take("prompt") else {
            return self.implicit("instruction", " (the JSONL layout) or \"prompt\" (the Parquet layout)");
        };
        let prompt = self.text("prompt", prompt)?;
        let chosen = self.take("chosen");
        self.object.remove("rejected");
        self.object.remove("messages");
        // Only the answers' lists tell the turns of a longer conversation; their last turn is the answer.
        if let Some(Value::Array(chosen)) = chosen {
            let mut turns = self.turns("chosen", chosen)?;
            if turns.last().is_some_and(|turn| turn.role == "assistant") {
                turns.pop();
            }
            if turns.len() > 1 {
                return self.finish("chosen", turns);
            }
        }
        self.finish("prompt", vec![user(prompt)])
    }

    fn turns(&self, key: &str, turns: Vec<Value>) -> Result<Vec<Message>, DataError> {
        conversation(turns).map_err(|problem| self.wrong(key, problem))
    }

    fn text(&self, key: &str, value: Value) -> Result<String, DataError> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(key, format!("{} stands here; expected text", kind(&other)))),
        }
    }

    /// Checks the conversation; what is left of the row becomes metadata.
    fn finish(mut self, key: &str, messages: Vec<Message>) -> Result<PromptRow, DataError> {
        for (index, Message { role, content }) in messages.iter().enumerate() {
            let place = index + 1;
            if !["system", "user", "assistant"].contains(&role.as_str()) {
                let problem = format!("message {place} has the role \"{role}\"; expected system, user or assistant");
                return Err(self.wrong(key, problem));
            }
            if role == "system" && index > 0 {
                return Err(self.wrong(key, format!("message {place} is a system message; expected it first")));
            }
            // Of the history it is what was said; the last message is what is asked.
            if place == messages.len() && content.trim().is_empty() {
                return Err(self.wrong(key, format!("message {place} ({role}) is empty; expected text")));
            }
        }
        match messages.last() {
            Some(last) if last.role == "user" => {}
            Some(last) => {
                let problem = format!("the last message is of the role {}; a prompt ends with the user's", last.role);
                return Err(self.wrong(key, problem));
            }
            None => return Err(self.wrong(key, "the list of messages is empty; expected at least the user's")),
        }
        let id = match self.take("id") {
            None => self.number.to_string(),
            Some(Value::String(id)) => id,
            Some(Value::Number(id)) => id.to_string(),
            Some(other) => return Err(self.wrong("id", format!("{} stands here; expected text", kind(&other)))),
        };
        let metadata = slhf_json::without_marks(Value::Object(self.object)).to_string();
        Ok(PromptRow { id, messages, metadata })
    }

    fn wrong(&self, key: &str, problem: impl Into<String>) -> DataError {
        self.source.cell(self.number, 0, key, problem)
    }

    fn without(&self, key: &str, expected: &str) -> DataError {
        let found: Vec<String> = self.object.keys().take(8).map(|key| format!("\"{key}\"")).collect();
        let nulls: Vec<String> = self.nulls.iter().map(|key| format!("null under \"{key}\"")).collect();
        let found = [found, nulls].concat();
        let found = if found.is_empty() { "no keys".to_owned() } else { found.join(", ") };
        self.source.row(self.number, format!("the row has {found}; expected \"{key}\"{expected}"))
    }
}

fn user(content: String) -> Message {
    Message { role: "user".to_owned(), content }
}
