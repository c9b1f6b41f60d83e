//! The interface of the file, documented: `db schema` prints it, docs/reference/record.md is made from it, and a test
//! compares it with the views that the migrations make.

mod listing;

use std::fmt::Write as _;

use listing::VIEWS;

/// A view of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What one row is.
    pub meaning: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
}

/// A column of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// A whole number.
    Integer,
    /// A 64-bit floating-point number.
    Real,
    /// Text.
    Text,
    /// 1 or 0.
    Boolean,
    /// Text: ISO 8601 with milliseconds, UTC.
    Time,
    /// Bytes.
    Blob,
    /// Whatever the column `type` beside it says.
    Any,
}

impl ColumnType {
    /// As the reference prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Time => "time",
            Self::Blob => "blob",
            Self::Any => "any",
        }
    }
}

/// Every view with every column.
#[must_use]
pub fn views() -> &'static [View] {
    VIEWS
}

/// The reference page of the file, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# The record\n\nOne SQLite file (`lab.db`). The views below are its interface: tables may change with a \
         migration, these views and their columns do not. Made by `slhf-lab db schema --format markdown`; do not edit.\n",
    );
    for view in views() {
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n| column | type | meaning |\n|---|---|---|\n", view.name, view.meaning);
        for column in view.columns {
            let _ = writeln!(page, "| {} | {} | {} |", column.name, column.kind.as_str(), column.meaning);
        }
    }
    page
}
