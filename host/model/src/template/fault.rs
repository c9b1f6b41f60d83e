//! Why a template cannot be compiled or rendered.

use std::fmt;

/// Why a template cannot be compiled or rendered: the line, and one sentence that names the construct.
#[derive(Debug)]
pub struct Fault {
    line: u32,
    problem: String,
    is_limit: bool,
}

/// What every step of the engine returns.
pub(super) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// A fault whose line is set by the node that is being evaluated.
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { line: 0, problem: problem.into(), is_limit: false }
    }

    /// A limit of ours, which no template of a real model meets.
    pub(super) fn limit(problem: impl Into<String>) -> Self {
        Self { line: 0, problem: problem.into(), is_limit: true }
    }

    /// The innermost line counts.
    pub(super) fn at(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    /// The sentence, with the line behind it.
    pub(super) fn into_problem(self) -> String {
        match self.line {
            0 => self.problem,
            line => format!("{} (line {line})", self.problem),
        }
    }

    pub(super) fn is_limit(&self) -> bool {
        self.is_limit
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => formatter.write_str(&self.problem),
            line => write!(formatter, "line {line}: {}", self.problem),
        }
    }
}

impl std::error::Error for Fault {}

/// Fails with a formatted sentence.
macro_rules! fail {
    ($($part:tt)*) => { return Err($crate::template::fault::Fault::new(format!($($part)*))) };
}
pub(super) use fail;
