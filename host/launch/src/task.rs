//! A task: some of a launch's runs, and the attempts at them.

use std::fs;
use std::path::{Path, PathBuf};

use slhf_files::replace_own;
use slhf_record::ProcessIdentity;

use crate::LaunchError;
use crate::attempt::{Attempt, AttemptEnd, AttemptState, CLOSED, is_closed};
use crate::files::folders;

/// A task of a launch.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    launch: &'a Path,
    token: &'a str,
    number: u32,
    runs: &'a [i64],
    path: PathBuf,
}

/// What whoever starts a task is to do.
#[derive(Debug)]
pub enum Begin {
    /// Compute it, in this attempt; earlier attempts, the latest first, have what is done already.
    Compute {
        /// Where.
        attempt: Attempt,
        /// What went before.
        earlier: Vec<Attempt>,
    },
    /// Nothing: another process computes it, which this says in words.
    Elsewhere(String),
    /// Nothing: it is done, or the lab has taken it back.
    Over,
}

impl<'a> Task<'a> {
    pub(crate) fn new((launch, token): (&'a Path, &'a str), number: u32, runs: &'a [i64]) -> Self {
        let path = launch.join(format!("task-{number:04}"));
        Self { launch, token, number, runs, path }
    }

    /// The name of its launch.
    #[must_use]
    pub fn token(&self) -> &'a str {
        self.token
    }

    /// Its number in the launch, from 0.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The numbers of its runs, in the record and in that of the launch.
    #[must_use]
    pub fn runs(&self) -> &'a [i64] {
        self.runs
    }

    /// What its processes print.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.launch.join(format!("task-{:04}.log", self.number))
    }

    /// All attempts, the latest first.
    pub fn attempts(&self) -> Result<Vec<Attempt>, LaunchError> {
        let mut found = Vec::new();
        for path in folders(&self.path)? {
            found.extend(Attempt::open(&path)?);
        }
        found.sort_by_key(|attempt| std::cmp::Reverse(attempt.number()));
        Ok(found)
    }

    /// Whether the lab has taken it back: what is still missing is computed elsewhere.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        is_closed(&self.path)
    }

    /// Takes it back: an attempt that still lives stops after its step, and none begins any more.
    pub fn close(&self) -> Result<(), LaunchError> {
        let path = self.path.join(CLOSED);
        fs::create_dir_all(&self.path).map_err(LaunchError::files("making", &self.path))?;
        replace_own(&path, b"").map_err(LaunchError::files("writing", &path))
    }

    /// Begins an attempt, unless another one lives. Of many that ask at once one begins.
    pub fn begin(&self) -> Result<Begin, LaunchError> {
        let here = ProcessIdentity::current();
        loop {
            let earlier = self.attempts()?;
            let is_done = |attempt: &Attempt| matches!(attempt.ended(), Some(AttemptEnd::Done { .. }));
            if self.is_closed() || earlier.iter().any(is_done) {
                return Ok(Begin::Over);
            }
            if let Some(other) = earlier.iter().find(|attempt| attempt.state(&here) == AttemptState::Alive) {
                return Ok(Begin::Elsewhere(other.who()));
            }
            let next = earlier.first().map_or(0, Attempt::number) + 1;
            if let Some(attempt) = Attempt::begin(&self.path, next)? {
                return Ok(Begin::Compute { attempt, earlier });
            }
        }
    }
}
