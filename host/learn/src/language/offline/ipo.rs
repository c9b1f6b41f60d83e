//! IPO (Azar et al., arXiv 2310.12036, equation 17; β is the paper's τ) on pairs of a file.
//!
//! ```text
//! L = (h − 1/(2β))²,       h = log π(y)/π_ref(y) − log π(y′)/π_ref(y′), y the better one
//! ∂L/∂log π(y) = 2 (h − 1/(2β)),       the opposite for y′
//! ```
//!
//! Of a label ℓ between 0 and 1 the loss is its expectation over labels drawn from it, `h² − (2ℓ − 1) h/β + 1/(4β²)`. Where every pair of
//! responses is there with ℓ = p(y ≻ y′), the minimum has `h = (ℓ − ½)/β` as nearly as differences can: `π ∝ π_ref exp(p̂/β)`, p̂ a
//! response's mean ℓ against all of them, itself at ½ (the paper's equation 7, under the uniform distribution of opponents).

use slhf_plan::{Ipo, Labels, LanguageTraining, LogRatio, TokenScores};

use super::loss::{PairOfScores, PreferenceLoss, WeighedResponses, log_ratio, of_difference};
use crate::derivatives::rounded;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IpoLoss {
    /// β
    pub beta: f64,
    /// What the file says.
    pub labels: Labels,
    /// What is made of a response's tokens.
    pub log_ratio: LogRatio,
}

impl IpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Ipo<LanguageTraining>) -> Self {
        let Ipo { labels, log_ratio, ref training, .. } = *method;
        Self { beta: training.beta, labels, log_ratio }
    }
}

impl PreferenceLoss for IpoLoss {
    fn label(&self, first_is_better: f64) -> f64 {
        rounded(first_is_better, self.labels)
    }

    fn weigh(&self, label: f64, scores: PairOfScores<'_>) -> WeighedResponses {
        let wanted = 0.5 / self.beta;
        of_difference(scores, self.log_ratio, |h| {
            let loss = label * (h - wanted).powi(2) + (1.0 - label) * (h + wanted).powi(2);
            (loss, 2.0 * (h - (2.0 * label - 1.0) * wanted))
        })
    }

    fn reward(&self, scores: &TokenScores) -> f64 {
        self.beta * log_ratio(scores, self.log_ratio).0
    }
}
