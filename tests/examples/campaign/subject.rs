//! What is run: finite games by both programs, and a tiny language model, with checkpoints; and what an undisturbed run computes.

use std::path::Path;
use std::time::{Duration, Instant};

use slhf_tests::{Found, Lab, disturbed_game, disturbed_language_model, language_lab};

/// An experiment, and what comes of it.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) toml: String,
    pub(crate) expected: Found,
    /// How long it takes when nobody disturbs it.
    pub(crate) duration: Duration,
    pub(crate) runs: u64,
}

impl Subject {
    /// Runs each once to its end.
    pub(crate) fn all() -> Result<Vec<Self>, String> {
        Ok(vec![
            Self::undisturbed("a game by the scalar program", disturbed_game("scalar", 800), 4)?,
            Self::undisturbed("a game by the tensor program", disturbed_game("tensor", 20), 4)?,
            Self::undisturbed("a language model", disturbed_language_model(40, 3), 1)?,
        ])
    }

    fn undisturbed(name: &'static str, toml: String, runs: u64) -> Result<Self, String> {
        let lab = language_lab(&toml);
        let start = Instant::now();
        let outcome = lab.run(&["run", "tiny.toml"]);
        let duration = start.elapsed();
        if outcome.code != Some(0) {
            return Err(format!("{name}: {outcome}"));
        }
        let expected = Found::read(&lab, Path::new("lab.db"))?;
        Ok(Self { name, toml, expected, duration, runs })
    }

    pub(crate) fn lab(&self) -> Lab {
        language_lab(&self.toml)
    }
}
