//! Files of lines: JSON objects, or plain text; compressed by gzip or not.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use slhf_plan::Message;

use super::row::PromptRow;
use crate::DataError;
use crate::error::Source;

/// What compressed files may grow to.
pub(super) const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// Longer lines are no prompts.
const LINE_BYTES_MAX: usize = 16 << 20;

/// A row of a file with its number, from 1.
pub(crate) type Numbered = (usize, Map<String, Value>);

/// The content of a gzip file, or what was given.
pub(crate) fn unpacked(source: Source<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, DataError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    let limit_bytes = slhf_files::raised(UNPACKED_BYTES_MAX);
    let mut decoder = MultiGzDecoder::new(bytes.as_slice()).take(limit_bytes.saturating_add(1));
    decoder
        .read_to_end(&mut text)
        .map_err(|error| source.whole(format!("the gzip file is damaged or cut short ({error}); fetch it again")))?;
    if text.len() as u64 > limit_bytes {
        return Err(source.whole(slhf_files::Refusal::Unpacks { limit_bytes }.to_string()));
    }
    Ok(text)
}

/// The lines that are not empty, with their numbers.
fn numbered<'a>(source: Source<'a>, bytes: &'a [u8]) -> impl Iterator<Item = Result<(usize, &'a str), DataError>> + 'a {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines.filter_map(move |(index, line)| {
        let row = index + 1;
        if line.len() > LINE_BYTES_MAX {
            let problem = format!(
                "the line has {} bytes; at most {LINE_BYTES_MAX} are read, a limit that nothing raises: split it",
                line.len()
            );
            return Some(Err(source.row(row, problem)));
        }
        match std::str::from_utf8(line) {
            Err(_) => Some(Err(source.row(row, "the text is not UTF-8; save the file as UTF-8"))),
            // A byte order mark stands where a file begins that others were put together from.
            Ok(line) => match line.trim_start_matches('\u{feff}').trim() {
                "" => None,
                line => Some(Ok((row, line))),
            },
        }
    })
}

/// The rows of a file: one JSON object a line, or a JSON list of objects.
pub(crate) fn objects<'a>(
    source: Source<'a>,
    bytes: &'a [u8],
) -> Result<Box<dyn Iterator<Item = Result<Numbered, DataError>> + 'a>, DataError> {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if start.starts_with(b"[") { Ok(Box::new(list(source, bytes)?)) } else { Ok(Box::new(lines(source, bytes))) }
}

/// The entries of a list, numbered from 1.
fn list(source: Source<'_>, bytes: &[u8]) -> Result<impl Iterator<Item = Result<Numbered, DataError>>, DataError> {
    let entries = match slhf_json::read(bytes) {
        Ok(Value::Array(entries)) => entries,
        Ok(_) => Vec::new(),
        Err(error) => {
            let problem = format!("this is no JSON ({error}); expected a list of objects, or one object a line");
            return Err(source.row(error.line(), problem));
        }
    };
    Ok((1..).zip(entries).map(move |(row, entry)| match entry {
        Value::Object(object) => Ok((row, object)),
        other => Err(source.row(row, format!("{} stands in the list; expected an object", slhf_json::kind(&other)))),
    }))
}

fn lines<'a>(source: Source<'a>, bytes: &'a [u8]) -> impl Iterator<Item = Result<Numbered, DataError>> + 'a {
    numbered(source, bytes).map(move |line| {
        let (row, line) = line?;
        match slhf_json::read(line.as_bytes()) {
            Ok(Value::Object(object)) => Ok((row, object)),
            Ok(_) => Err(source.row(row, "this is no JSON object; expected one like {\"prompt\": \"…\"}")),
            Err(error) => {
                let problem =
                    format!("this is no JSON ({error}); expected one object a line, like {{\"prompt\": \"…\"}}");
                Err(source.row(row, problem))
            }
        }
    })
}

/// One prompt a line; lines that start with `#` are comments.
pub(super) fn prompts<'a>(
    source: Source<'a>,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<PromptRow, DataError>> + 'a {
    let is_comment = |line: &Result<(usize, &str), DataError>| matches!(line, Ok((_, line)) if line.starts_with('#'));
    numbered(source, bytes).filter(move |line| !is_comment(line)).map(move |line| {
        let (row, line) = line?;
        if line.contains('\0') {
            return Err(source.row(row, "the line has a NUL character; expected plain text"));
        }
        let message = Message { role: "user".to_owned(), content: line.to_owned() };
        Ok(PromptRow { id: row.to_string(), messages: vec![message], metadata: "{}".to_owned() })
    })
}
