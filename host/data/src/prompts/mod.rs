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

mod implicit;
mod layout;
mod lines;
mod rows;
mod split;
mod table;
mod turns;

use std::path::Path;

use serde::{Deserialize, Serialize};
use slhf_plan::{DataPlan, Message, OnBadRow, PromptId, PromptLayout, PromptNumbering};

use crate::DataError;
use crate::error::Source;

pub(crate) use lines::{objects, unpacked};
pub use rows::SkippedRows;
use rows::Taken;
pub use split::Split;
pub use turns::conversation;

/// Larger files are refused: they are read whole.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// What compressed files may grow to.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// More prompts are refused; far below 2³², since a prompt's number is part of its random streams.
pub const ROWS_MAX: usize = 10_000_000;

/// The extensions whose layout is known, for messages.
const EXTENSIONS: &str = ".jsonl, .json, .parquet or .txt, compressed by gzip (.gz) or not";

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptRow {
    /// The row's own `id`, else its number: the line of a text file, the row of a table, from 1.
    pub id: String,
    /// The conversation; the last message is the user's.
    pub messages: Vec<Message>,
    /// A JSON object of whatever else the row says; a judge reads it. Answers that a file brings are left out: they
    /// would be carried into the judge with every comparison.
    pub metadata: String,
}

impl PromptRow {
    /// The text of the last message.
    #[must_use]
    pub fn last_message(&self) -> &str {
        self.messages.last().map_or("", |message| &message.content)
    }

    /// The same prompt behind a system message, unless it has one or `system` is empty.
    #[must_use]
    pub fn with_system(mut self, system: &str) -> Self {
        if self.needs_system(system) {
            self.messages.insert(0, Message { role: "system".to_owned(), content: system.to_owned() });
        }
        self
    }

    fn needs_system(&self, system: &str) -> bool {
        let has_one = self.messages.first().is_some_and(|message| message.role == "system");
        !has_one && !system.is_empty()
    }
}

/// A file of prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompts {
    /// The file's name, for messages.
    pub file: String,
    /// The prompts, at least one, in the file's order.
    pub rows: Vec<PromptRow>,
    /// How the file was read.
    pub layout: PromptLayout,
    /// SHA-256 of the file as it lies there, in hexadecimal.
    pub sha256: String,
    /// Rows that cannot be used and were left out.
    pub skipped: SkippedRows,
}

/// How a file of prompts is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// How the file is laid out; `None`: its name tells.
    pub layout: Option<PromptLayout>,
    /// What becomes of rows that cannot be used.
    pub on_bad_row: OnBadRow,
}

impl Reading {
    /// As a plan reads its file.
    #[must_use]
    pub fn of(plan: &DataPlan) -> Self {
        Self { layout: Some(plan.layout), on_bad_row: plan.on_bad_row }
    }
}

impl From<Option<PromptLayout>> for Reading {
    fn from(layout: Option<PromptLayout>) -> Self {
        Self { layout, on_bad_row: OnBadRow::default() }
    }
}

impl Prompts {
    /// The rows' ids, one a row in their order, each behind `system` as [`PromptRow::with_system`] asks it.
    #[must_use]
    pub fn ids(&self, system: &str) -> Vec<PromptId> {
        let mut numbering = PromptNumbering::default();
        let id = |row: &PromptRow| {
            if row.needs_system(system) {
                numbering.next_id(&row.clone().with_system(system).messages, &row.metadata)
            } else {
                numbering.next_id(&row.messages, &row.metadata)
            }
        };
        self.rows.iter().map(id).collect()
    }

    /// The prompts that a plan holds out, in the order in which evaluations ask them; those that are too long for the plan are
    /// still among them.
    pub fn held_out(&self, plan: &DataPlan) -> Result<Vec<(PromptId, PromptRow)>, DataError> {
        let split = Split::of(self, plan.held_out, plan.split_seed)?;
        let ids = self.ids(&plan.system);
        let row = |index: usize| (ids[index], self.rows[index].clone().with_system(&plan.system));
        Ok(split.held_out.into_iter().map(row).collect())
    }
}

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
    if table::is_parquet(&bytes) || layout == PromptLayout::Parquet {
        let rows = table::rows(source, bytes)?.into_iter();
        taken.all(rows.map(|row| layout::prompt(source, layout, row)))?;
    } else {
        let text = unpacked(source, bytes)?;
        match layout {
            PromptLayout::Text => taken.all(lines::prompts(source, &text))?,
            _ => taken.all(objects(source, &text)?.map(|row| layout::prompt(source, layout, row?)))?,
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

fn too_many(source: Source<'_>) -> DataError {
    source.whole(format!("the file has more than {ROWS_MAX} rows; split it"))
}
