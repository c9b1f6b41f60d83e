//! DPO (Rafailov et al., arXiv 2305.18290, equation 7) on pairs of a file.
//!
//! ```text
//! L = −ℓ log σ(β h) − (1 − ℓ) log σ(−β h),     h = log π(y)/π_ref(y) − log π(y′)/π_ref(y′)
//! ∂L/∂log π(y) = −β [ℓ − σ(β h)],              the opposite for y′
//! ```
//!
//! with ℓ = 1 where the file says that y is better: the published loss. A file that says a probability is taken at its word (ℓ is it), which
//! is the expectation of the published loss over labels drawn from it. `label_smoothing` ε takes ℓ to `(1 − ε) ℓ + ε (1 − ℓ)`
//! (conservative DPO). Where the pairs' labels are those of a Bradley–Terry model of rewards r and every pair is there, the minimum is
//! `π ∝ π_ref exp(r/β)` (ε = 0; the paper's equations 4 and 5).

use slhf_plan::{Dpo, Labels, LanguageTraining, LogRatio, TokenScores};

use super::loss::{PairOfScores, PreferenceLoss, WeighedResponses, log_ratio, of_difference};
use crate::derivatives::{dpo_derivative, rounded, softplus_of_minus};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpoLoss {
    /// β
    pub beta: f64,
    /// What the file says.
    pub labels: Labels,
    /// What is made of a response's tokens.
    pub log_ratio: LogRatio,
    /// ε
    pub label_smoothing: f64,
}

impl DpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Dpo<LanguageTraining>) -> Self {
        let Dpo { labels, log_ratio, label_smoothing, ref training, .. } = *method;
        Self { beta: training.beta, labels, log_ratio, label_smoothing }
    }
}

impl PreferenceLoss for DpoLoss {
    fn label(&self, first_is_better: f64) -> f64 {
        let label = rounded(first_is_better, self.labels);
        (1.0 - self.label_smoothing) * label + self.label_smoothing * (1.0 - label)
    }

    fn weigh(&self, label: f64, scores: PairOfScores<'_>) -> WeighedResponses {
        of_difference(scores, self.log_ratio, |h| {
            let z = self.beta * h;
            // −ℓ log σ(z) − (1 − ℓ) log σ(−z) = −log σ(z) + (1 − ℓ) z.
            let loss = softplus_of_minus(z) + (1.0 - label) * z;
            // That of `dpo_derivative` is of both orders of a pair.
            (loss, 0.5 * dpo_derivative(self.beta, h, label))
        })
    }

    fn reward(&self, scores: &TokenScores) -> f64 {
        self.beta * log_ratio(scores, self.log_ratio).0
    }
}
