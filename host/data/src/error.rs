//! What can be wrong with a data file, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Row: the line of the file, from 1, the header included; 0 where the file as a whole is meant.
    pub row: usize,
    /// Column of a table, from 1; 0 where there is none.
    pub column: usize,
    /// What the column is called, where it has a name.
    pub column_name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.row > 0 {
            write!(formatter, ", row {}", self.row)?;
        }
        if self.column > 0 {
            write!(formatter, ", column {}", self.column)?;
        }
        if !self.column_name.is_empty() {
            write!(formatter, " (\"{}\")", self.column_name)?;
        }
        Ok(())
    }
}

/// A data file that is not what it should be: file, place, what is there, what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{file}{place}: {problem}")]
pub struct DataError {
    /// The file's name.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is wrong and what was expected, in one sentence.
    pub problem: String,
}

/// The file that errors speak of.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
}

impl<'a> Source<'a> {
    /// The file as a whole is wrong.
    pub(crate) fn whole(self, problem: impl Into<String>) -> DataError {
        DataError { file: self.file.to_owned(), place: Place::default(), problem: problem.into() }
    }

    /// A row is wrong.
    pub(crate) fn row(self, row: usize, problem: impl Into<String>) -> DataError {
        DataError { file: self.file.to_owned(), place: Place { row, ..Place::default() }, problem: problem.into() }
    }

    /// A cell is wrong.
    pub(crate) fn cell(self, row: usize, column: usize, name: &str, problem: impl Into<String>) -> DataError {
        let place = Place { row, column, column_name: name.to_owned() };
        DataError { file: self.file.to_owned(), place, problem: problem.into() }
    }

    /// The bytes as text, without a byte order mark; neither empty nor anything but UTF-8.
    pub(crate) fn text(self, bytes: &'a [u8]) -> Result<&'a str, DataError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let row = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            self.row(row, "the text is not UTF-8; save the file as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(self.whole("the file is empty; expected preference data"));
        }
        Ok(text)
    }
}
