//! Nash-MD-PG (Munos et al., arXiv 2312.00886, section 7, equation 10): self-play against the mixture of policy and reference.
//!
//! The opponent y′ is not differentiated; with the label `ℓ = ½ [p(y ≻ y′) + 1 − p(y′ ≻ y)]` of both orders
//!
//! ```text
//! L = −[ ℓ − b ] · Σ_t log π(y_t) + β · KL(π ‖ π_ref)
//! ```
//!
//! with the KL term by `kl_gradient` and b by `score_baseline`. At a constant m the fixed point is
//! `π ∝ π_ref · exp(ℓ π_m / β)`; with m = 0, or m → 0, it is the regularised Nash policy.
//!
//! With `regularizer` the KL term is `β [(1 − w) KL(π ‖ π_ref) + w Σ_t KL(π_ref ‖ π)(y_<t)]` (RSPO, Tang et al., arXiv 2503.00030), the second
//! divergence of every token after tokens of π, which are not differentiated: the number that is GRPO's `differentiated_k3`. Of one token
//! the fixed point is where `ℓ π_m − β [(1 − w) log(π/π_ref) + w (1 − π_ref/π)]` is the same for every answer.
//!
//! `π_m` mixes *token by token*, `π_m(y_t | …) ∝ π(y_t | …)^(1−m) · π_ref(y_t | …)^m` with a norm of its own at every token. For
//! answers of one token, and at m = 0 and m = 1, that is the paper's mixture of whole answers, which Nash-MD's convergence is
//! proved for; else it is another policy (the norms depend on what came before), which the paper's own experiments sample too.

use slhf_plan::{KlGradient, LanguageTraining, NashMd, PairScores};

use super::divergence::{HeldTerm, KlTerm, WeighError};
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, weighed};
use super::rloo::outcomes_from_verdicts;
use super::stackelberg_gda::WeighedPair;

/// See the module; the opponent is the loop's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NashMdLoss {
    /// The KL term.
    pub kl: KlTerm,
    /// w, the share of β that is the forward divergence's, in [0, 1].
    pub forward: f64,
}

impl NashMdLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &NashMd<LanguageTraining>) -> Self {
        Self { kl: KlTerm::of(&method.training), forward: method.own.regularizer.forward() }
    }

    fn term(&self) -> HeldTerm {
        HeldTerm { kl: self.kl, forward: self.forward }
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
        let one = |(scores, outcome): (&PairScores, &AnswerOutcome)| {
            weighed(self.term().loss(outcome.reward - outcome.baseline, &scores.leader), factor)
        };
        group.scores.iter().zip(group.outcomes).map(one).collect()
    }
}
