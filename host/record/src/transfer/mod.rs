//! Runs that go from one record to another: `db merge`, to and from a record's trash, and to tasks that compute them elsewhere.

pub(crate) mod engine;
pub(crate) mod files;
mod frozen;
pub(crate) mod maps;
mod merge;
mod relation;
mod renumber;
pub(crate) mod rows;
mod slice;
pub(crate) mod tables;

pub use engine::{MovedRun, Taken};
pub use files::FilesCopied;
pub use merge::Merged;
pub use slice::Collected;
