//! What a view is.

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
