//! Prompts of language models: JSONL, Parquet, `HelpSteer2`, `UltraFeedback`, plain text.
//!
//! ```
//! use slhf_data::prompts::{Split, parse};
//!
//! let file = b"{\"prompt\": \"Why is the sky blue?\", \"source\": \"ours\"}\n{\"prompt\": \"Why is grass green?\"}\n";
//! let prompts = parse("prompts.jsonl", file.to_vec(), None)?;
//! assert_eq!(prompts.rows[0].messages[0].content, "Why is the sky blue?");
//! assert_eq!(prompts.rows[0].metadata, r#"{"source":"ours"}"#);
//! let split = Split::of(&prompts, 1, 7)?;
//! assert_eq!((split.training.len(), split.held_out.len()), (1, 1));
//! # Ok::<(), slhf_data::DataError>(())
//! ```

mod answers;
mod file;
mod implicit;
mod layout;
mod lines;
mod row;
mod rows;
mod split;
mod table;
mod turns;

use std::path::Path;

use slhf_plan::PromptLayout;

use crate::DataError;
use crate::error::Source;

pub use file::{Prompts, Reading};
pub(crate) use implicit::shared_text;
pub(crate) use layout::prompt;
pub(crate) use lines::{Numbered, objects, unpacked};
pub use row::{PromptRow, ROWS_MAX};
pub use rows::SkippedRows;
use rows::Taken;
pub use split::Split;
pub(crate) use table::{is_parquet, rows as table_rows};
pub use turns::conversation;

/// Larger files are refused: they are read whole.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// The extensions whose layout is known, for messages.
const EXTENSIONS: &str = ".jsonl, .json, .parquet or .txt, compressed by gzip (.gz) or not";

/// Reads a file of prompts; without a layout the extension tells it.
pub fn read_prompts(path: &Path, reading: impl Into<Reading>) -> Result<Prompts, DataError> {
    let file = path.display().to_string();
    let source = Source { file: &file };
    let bytes = bytes_of(source, path)?;
    parse(&file, bytes, reading)
}

/// A whole file.
pub(crate) fn bytes_of(source: Source<'_>, path: &Path) -> Result<Vec<u8>, DataError> {
    let cannot = |error| source.whole(format!("the file cannot be read: {error}"));
    slhf_files::read(path, FILE_BYTES_MAX).map_err(cannot)
}

/// Likewise, of a file's content; `file` serves messages and, without a layout, tells the layout.
pub fn parse(file: &str, bytes: Vec<u8>, reading: impl Into<Reading>) -> Result<Prompts, DataError> {
    let source = Source { file };
    let Reading { layout, on_bad_row } = reading.into();
    let layout = match layout {
        Some(layout) => layout,
        None => layout_of(file).ok_or_else(|| {
            source.whole(format!(
                "the name does not determine the layout; expected {EXTENSIONS}, or a layout in the settings"
            ))
        })?,
    };
    let sha256 = slhf_files::sha256_hex(&bytes);
    let mut taken = Taken::new(source, layout, on_bad_row);
    if is_parquet(&bytes) || layout == PromptLayout::Parquet {
        let rows = table_rows(source, bytes)?.into_iter();
        taken.all(rows.map(|row| prompt(source, layout, row)))?;
    } else {
        let text = unpacked(source, bytes)?;
        match layout {
            PromptLayout::Text => taken.all(lines::prompts(source, &text))?,
            _ => taken.all(objects(source, &text)?.map(|row| prompt(source, layout, row?)))?,
        }
    }
    let (rows, skipped) = taken.whole()?;
    Ok(Prompts { file: file.to_owned(), rows, layout, sha256, skipped })
}

/// The layout that a file's name tells.
pub fn layout_of(file: &str) -> Option<PromptLayout> {
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "jsonl" | "ndjson" | "json" => Some(PromptLayout::Jsonl),
        "parquet" => Some(PromptLayout::Parquet),
        "txt" => Some(PromptLayout::Text),
        _ => None,
    }
}
