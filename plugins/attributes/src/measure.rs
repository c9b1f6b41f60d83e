//! Attributes that are measured of a text.

use serde::Deserialize;
use slhf_sdk::{JsonSchema, Response, text};

/// What is measured of a response's text.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Its characters.
    Characters,
    /// Its words.
    Words,
    /// Share of the prompt's content words that occur in it, in any form; 1 where the prompt has none.
    Coverage,
    /// Distinct content words that the prompt does not have: what it says beyond repeating the question.
    OwnWords,
    /// How far it is from repeating itself, in [0, 1].
    Variety,
    /// 1 where it ended by itself, 0 where it was cut off.
    Finished,
}

/// A value and how verdicts show it.
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) shown: String,
}

impl Measured {
    pub(crate) fn plain(value: f64) -> Self {
        Self { value, shown: value.to_string() }
    }

    fn count(count: usize, unit: &str) -> Self {
        Self { value: count as f64, shown: format!("{count} {unit}") }
    }
}

impl Measure {
    /// Of a response to a prompt with these content words (stems).
    pub(crate) fn of(self, prompt: &[String], response: &Response) -> Measured {
        let stems = || text::content_stems(&response.text);
        match self {
            Self::Characters => Measured::count(response.text.chars().count(), "characters"),
            Self::Words => Measured::count(text::words(&response.text).count(), "words"),
            Self::Coverage => {
                let stems = stems();
                let covered = prompt.iter().filter(|stem| stems.contains(stem)).count();
                let value = if prompt.is_empty() { 1.0 } else { covered as f64 / prompt.len() as f64 };
                Measured { value, shown: format!("{covered} of {} content words", prompt.len()) }
            }
            Self::OwnWords => {
                Measured::count(stems().iter().filter(|stem| !prompt.contains(stem)).count(), "own words")
            }
            Self::Variety => {
                let value = text::variety(&response.text);
                Measured { value, shown: format!("variety {value:.2}") }
            }
            Self::Finished => Measured {
                value: f64::from(u8::from(response.finished)),
                shown: if response.finished { "finished" } else { "cut off" }.to_owned(),
            },
        }
    }
}
