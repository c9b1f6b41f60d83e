//! A judge: which response is better, and why.
//!
//! This one prefers the response that shares more of its words with the prompt. Put your own judgement into `compare`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_sdk::{Attribute, Comparison, Failure, Manifest, Plugin, Preference, Verdict, manifest};

/// What an experiment may set under `[judge] parameters`. Doc comments become descriptions in the plugin's schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// How decided a judge is: 0 is always in doubt, 1 goes from 0 to 1; within [0, 1].
    #[schemars(range(min = 0, max = 1))]
    pub decisiveness: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { decisiveness: 1.0 }
    }
}

/// The judge.
#[derive(Debug)]
pub struct Judge {
    decisiveness: f64,
}

impl Plugin for Judge {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        // `slhf-lab plugin check` holds a judge to what it claims.
        manifest!("which response shares more of its words with the prompt").complementary()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { decisiveness } = parameters;
        if (0.0..=1.0).contains(&decisiveness) {
            Ok(Self { decisiveness })
        } else {
            Err(format!("parameter 'decisiveness' is {decisiveness}, it must be within [0, 1]").into())
        }
    }
}

impl Preference for Judge {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let prompt = words(&comparison.prompt);
        let share = |text: &str| {
            let words = words(text);
            words.intersection(&prompt).count() as f64 / words.len().max(1) as f64
        };
        let (first, second) = (share(&comparison.first.text), share(&comparison.second.text));
        let probability = 0.5 + 0.5 * self.decisiveness * (first - second);
        Ok(Verdict::new(probability).with(
            Attribute::new("words_of_the_prompt", probability).because(format!("{first:.2} against {second:.2}")),
        ))
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_lowercase).collect()
}

slhf_sdk::export_preference!(Judge);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn probability(first: &str, second: &str) -> f64 {
        let judge = Judge::new(Parameters::default()).unwrap();
        let comparison = Comparison::new("Say hello", Response::new(first), Response::new(second));
        judge.compare(&comparison).unwrap().probability
    }

    #[test]
    fn words_of_the_prompt_win() {
        assert_eq!(probability("hello", "go away"), 1.0);
        assert_eq!(probability("hello you", "go away"), 0.75);
        assert_eq!(probability("", "go away"), 0.5);
    }

    #[test]
    fn the_two_orders_agree() {
        for (first, second) in [("hello", "go"), ("say hello", "hello there"), ("", "")] {
            assert_eq!(probability(first, second) + probability(second, first), 1.0);
        }
    }

    #[test]
    fn a_bad_parameter_is_named() {
        let failure = Judge::new(Parameters { decisiveness: 2.0 }).unwrap_err();
        assert_eq!(failure.reason, "parameter 'decisiveness' is 2, it must be within [0, 1]");
    }
}
