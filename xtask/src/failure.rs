//! How a verb can fail, and the exit code of each.

use std::fmt;
use std::io;
use std::path::Path;

/// Why a verb ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Something the machine must have is missing.
    Missing(slhf_toolchain::Error),
    /// A build, a check or a file operation failed.
    Failed(String),
}

impl Failure {
    /// 1 for a failed check, 2 for what the user can mend before anything is checked.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Missing(_) => 2,
            Self::Failed(_) => 1,
        }
    }

    /// Makes the adapter for `map_err` on file operations.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Failed(format!("cannot {doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(sentence) | Self::Failed(sentence) => formatter.write_str(sentence),
            Self::Missing(error) => formatter.write_str(&error.chain()),
        }
    }
}

impl From<slhf_toolchain::Error> for Failure {
    fn from(error: slhf_toolchain::Error) -> Self {
        Self::Missing(error)
    }
}
