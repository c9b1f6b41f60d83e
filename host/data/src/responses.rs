//! Files of responses: what somebody answered to prompts.
//!
//! ```
//! use slhf_data::responses::{Asked, parse_responses};
//! use slhf_plan::{Message, PromptId};
//!
//! let file = b"{\"prompt\": \"Why is the sky blue?\", \"response\": \"Air scatters blue light most.\"}\n";
//! let responses = parse_responses("answers.jsonl", file.to_vec())?;
//! let messages = [Message { role: "user".to_owned(), content: "Why is the sky blue?".to_owned() }];
//! let asked = Asked { id: Some(PromptId::new(&messages, "{}", 0)), messages: &messages };
//! assert_eq!(responses.to(&[asked])?, [Some("Air scatters blue light most.")]);
//! # Ok::<(), slhf_data::DataError>(())
//! ```

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slhf_plan::{Message, PromptId};

use crate::DataError;
use crate::error::Source;
use crate::prompts::{self, bytes_of, objects, unpacked};

/// A file of responses: a JSON object a line, compressed by gzip or not, with `response` and what names its prompt:
/// `prompt_id`, else `prompt` (the text of its last message, or the conversation as a list of messages), else `messages`. Other
/// fields are nobody's business here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responses {
    /// The file's name, for messages.
    pub file: String,
    /// SHA-256 of the file as it lies there, in hexadecimal.
    pub sha256: String,
    /// By the first line that names the prompt so.
    named: Vec<(Named, Vec<Line>)>,
}

/// How a line names its prompt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Named {
    Id(PromptId),
    Conversation(Vec<Message>),
    LastMessage(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    row: usize,
    response: String,
}

/// A prompt that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// `None`: an earlier version recorded it without.
    pub id: Option<PromptId>,
    /// Its conversation.
    pub messages: &'a [Message],
}

impl Responses {
    /// What was answered to each of the prompts that are asked. Lines about other prompts are left out.
    ///
    /// A line whose text (or conversation) is that of several prompts is refused where these are different conversations;
    /// prompts of one conversation are answered in their order by as many lines.
    pub fn to(&self, asked: &[Asked<'_>]) -> Result<Vec<Option<&str>>, DataError> {
        let source = Source { file: &self.file };
        let places = Places::of(asked);
        let mut answers: Vec<Option<&str>> = vec![None; asked.len()];
        for (named, lines) in &self.named {
            let found = places.named(named);
            matching(asked, found, lines).map_err(|(row, problem)| source.row(row, problem))?;
            for (place, line) in found.iter().zip(lines) {
                if answers[*place].replace(&line.response).is_some() {
                    return Err(source.row(line.row, TWICE));
                }
            }
        }
        Ok(answers)
    }
}

const TWICE: &str = "an earlier line has a response to this prompt already; keep one response to each";

/// Whether so many lines can be told to answer these prompts; else the row at fault and what is wrong.
fn matching(asked: &[Asked<'_>], found: &[usize], lines: &[Line]) -> Result<(), (usize, String)> {
    let (Some(first), Some(line)) = (found.first(), lines.first()) else { return Ok(()) };
    let may_differ = |place: &usize| asked[*place].id.is_none() || asked[*place].messages != asked[*first].messages;
    if found.len() > 1 && found.iter().any(may_differ) {
        let problem = format!(
            "{} of the prompts that are asked end with this text, and it does not tell which is meant; name the prompt by \
             \"prompt_id\" (`slhf-lab samples --format json` shows it) or by \"messages\", its conversation, in the place of \"prompt\"",
            found.len()
        );
        return Err((line.row, problem));
    }
    if let Some(more) = lines.get(found.len()) {
        return Err((more.row, TWICE.to_owned()));
    }
    if lines.len() < found.len() {
        let problem = format!(
            "this conversation is asked {} times and has {} responses; expected one each, in the order of the prompts",
            found.len(),
            lines.len()
        );
        return Err((line.row, problem));
    }
    Ok(())
}

/// Where prompts stand, by what can name them.
#[derive(Default)]
struct Places<'a> {
    by_id: HashMap<PromptId, Vec<usize>>,
    by_conversation: HashMap<&'a [Message], Vec<usize>>,
    /// Behind the system message.
    without_system: HashMap<&'a [Message], Vec<usize>>,
    by_last_message: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Places<'a> {
    fn of(asked: &[Asked<'a>]) -> Self {
        let mut places = Self::default();
        for (place, asked) in asked.iter().enumerate() {
            if let Some(id) = asked.id {
                places.by_id.entry(id).or_default().push(place);
            }
            places.by_conversation.entry(asked.messages).or_default().push(place);
            if let [Message { role, .. }, rest @ ..] = asked.messages
                && role == "system"
            {
                places.without_system.entry(rest).or_default().push(place);
            }
            if let Some(last) = asked.messages.last() {
                places.by_last_message.entry(&last.content).or_default().push(place);
            }
        }
        places
    }

    fn named(&self, named: &Named) -> &[usize] {
        let found = match named {
            Named::Id(id) => self.by_id.get(id),
            Named::Conversation(messages) => {
                let messages = messages.as_slice();
                self.by_conversation.get(messages).or_else(|| self.without_system.get(messages))
            }
            Named::LastMessage(text) => self.by_last_message.get(text.as_str()),
        };
        found.map_or(&[], Vec::as_slice)
    }
}

/// Reads a file of responses.
pub fn read_responses(path: &Path) -> Result<Responses, DataError> {
    let file = path.display().to_string();
    let bytes = bytes_of(Source { file: &file }, path)?;
    parse_responses(&file, bytes)
}

/// Likewise, of a file's content; `file` serves messages.
pub fn parse_responses(file: &str, bytes: Vec<u8>) -> Result<Responses, DataError> {
    let source = Source { file };
    let sha256 = slhf_files::sha256_hex(&bytes);
    let mut named: Vec<(Named, Vec<Line>)> = Vec::new();
    let mut places: HashMap<Named, usize> = HashMap::new();
    for line in objects(source, &unpacked(source, bytes)?)? {
        let (row, object) = line?;
        let wrong = |problem| source.row(row, problem);
        let line = Line { row, response: text(&object, "response").map_err(wrong)? };
        let place = *places.entry(prompt(&object).map_err(wrong)?).or_insert_with_key(|name| {
            named.push((name.clone(), Vec::new()));
            named.len() - 1
        });
        named[place].1.push(line);
    }
    if named.is_empty() {
        return Err(source.whole("the file has no response"));
    }
    Ok(Responses { file: file.to_owned(), sha256, named })
}

/// What a line says of its prompt.
fn prompt(object: &Map<String, Value>) -> Result<Named, String> {
    let given = |key: &str| object.get(key).filter(|value| !value.is_null());
    if given("prompt_id").is_some() {
        let id = text(object, "prompt_id")?.parse();
        return id.map(Named::Id).map_err(|error| format!("\"prompt_id\": {error}"));
    }
    match (given("prompt"), given("messages")) {
        (Some(Value::Array(turns)), _) => conversation("prompt", turns),
        (None, Some(Value::Array(turns))) => conversation("messages", turns),
        _ => text(object, "prompt").map(Named::LastMessage),
    }
}

fn conversation(key: &str, turns: &[Value]) -> Result<Named, String> {
    let messages = prompts::conversation(turns.to_vec());
    messages.map(Named::Conversation).map_err(|problem| format!("\"{key}\": {problem}"))
}

fn text(object: &Map<String, Value>, key: &str) -> Result<String, String> {
    let found = object.get(key).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("there is no text under \"{key}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(turns: &[&str]) -> Vec<Message> {
        let role = |place: usize| if place.is_multiple_of(2) { "user" } else { "assistant" };
        let message =
            |(place, text): (usize, &&str)| Message { role: role(place).to_owned(), content: (*text).to_owned() };
        turns.iter().enumerate().map(message).collect()
    }

    /// Conversations with their ids.
    fn prompts(turns: &[&[&str]]) -> Vec<(PromptId, Vec<Message>)> {
        let mut numbering = slhf_plan::PromptNumbering::default();
        let prompt = |turns: &&[&str]| {
            let messages = conversation(turns);
            (numbering.next_id(&messages, "{}"), messages)
        };
        turns.iter().map(prompt).collect()
    }

    fn answers(prompts: &[(PromptId, Vec<Message>)], lines: &[Value]) -> Result<Vec<Option<String>>, String> {
        let file: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let responses = parse_responses("a.jsonl", file.join("\n").into_bytes()).map_err(|error| error.to_string())?;
        let asked: Vec<Asked<'_>> = prompts.iter().map(|(id, messages)| Asked { id: Some(*id), messages }).collect();
        let found = responses.to(&asked).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|answer| answer.map(str::to_owned)).collect())
    }

    fn all(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn a_text_that_ends_two_conversations_names_neither() {
        let prompts = prompts(&[&["Cats?", "Purr.", "Why?"], &["Rain?", "Falls.", "Why?"], &["Tea?"]]);
        let line = |text: &str| serde_json::json!({ "prompt": "Why?", "response": text });
        for lines in [vec![line("a")], vec![line("a"), line("b")]] {
            let refused = answers(&prompts, &lines).unwrap_err();
            assert!(refused.contains("row 1: 2 of the prompts that are asked end with this text"), "{refused}");
        }
        let by_id = |place: usize, text: &str| serde_json::json!({ "prompt_id": prompts[place].0, "prompt": "Why?", "response": text });
        let by_conversation = serde_json::json!({ "messages": prompts[1].1, "response": "b" });
        let as_prompt = serde_json::json!({ "prompt": prompts[1].1, "response": "b" });
        let tea = serde_json::json!({ "prompt_id": null, "prompt": "Tea?", "response": "c" });
        for rain in [by_id(1, "b"), by_conversation, as_prompt] {
            assert_eq!(answers(&prompts, &[rain, tea.clone(), by_id(0, "a")]), Ok(all(&["a", "b", "c"])));
        }
    }

    #[test]
    fn equal_prompts_are_answered_in_their_order_and_by_as_many_lines() {
        let line = |text: &str| serde_json::json!({ "prompt": "Why?", "response": text });
        let prompts = prompts(&[&["Why?"], &["How?"], &["Why?"]]);
        let how = serde_json::json!({ "prompt": "How?", "response": "so" });
        assert_eq!(answers(&prompts, &[line("a"), line("b"), how.clone()]), Ok(all(&["a", "so", "b"])));
        let few = answers(&prompts, &[how, line("a")]).unwrap_err();
        assert!(few.contains("row 2: this conversation is asked 2 times and has 1 responses"), "{few}");
        let many = answers(&prompts, &[line("a"), line("b"), line("c")]).unwrap_err();
        assert!(many.contains("row 3: an earlier line has a response to this prompt already"), "{many}");
        // By another name.
        let again = serde_json::json!({ "prompt_id": prompts[2].0, "response": "d" });
        let many = answers(&prompts, &[line("a"), line("b"), again]).unwrap_err();
        assert!(many.contains("row 3: an earlier line has a response to this prompt already"), "{many}");
    }

    #[test]
    fn a_system_message_need_not_be_repeated() {
        let mut prompts = prompts(&[&["Why?"]]);
        let own = prompts[0].1.clone();
        prompts[0].1.insert(0, Message { role: "system".to_owned(), content: "Be brief.".to_owned() });
        for messages in [&own, &prompts[0].1] {
            let line = serde_json::json!({ "messages": messages, "response": "a" });
            assert_eq!(answers(&prompts, &[line]), Ok(all(&["a"])));
        }
    }

    #[test]
    fn an_empty_system_message_and_an_empty_turn_are_those_of_the_prompts() {
        let prompts = prompts(&[&["Hi", "", "Why?"]]);
        let mut messages = serde_json::json!(prompts[0].1);
        messages[1]["content"] = Value::Null;
        messages.as_array_mut().unwrap().insert(0, serde_json::json!({ "role": "system", "content": null }));
        let line = serde_json::json!({ "messages": messages, "response": "a" });
        assert_eq!(answers(&prompts, &[line]), Ok(all(&["a"])));
    }

    #[test]
    fn what_names_no_prompt_is_said() {
        let prompts = prompts(&[&["Why?"]]);
        let cases = [
            (serde_json::json!({ "response": "a" }), "there is no text under \"prompt\""),
            (serde_json::json!({ "prompt": "Why?" }), "there is no text under \"response\""),
            (
                serde_json::json!({ "prompt_id": "12", "response": "a" }),
                "\"prompt_id\": this is no prompt id; expected",
            ),
            (
                serde_json::json!({ "messages": [{ "role": "user", "text": "Why?" }], "response": "a" }),
                "row 1: \"messages\": message 1 has no text \"content\"",
            ),
        ];
        for (line, expected) in cases {
            let refused = answers(&prompts, &[line]).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
