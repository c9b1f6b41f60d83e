//! Runs that go from one record to another: `db merge`, and to and from a record's trash.

pub(crate) mod engine;
pub(crate) mod files;
mod frozen;
pub(crate) mod maps;
mod merge;
mod relation;
mod renumber;
pub(crate) mod rows;
pub(crate) mod tables;

pub use engine::{MovedRun, Taken};
pub use files::FilesCopied;
pub use merge::Merged;
