//! Closed answer sets: language models whose policies are restricted to a finite set of answers per prompt, so that each prompt is
//! a finite game with a known solution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Gradient;

/// Fewest answers of a set.
pub const ANSWERS_MIN: usize = 2;
/// Most: n + n² of them are scored for each prompt.
pub const ANSWERS_MAX: usize = 12;

/// The distribution over a prompt's responses that policies are held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerReference {
    /// Every response alike, for Leader and Follower.
    #[default]
    Uniform,
    /// The frozen model's own, restricted to the set.
    Model,
}

/// The answer sets of a run. With them π(a | x) = exp ℓ(a | x) / Σ exp ℓ(b | x) over the answers b of the set, where ℓ is the sum
/// of log softmax(z / T) over an answer's tokens; ω(a′ | x, a) likewise in the Follower's context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerSetsPlan {
    /// The answers of every prompt; empty: each row of the data has its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// What policies are held to.
    pub reference: AnswerReference,
    /// Exact: every answer, and every pair of answers, is scored and weighed by its probability. Sampled: answers are drawn from the
    /// restricted policies.
    pub gradient: Gradient,
}

/// What is wrong with a set of answers, as texts.
#[must_use]
pub fn answer_set_problem(answers: &[String]) -> Option<String> {
    if !(ANSWERS_MIN..=ANSWERS_MAX).contains(&answers.len()) {
        return Some(format!("{} responses; expected {ANSWERS_MIN} to {ANSWERS_MAX}", answers.len()));
    }
    if let Some(place) = answers.iter().position(|answer| answer.trim().is_empty()) {
        return Some(format!("response {} is empty; expected a short text", place + 1));
    }
    let repeated = |(place, answer): (usize, &String)| answers[..place].contains(answer).then(|| answer.clone());
    answers.iter().enumerate().find_map(repeated).map(|answer| format!("\"{answer}\" stands there twice; remove one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_that_are_no_game_are_refused() {
        let check = |answers: &[&str], expected: Option<&str>| {
            let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
            let found = answer_set_problem(&answers);
            match expected {
                None => assert_eq!(found, None),
                Some(words) => assert!(found.as_deref().is_some_and(|found| found.contains(words)), "{found:?}"),
            }
        };
        check(&["yes", "no"], None);
        check(&["yes"], Some("1 responses; expected 2 to 12"));
        check(&["a", "b", "a"], Some("\"a\" stands there twice"));
        check(&["a", " "], Some("response 2 is empty"));
    }
}
