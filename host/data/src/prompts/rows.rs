//! Which rows of a file become prompts, and what becomes of the others.

use serde::{Deserialize, Serialize};
use slhf_plan::{OnBadRow, PromptLayout};

use super::row::{PromptRow, ROWS_MAX, too_many};
use crate::DataError;
use crate::error::Source;

/// Rows that cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRows {
    /// How many.
    pub count: u64,
    /// What is wrong with the first of them.
    pub first: Option<DataError>,
}

impl SkippedRows {
    /// A sentence for a reader, where there are any.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let (rows, are) =
            if self.count == 1 { ("1 row".to_owned(), "is") } else { (format!("{} rows", self.count), "are") };
        Some(format!(
            "{rows} of {} cannot be used and {are} left out (data.on_bad_row); the first: {first}",
            first.file
        ))
    }
}

/// The rows of a file as they are read.
pub(super) struct Taken<'a> {
    source: Source<'a>,
    layout: PromptLayout,
    on_bad_row: OnBadRow,
    rows: Vec<PromptRow>,
    skipped: SkippedRows,
}

impl<'a> Taken<'a> {
    pub(super) fn new(source: Source<'a>, layout: PromptLayout, on_bad_row: OnBadRow) -> Self {
        Self { source, layout, on_bad_row, rows: Vec::new(), skipped: SkippedRows::default() }
    }

    pub(super) fn all(
        &mut self,
        rows: impl IntoIterator<Item = Result<PromptRow, DataError>>,
    ) -> Result<(), DataError> {
        rows.into_iter().try_for_each(|row| self.one(row))
    }

    fn one(&mut self, row: Result<PromptRow, DataError>) -> Result<(), DataError> {
        let row = match (row, self.on_bad_row) {
            (Ok(row), _) => row,
            (Err(error), OnBadRow::Error) => return Err(error),
            (Err(error), OnBadRow::Skip) => {
                self.skipped.count += 1;
                self.skipped.first.get_or_insert(error);
                return Ok(());
            }
        };
        // HelpSteer2 has a row for each answer.
        let repeats = self.layout == PromptLayout::HelpSteer2
            && self.rows.last().is_some_and(|last| last.messages == row.messages);
        if repeats {
            return Ok(());
        }
        if self.rows.len() == ROWS_MAX {
            return Err(too_many(self.source));
        }
        self.rows.push(row);
        Ok(())
    }

    /// All that were taken, at least one.
    pub(super) fn whole(self) -> Result<(Vec<PromptRow>, SkippedRows), DataError> {
        match (self.rows.is_empty(), self.skipped.first) {
            (true, None) => Err(self.source.whole("the file has no prompt")),
            (true, Some(first)) => Err(DataError {
                problem: format!(
                    "{} (and so none of the file's {} rows can be used)",
                    first.problem, self.skipped.count
                ),
                ..first
            }),
            (false, first) => Ok((self.rows, SkippedRows { count: self.skipped.count, first })),
        }
    }
}
