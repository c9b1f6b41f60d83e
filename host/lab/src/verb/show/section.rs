//! A section of what is shown of a run.

use crate::output::Table;

/// One aspect of the run.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) shape: Shape,
    pub(super) table: Table,
}

/// How a section's rows are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Many short rows.
    List,
    /// Exactly one row with many columns: an object in JSON.
    One,
    /// A few rows with many columns.
    Tall,
}
