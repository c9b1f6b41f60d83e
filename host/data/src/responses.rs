//! Files of responses: what somebody answered to prompts.
//!
//! ```
//! use slhf_data::responses::parse_responses;
//!
//! let file = b"{\"prompt\": \"Why is the sky blue?\", \"response\": \"Air scatters blue light most.\"}\n";
//! let responses = parse_responses("answers.jsonl", file.to_vec())?;
//! assert_eq!(responses.to("Why is the sky blue?"), Some("Air scatters blue light most."));
//! # Ok::<(), slhf_data::DataError>(())
//! ```

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::DataError;
use crate::error::Source;
use crate::prompts::{bytes_of, objects, unpacked};

/// A file of responses: a JSON object `{"prompt": …, "response": …}` a line, compressed by gzip or not; other fields are
/// nobody's business here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses {
    /// The file's name, for messages.
    pub file: String,
    /// SHA-256 of the file as it lies there, in hexadecimal.
    pub sha256: String,
    by_prompt: HashMap<String, String>,
}

impl Responses {
    /// What was answered to a prompt, the text of its last message.
    #[must_use]
    pub fn to(&self, prompt: &str) -> Option<&str> {
        self.by_prompt.get(prompt).map(String::as_str)
    }
}

/// Reads a file of responses.
pub fn read_responses(path: &Path) -> Result<Responses, DataError> {
    let file = path.display().to_string();
    let bytes = bytes_of(Source { file: &file }, path, "expected a file of responses")?;
    parse_responses(&file, bytes)
}

/// Likewise, of a file's content; `file` serves messages.
pub fn parse_responses(file: &str, bytes: Vec<u8>) -> Result<Responses, DataError> {
    let source = Source { file };
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let mut by_prompt = HashMap::new();
    for line in objects(source, &unpacked(source, bytes)?) {
        let (row, object) = line?;
        let text = |key: &str| text(&object, key).map_err(|problem| source.row(row, problem));
        if by_prompt.insert(text("prompt")?, text("response")?).is_some() {
            return Err(source.row(row, "this prompt was answered by an earlier line; keep one answer to each"));
        }
    }
    if by_prompt.is_empty() {
        return Err(source.whole("the file has no response"));
    }
    Ok(Responses { file: file.to_owned(), sha256, by_prompt })
}

fn text(object: &Map<String, Value>, key: &str) -> Result<String, String> {
    let found = object.get(key).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("there is no text under \"{key}\""))
}
