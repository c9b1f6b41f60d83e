//! What only the record knows of.

use std::path::PathBuf;

/// Finds the folder of the reward model that a run has trained; an error is a sentence.
pub type FindRun<'a> = dyn Fn(&str) -> Result<PathBuf, String> + 'a;
