//! A reward model: how good one response is.
//!
//! This one counts how many of the prompt's words a response uses. Put your own judgement into `score`. As a judge it is
//! used through the shipped combinator `bradley-terry`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_sdk::{Attribute, Candidate, Failure, Manifest, Plugin, Reward, Score, manifest};

/// What an experiment may set under `parameters`. Doc comments become descriptions in the plugin's schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Reward per word of the prompt that the response uses; finite.
    pub per_word: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { per_word: 1.0 }
    }
}

/// The reward model.
#[derive(Debug)]
pub struct Model {
    per_word: f64,
}

impl Plugin for Model {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("how many of the prompt's words a response uses")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { per_word } = parameters;
        if per_word.is_finite() {
            Ok(Self { per_word })
        } else {
            Err(format!("parameter 'per_word' is {per_word}, it must be finite").into())
        }
    }
}

impl Reward for Model {
    fn score(&self, candidate: &Candidate) -> Result<Score, Failure> {
        let used = words(&candidate.response.text).intersection(&words(&candidate.prompt)).count() as f64;
        let reward = self.per_word * used;
        Ok(Score::new(reward).with(Attribute::new("words_of_the_prompt", reward).because(format!("{used} words"))))
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_lowercase).collect()
}

slhf_sdk::export_reward!(Model);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    #[test]
    fn words_of_the_prompt_are_counted_once() {
        let model = Model::new(Parameters { per_word: 0.5 }).unwrap();
        let score = |text| model.score(&Candidate::new("Say hello", Response::new(text))).unwrap().value;
        assert_eq!(score("Hello hello"), 0.5);
        assert_eq!(score("say HELLO"), 1.0);
        assert_eq!(score(""), 0.0);
    }
}
