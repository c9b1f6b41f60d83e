//! A row of a CSV file.

/// One row with the line it begins on.
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) cells: Vec<String>,
}
