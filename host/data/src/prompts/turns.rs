//! Lists of messages, as data sets have them.

use serde_json::Value;
use slhf_plan::Message;

/// What chat templates print besides a message's text. A template is given the text alone here, and a prompt without the rest is
/// another prompt.
const PRINTED: [&str; 4] = ["tool_calls", "function_call", "reasoning_content", "thinking"];

/// The messages of a list; the error is what is wrong, and with which.
///
/// An empty system message says nothing and is left out. Null is an empty text; but where a message says something under another
/// key it is refused, and so is what a chat template would print of it. Other keys (`name`, `weight`) are not looked at.
pub fn conversation(turns: Vec<Value>) -> Result<Vec<Message>, String> {
    let mut messages = turns.into_iter().zip(1..).map(message).collect::<Result<Vec<Message>, String>>()?;
    if messages.first().is_some_and(|first| first.role == "system" && first.content.trim().is_empty()) {
        messages.remove(0);
    }
    Ok(messages)
}

fn message((turn, place): (Value, usize)) -> Result<Message, String> {
    let Value::Object(mut turn) = slhf_json::without_marks(turn) else {
        return Err(format!("message {place} is no object; expected {{role, content}}"));
    };
    // Tables have every key in every message.
    turn.retain(|_, value| !value.is_null());
    let without = |name: &str| format!("message {place} has no text \"{name}\"");
    let Some(Value::String(role)) = turn.remove("role") else { return Err(without("role")) };
    if let Some(key) = PRINTED.into_iter().find(|key| turn.get(*key).is_some_and(says_something)) {
        return Err(format!("message {place} has \"{key}\", which no chat template is given here; remove it"));
    }
    match turn.remove("content") {
        Some(Value::String(content)) => Ok(Message { role, content }),
        None if turn.is_empty() => Ok(Message { role, content: String::new() }),
        _ => Err(without("content")),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}
