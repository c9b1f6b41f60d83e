//! Pairs of responses, with or without what people prefer: one JSON object a row.
//!
//! | keys of a row | what it says |
//! | --- | --- |
//! | `chosen`, `rejected` (texts or lists of messages), with or without `prompt` | the chosen one is better |
//! | `prompt`, `responses` (two), `p_second` | the probability that the second is better |
//! | `prompt`, `responses` (two or more), `label` | which is best, by its place from 0; or a list with a number for each, higher is better |
//! | `prompt`, `responses` | nothing: unlabeled |
//!
//! `messages` (a conversation) may stand in the place of `prompt`. Rows about one prompt are put together. Equal responses are one response;
//! a row without two different ones says nothing and is counted.
//!
//! ```
//! let file = br#"{"prompt": "Why?", "chosen": "So.", "rejected": "No."}
//! {"prompt": "Why?", "responses": ["So.", "Ask."], "p_second": 0.25}
//! {"prompt": "How?", "responses": ["So.", "So."]}"#;
//! let pairs = slhf_data::pairs::parse_pairs("pairs.jsonl", file.to_vec())?;
//! assert_eq!(pairs.prompts[0].responses, ["So.", "No.", "Ask."]);
//! assert_eq!(pairs.prompts[0].labels[1].first_is_better, 0.75);
//! assert_eq!(pairs.rows_without_two, [3]);
//! # Ok::<(), slhf_data::DataError>(())
//! ```

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slhf_json::kind;
use slhf_plan::{Message, PromptLayout};

use crate::error::{DataError, Source};
use crate::prompts::{self, ROWS_MAX, bytes_of, objects, unpacked};

/// More responses to one prompt are refused: a judge is asked about all of their pairs.
pub const RESPONSES_MAX: usize = 16;
/// A row's key that says of this very pair what a judge said of it (`slhf-lab verdicts export`): no metadata of the prompt, so that rows of
/// one prompt stay together.
pub const RECORDED_VERDICT: &str = "recorded_verdict";
/// Keys of a row that say something of its responses and not of its prompt.
const OF_THE_PAIR: [&str; 3] = [RECORDED_VERDICT, "margin", "attributes"];

/// A file of pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// Its name, for messages.
    pub file: String,
    /// Of its bytes.
    pub sha256: String,
    /// In the order of the file.
    pub prompts: Vec<PromptPairs>,
    /// Rows that have no two different responses, by their numbers.
    pub rows_without_two: Vec<usize>,
}

/// A prompt with its responses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptPairs {
    /// The first row about it.
    pub row: usize,
    /// The conversation; the last message is the user's.
    pub messages: Vec<Message>,
    /// A JSON object of whatever else the row says; a judge reads it.
    pub metadata: String,
    /// Different ones, at least two.
    pub responses: Vec<String>,
    /// What people say of pairs; several of one pair where several rows do.
    pub labels: Vec<PairLabel>,
}

/// Which of two responses is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairLabel {
    /// Among the prompt's responses.
    pub first: usize,
    /// Likewise.
    pub second: usize,
    /// The probability of it, in [0, 1]; ½ is a tie.
    pub first_is_better: f64,
}

impl PromptPairs {
    /// Both responses in the order of their places, and what is said of them: the mean where several rows say something.
    #[must_use]
    pub fn label(&self, first: usize, second: usize) -> Option<f64> {
        let (mut sum, mut many) = (0.0, 0_u32);
        for label in &self.labels {
            if (label.first, label.second) == (first, second) {
                sum += label.first_is_better;
            } else if (label.second, label.first) == (first, second) {
                sum += 1.0 - label.first_is_better;
            } else {
                continue;
            }
            many += 1;
        }
        (many > 0).then(|| sum / f64::from(many))
    }
}

/// Reads a file of pairs.
pub fn read_pairs(path: &Path) -> Result<Pairs, DataError> {
    let file = path.display().to_string();
    let bytes = bytes_of(Source { file: &file }, path)?;
    parse_pairs(&file, bytes)
}

/// Likewise, of a file's content; `file` serves messages.
pub fn parse_pairs(file: &str, bytes: Vec<u8>) -> Result<Pairs, DataError> {
    let source = Source { file };
    if bytes.starts_with(b"PAR1") {
        return Err(
            source.whole("this is a Parquet file; pairs are read from JSON: one object a line, or a list of objects")
        );
    }
    let sha256 = slhf_files::sha256_hex(&bytes);
    let mut pairs = Pairs { file: file.to_owned(), sha256, prompts: Vec::new(), rows_without_two: Vec::new() };
    let mut places: HashMap<(Vec<Message>, String), usize> = HashMap::new();
    for (count, row) in objects(source, &unpacked(source, bytes)?)?.enumerate() {
        let (number, object) = row?;
        if count == ROWS_MAX {
            return Err(source.row(number, format!("the file has more than {ROWS_MAX} rows; split it")));
        }
        let row = Row { source, number, object }.read()?;
        if row.responses.iter().all(|response| *response == row.responses[0]) {
            pairs.rows_without_two.push(number);
            continue;
        }
        let place = *places.entry((row.messages, row.metadata)).or_insert_with_key(|(messages, metadata)| {
            let (messages, metadata) = (messages.clone(), metadata.clone());
            pairs.prompts.push(PromptPairs {
                row: number,
                messages,
                metadata,
                responses: Vec::new(),
                labels: Vec::new(),
            });
            pairs.prompts.len() - 1
        });
        pairs.prompts[place].add(source, number, row.responses, row.labels)?;
    }
    if pairs.prompts.is_empty() {
        let problem = match pairs.rows_without_two.len() {
            0 => "the file has no row; expected one object a line, like {\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"}".to_owned(),
            rows => format!("none of its rows has two different responses ({rows} read)"),
        };
        return Err(source.whole(problem));
    }
    Ok(pairs)
}

impl PromptPairs {
    /// Puts a row's responses to the others; its labels follow their places.
    fn add(
        &mut self,
        source: Source<'_>,
        row: usize,
        responses: Vec<String>,
        labels: Vec<PairLabel>,
    ) -> Result<(), DataError> {
        let mut places = Vec::with_capacity(responses.len());
        for response in responses {
            let known = self.responses.iter().position(|known| *known == response);
            places.push(known.unwrap_or_else(|| {
                self.responses.push(response);
                self.responses.len() - 1
            }));
        }
        if self.responses.len() > RESPONSES_MAX {
            let problem = format!(
                "this prompt has {} different responses by this row; at most {RESPONSES_MAX} are read, since a judge is asked \
                 about all of their pairs: keep fewer",
                self.responses.len()
            );
            return Err(source.row(row, problem));
        }
        let moved = labels.into_iter().map(|label| PairLabel {
            first: places[label.first],
            second: places[label.second],
            ..label
        });
        self.labels.extend(moved.filter(|label| label.first != label.second));
        Ok(())
    }
}

/// What a row says: at least one response.
pub(crate) struct Said {
    pub(crate) messages: Vec<Message>,
    metadata: String,
    pub(crate) responses: Vec<String>,
    pub(crate) labels: Vec<PairLabel>,
}

pub(crate) struct Row<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) number: usize,
    pub(crate) object: Map<String, Value>,
}

impl Row<'_> {
    /// A field that is null counts as absent.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.object.remove(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, problem: impl Into<String>) -> DataError {
        self.source.cell(self.number, 0, key, problem)
    }

    pub(crate) fn read(mut self) -> Result<Said, DataError> {
        match (self.take("chosen"), self.take("rejected"), self.take("responses")) {
            (Some(chosen), Some(rejected), None) => self.preference([chosen, rejected]),
            (None, None, Some(Value::Array(responses))) => self.several(responses),
            (None, None, Some(other)) => {
                Err(self.wrong("responses", format!("{} stands here; expected a list of responses", kind(&other))))
            }
            (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err(self.wrong(
                "responses",
                "the row has both \"responses\" and \"chosen\" or \"rejected\"; expected one of them",
            )),
            (chosen, _, None) => {
                let missing = if chosen.is_some() { "rejected" } else { "chosen" };
                let found: Vec<String> = self.object.keys().take(8).map(|key| format!("\"{key}\"")).collect();
                let found = if found.is_empty() { "nothing else".to_owned() } else { found.join(", ") };
                let problem = format!(
                    "there is no \"{missing}\" beside {found}; expected \"prompt\" with \"chosen\" and \"rejected\", or with \"responses\""
                );
                Err(self.source.row(self.number, problem))
            }
        }
    }

    /// `chosen` and `rejected`, with their prompt or behind it.
    fn preference(mut self, both: [Value; 2]) -> Result<Said, DataError> {
        let has_prompt =
            ["prompt", "messages"].iter().any(|key| self.object.get(*key).is_some_and(|value| !value.is_null()));
        if !has_prompt {
            let [chosen, rejected] = both.clone();
            self.object.extend([("chosen".to_owned(), chosen), ("rejected".to_owned(), rejected)]);
        }
        let (messages, metadata) = self.prompt()?;
        let mut responses = Vec::with_capacity(2);
        let shared = prompts::shared_text(&both[0], &both[1]).filter(|_| !has_prompt);
        for (key, value) in ["chosen", "rejected"].into_iter().zip(both) {
            responses.push(match (&shared, value) {
                (Some(shared), Value::String(text)) => text[shared.len()..].trim_start().to_owned(),
                (_, value) => self.response(key, value, &messages)?,
            });
        }
        let labels = vec![PairLabel { first: 0, second: 1, first_is_better: 1.0 }];
        Ok(Said { messages, metadata, responses, labels })
    }

    /// `responses`, with or without labels.
    fn several(mut self, responses: Vec<Value>) -> Result<Said, DataError> {
        let (p_second, label) = (self.take("p_second"), self.take("label"));
        let (messages, metadata) = self.prompt()?;
        let many = responses.len();
        if many == 0 {
            return Err(self.wrong("responses", "the list is empty; expected two responses or more"));
        }
        let texts = responses.into_iter().map(|response| self.response("responses", response, &messages));
        let responses = texts.collect::<Result<Vec<String>, DataError>>()?;
        let labels = match (p_second, label) {
            (None, None) => Vec::new(),
            (Some(p_second), None) => vec![self.second_is_better(&p_second, many)?],
            (None, Some(label)) => self.label(&label, many)?,
            (Some(_), Some(_)) => {
                return Err(self.wrong("label", "the row has both \"p_second\" and \"label\"; expected one of them"));
            }
        };
        Ok(Said { messages, metadata, responses, labels })
    }

    fn second_is_better(&self, value: &Value, many: usize) -> Result<PairLabel, DataError> {
        if many != 2 {
            return Err(self.wrong("p_second", format!("the row has {many} responses; \"p_second\" speaks of two")));
        }
        match value.as_f64().filter(|p| (0.0..=1.0).contains(p)) {
            Some(p) => Ok(PairLabel { first: 0, second: 1, first_is_better: 1.0 - p }),
            None => Err(self.wrong("p_second", format!("{value} stands here; expected a probability, 0 to 1"))),
        }
    }

    /// The place of the best, or a number for each.
    fn label(&self, value: &Value, many: usize) -> Result<Vec<PairLabel>, DataError> {
        if let Value::Array(values) = value {
            let numbers: Option<Vec<f64>> =
                values.iter().map(|value| value.as_f64().filter(|n| n.is_finite())).collect();
            return match numbers {
                Some(numbers) if numbers.len() == many => Ok(by_numbers(&numbers)),
                _ => Err(self.wrong(
                    "label",
                    format!("{value} stands here; expected a number for each of the {many} responses"),
                )),
            };
        }
        let place = value.as_f64().filter(|place| place.fract() == 0.0 && (0.0..many as f64).contains(place));
        let Some(place) = place else {
            let last = many - 1;
            let problem = format!(
                "{value} stands here; expected the place of the best response, 0 to {last}, or a list of {many} numbers"
            );
            return Err(self.wrong("label", problem));
        };
        let best = place as usize;
        let others = (0..many).filter(|other| *other != best);
        Ok(others.map(|second| PairLabel { first: best, second, first_is_better: 1.0 }).collect())
    }

    /// The row's prompt; what is left of the row is its metadata.
    fn prompt(&mut self) -> Result<(Vec<Message>, String), DataError> {
        for key in OF_THE_PAIR {
            self.object.remove(key);
        }
        let object = std::mem::take(&mut self.object);
        let row = prompts::prompt(self.source, PromptLayout::Jsonl, (self.number, object))?;
        Ok((row.messages, row.metadata))
    }

    /// A text; or the one message of the assistant that a list of messages has behind the prompt.
    fn response(&self, key: &str, value: Value, prompt: &[Message]) -> Result<String, DataError> {
        let turns = match value {
            Value::String(text) => return Ok(text),
            Value::Array(turns) => turns,
            other => {
                return Err(
                    self.wrong(key, format!("{} stands here; expected text or a list of messages", kind(&other)))
                );
            }
        };
        let messages = prompts::conversation(turns).map_err(|problem| self.wrong(key, problem))?;
        match messages.strip_prefix(prompt).unwrap_or(&messages) {
            [Message { role, content }] if role == "assistant" => Ok(content.clone()),
            rest => {
                let problem = format!(
                    "{} messages stand behind the prompt; expected one, the assistant's: a pair is of two single responses",
                    rest.len()
                );
                Err(self.wrong(key, problem))
            }
        }
    }
}

/// Of each pair; equal numbers are a tie.
fn by_numbers(numbers: &[f64]) -> Vec<PairLabel> {
    let mut labels = Vec::new();
    for (first, one) in numbers.iter().enumerate() {
        for (second, other) in numbers.iter().enumerate().skip(first + 1) {
            let first_is_better = match one.total_cmp(other) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
            };
            labels.push(PairLabel { first, second, first_is_better });
        }
    }
    labels
}
