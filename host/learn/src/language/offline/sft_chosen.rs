//! Supervised fine-tuning on the better responses of a file.
//!
//! `L = −ℓ log π(y) − (1 − ℓ) log π(y′)` of a pair, summed over a step and divided by the tokens that it is of, each counted with its label: the
//! mean over tokens of −log π, as trainers of language models report it. With a file that says who is better this is the chosen
//! response alone, and the other one is not read. The minimum over all pairs is the distribution of the chosen responses to a prompt.

use slhf_plan::{Labels, LanguageTraining, SftChosen, TokenScores};

use super::loss::{PairOfScores, PreferenceLoss, WeighedResponses};
use crate::derivatives::rounded;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SftChosenLoss {
    /// What the file says.
    pub labels: Labels,
}

impl SftChosenLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &SftChosen<LanguageTraining>) -> Self {
        Self { labels: method.labels }
    }
}

/// What each response weighs.
fn shares(label: f64) -> [f64; 2] {
    [label, 1.0 - label]
}

impl PreferenceLoss for SftChosenLoss {
    fn label(&self, first_is_better: f64) -> f64 {
        rounded(first_is_better, self.labels)
    }

    fn compares(&self) -> bool {
        false
    }

    fn reads(&self, label: f64) -> [bool; 2] {
        shares(label).map(|share| share > 0.0)
    }

    fn weight(&self, label: f64, tokens: [usize; 2]) -> f64 {
        shares(label).iter().zip(tokens).map(|(share, tokens)| share * tokens as f64).sum()
    }

    fn weigh(&self, label: f64, scores: PairOfScores<'_>) -> WeighedResponses {
        let mut found = WeighedResponses::default();
        for ((share, scores), score) in shares(label).into_iter().zip(scores).zip(&mut found.score) {
            let Some(scores) = scores else { continue };
            found.loss -= share * scores.policy.iter().sum::<f64>();
            *score = vec![-share; scores.policy.len()];
        }
        found
    }

    /// At β = 1: the method has none.
    fn reward(&self, scores: &TokenScores) -> f64 {
        scores.log_ratio()
    }
}
