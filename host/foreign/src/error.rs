//! Why a file was not read.

use crate::limits::{MemoryLimit, SECONDS_VARIABLE};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The program itself cannot be started again.
    #[error("the process that reads files of others cannot be started")]
    CannotStart(#[source] std::io::Error),
    /// A library panicked over the file.
    #[error("{file} cannot be read: {who} gave up ({words})")]
    GaveUp {
        /// The file.
        file: String,
        /// `the library tokenizers 0.22.2`, …
        who: String,
        /// Its last words.
        words: String,
    },
    /// It came to an end.
    #[error(
        "{file} cannot be read: the process that reads it ended ({how}); it may take {memory_mib} MiB, which {} raises",
        set_by.raised_by()
    )]
    Ended {
        /// The file.
        file: String,
        /// How, in words.
        how: String,
        /// The limit.
        memory_mib: u64,
        /// Who set it.
        set_by: MemoryLimit,
    },
    /// It took too long.
    #[error("{file} cannot be read within {seconds} s; {} raises that limit", SECONDS_VARIABLE)]
    TooSlow {
        /// The file.
        file: String,
        /// The limit.
        seconds: f64,
    },
}
