//! An explicit outcome: never 0.5, never −1.

use std::error::Error;
use std::fmt;

/// Why an item, a batch or a set of parameters could not be dealt with: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, with what, and what was expected.
    pub reason: String,
}

impl Failure {
    /// A failure with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl Error for Failure {}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason }
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}
