//! A file of prompts, read.

use serde::{Deserialize, Serialize};
use slhf_plan::{OnBadRow, PromptId, PromptLayout, PromptNumbering};

use super::row::PromptRow;
use super::rows::SkippedRows;

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
}
