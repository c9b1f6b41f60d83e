//! What is measured of one answer.

use slhf_sdk::{Response, text};

use crate::Parameters;

/// Distinct content words of its own that an answer needs for full substance.
const OWN_WORDS: f64 = 2.0;

/// Below this share of new neighbours a text is nothing but repetition; from `VARIETY_FULL` on it is prose.
const VARIETY_NONE: f64 = 0.5;
const VARIETY_FULL: f64 = 0.9;

/// One answer, term by term, each in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// Words.
    pub words: usize,
    /// 1 up to `words_target`, beyond it `1 / (1 + (excess / (words_max − words_target))²)`.
    pub length: f64,
    /// Share of the prompt's content words that occur in it, in any form; 1 where the prompt has none.
    pub coverage: f64,
    /// How many of them, of how many.
    pub covered: (usize, usize),
    /// The first that is missing.
    pub missing: Option<String>,
    /// Whether it says something: words / `words_min`, and content words of its own / 2, both at most 1, multiplied.
    pub substance: f64,
    /// 1 for prose, 0 for a text half of whose word pairs repeat earlier ones.
    pub variety: f64,
    /// Whether it ended by itself.
    pub finished: bool,
}

/// A term of the score with the reason for it.
pub(crate) struct Term {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) reason: String,
}

impl Measures {
    /// Measures an answer to a prompt with these content words (stems).
    pub fn of(parameters: &Parameters, prompt: &[String], response: &Response) -> Self {
        let words = text::words(&response.text).count();
        let stems = text::content_stems(&response.text);
        let is_covered = |stem: &&String| stems.contains(stem);
        let covered = prompt.iter().filter(is_covered).count();
        let own = stems.iter().filter(|stem| !prompt.contains(stem)).count();
        let excess = words.saturating_sub(parameters.words_target as usize) as f64;
        let width = f64::from(parameters.words_max - parameters.words_target);
        Self {
            words,
            length: 1.0 / (1.0 + (excess / width) * (excess / width)),
            coverage: if prompt.is_empty() { 1.0 } else { covered as f64 / prompt.len() as f64 },
            covered: (covered, prompt.len()),
            missing: prompt.iter().find(|stem| !is_covered(stem)).cloned(),
            substance: (words as f64 / f64::from(parameters.words_min)).min(1.0) * (own as f64 / OWN_WORDS).min(1.0),
            variety: ((text::variety(&response.text) - VARIETY_NONE) / (VARIETY_FULL - VARIETY_NONE)).clamp(0.0, 1.0),
            finished: response.finished,
        }
    }

    /// For the verdict.
    pub(crate) fn terms(&self) -> [Term; 5] {
        let (covered, all) = self.covered;
        let missing = self.missing.as_deref().map(|stem| format!(" (no \"{stem}\")")).unwrap_or_default();
        let finished = if self.finished { "finished" } else { "cut off" };
        [
            Term { name: "length", value: self.length, reason: format!("{} words", self.words) },
            Term {
                name: "coverage",
                value: self.coverage,
                reason: format!("{covered} of {all} content words{missing}"),
            },
            Term { name: "finished", value: if self.finished { 1.0 } else { 0.0 }, reason: finished.to_owned() },
            Term { name: "substance", value: self.substance, reason: format!("{:.2}", self.substance) },
            Term { name: "variety", value: self.variety, reason: format!("{:.2}", self.variety) },
        ]
    }
}
