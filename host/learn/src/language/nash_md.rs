//! Nash-MD-PG (Munos et al., arXiv 2312.00886, section 7, equation 10): self-play against the mixture of policy and reference.
//!
//! The opponent y′ comes from `π_m ∝ π^(1−m) · π_ref^m`, token by token, and is not differentiated; with verdict p = p(y ≻ y′)
//!
//! ```text
//! L = −[ p − b ] · Σ_t log π(y_t) + β · KL(π ‖ π_ref)
//! ```
//!
//! with the KL term by `kl_gradient` and b by `score_baseline`. At a constant m the fixed point is
//! `π ∝ π_ref · exp(P π_m / β)`; with m = 0, or m → 0, it is the regularised Nash policy.

use slhf_plan::{KlGradient, LanguageTraining};

use super::divergence::{KlTerm, WeighError};
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, weighed};
use super::rloo::outcomes_from_verdicts;
use super::stackelberg_gda::WeighedPair;

/// See the module; the opponent is the loop's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NashMdLoss {
    /// The KL term.
    pub kl: KlTerm,
}

impl NashMdLoss {
    /// As planned.
    #[must_use]
    pub fn of(training: &LanguageTraining) -> Self {
        Self { kl: KlTerm::of(training) }
    }
}

impl GroupLoss for NashMdLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        outcomes_from_verdicts(verdicts, penalties)
    }

    fn needs_whole_groups(&self) -> bool {
        false
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(self.kl.gradient == KlGradient::Exact)?;
        let one = |(scores, outcome): (&slhf_plan::PairScores, &AnswerOutcome)| {
            weighed(self.kl.loss(outcome.reward - outcome.baseline, &scores.leader), factor)
        };
        group.scores.iter().zip(group.outcomes).map(one).collect()
    }
}
