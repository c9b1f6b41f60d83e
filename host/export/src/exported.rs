//! What was written.

use std::path::PathBuf;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows, or events.
    pub rows: u64,
}
