//! Files of conversations that end with a response, as they are scored.

use std::path::Path;

use serde_json::{Map, Value};
use slhf_plan::Message;

use crate::DataError;
use crate::error::Source;
use crate::prompts::{self, bytes_of, objects, unpacked};

/// Reads a file of JSON objects, one a line, each with `messages` that end with an assistant's, or with a `prompt` (a text, or
/// messages) and a `response`.
pub fn read_conversations(path: &Path) -> Result<Vec<Vec<Message>>, DataError> {
    let file = path.display().to_string();
    let bytes = bytes_of(Source { file: &file }, path)?;
    parse_conversations(&file, bytes)
}

/// Likewise, of a file's content; `file` serves messages.
pub fn parse_conversations(file: &str, bytes: Vec<u8>) -> Result<Vec<Vec<Message>>, DataError> {
    let source = Source { file };
    let mut conversations = Vec::new();
    for line in objects(source, &unpacked(source, bytes)?)? {
        let (row, object) = line?;
        conversations.push(conversation(&object).map_err(|problem| source.row(row, problem))?);
    }
    if conversations.is_empty() {
        return Err(source.whole("the file has no conversation"));
    }
    Ok(conversations)
}

fn conversation(object: &Map<String, Value>) -> Result<Vec<Message>, String> {
    let given = |key: &str| object.get(key).filter(|value| !value.is_null());
    let turns = |key: &str, turns: &[Value]| {
        prompts::conversation(turns.to_vec()).map_err(|problem| format!("\"{key}\": {problem}"))
    };
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let prompt = match (given("messages"), given("prompt")) {
        (Some(Value::Array(list)), None) => {
            let messages = turns("messages", list)?;
            let ends = messages.last().is_some_and(|message| message.role == "assistant");
            return if ends {
                Ok(messages)
            } else {
                Err("\"messages\" must end with an assistant's message".to_owned())
            };
        }
        (None, Some(Value::Array(list))) => turns("prompt", list)?,
        (None, Some(Value::String(text))) => vec![message("user", text)],
        _ => {
            return Err(
                "expected either \"messages\" that end with a response, or \"prompt\" (a text or messages) and \
                        \"response\""
                    .to_owned(),
            );
        }
    };
    let response = given("response").and_then(Value::as_str);
    let response = response.ok_or_else(|| "there is no text under \"response\"".to_owned())?;
    Ok([prompt, vec![message("assistant", response)]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Vec<(String, String)>, String> {
        let found = parse_conversations("rows.jsonl", line.as_bytes().to_vec()).map_err(|error| error.to_string())?;
        Ok(found.into_iter().flatten().map(|message| (message.role, message.content)).collect())
    }

    #[test]
    fn rows_are_messages_or_a_prompt_with_its_response() {
        let expected = ["user", "assistant"].map(|role| (role.to_owned(), role[..1].to_owned())).to_vec();
        for line in [
            r#"{"prompt": "u", "response": "a"}"#,
            r#"{"prompt": [{"role": "user", "content": "u"}], "response": "a", "source": "ours"}"#,
            r#"{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}"#,
        ] {
            assert_eq!(parsed(line), Ok(expected.clone()), "{line}");
        }
    }

    #[test]
    fn a_row_that_is_none_names_itself() {
        for (line, part) in [
            (r#"{"messages": [{"role": "user", "content": "u"}]}"#, "must end with an assistant's message"),
            (r#"{"messages": []}"#, "must end with an assistant's message"),
            (r#"{"prompt": "u"}"#, "there is no text under \"response\""),
            (r#"{"prompt": [3], "response": "a"}"#, "\"prompt\": message 1 is no object"),
            (r#"{"response": "a"}"#, "expected either \"messages\""),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains("rows.jsonl") && error.contains('1') && error.contains(part), "{error}");
        }
    }
}
