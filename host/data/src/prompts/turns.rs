//! Lists of messages, as data sets have them.

use serde_json::Value;
use slhf_plan::Message;

/// The messages of a list; the error is what is wrong, and with which.
///
/// An empty system message says nothing and is left out. Null is an empty text; but where a message says something under another
/// key, such as a call of a tool, it is refused.
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
    match turn.remove("content") {
        Some(Value::String(content)) => Ok(Message { role, content }),
        None if turn.is_empty() => Ok(Message { role, content: String::new() }),
        _ => Err(without("content")),
    }
}
