//! GRPO (Shao et al., arXiv 2402.03300, equations 3 and 21; without its two divisions: Dr. GRPO, Liu et al., arXiv 2503.20783).
//!
//! ```text
//! A_i = (r_i − mean_j r_j) / (std_j r_j + 1e-4)                    `scale_rewards = "none"`: without the division
//! L_i = −(1/|y_i|) Σ_t min[ ρ_t A_i, clip(ρ_t, 1 − ε, 1 + ε) A_i ] + KL term / |y_i|,     ρ_t = π(y_t)/π_old(y_t)
//! ```
//!
//! `loss_type = "dr_grpo"` divides by `max_new_tokens` in the place of |y|; the KL term is by `kl_gradient`, the published one
//! (k3, differentiated) unless another is asked for. Rewards without a plugin are mean labels, as RLOO's.
//!
//! Where a run ends: let Ā(y) be the mean of `A_i` given `y_i` = y, which is `(k − 1)/k · (r(y) − E_π r)` without scaling (the mean
//! over the group contains `r_i` itself; on verdicts it always is ½ and nothing shrinks). For a token v after the tokens h,
//! `u(v|h) = E_π[1/|y| | h, v]`, `a(v|h) = E_π[Ā(y)/|y| | h, v]` and a number c(h) that makes the probabilities sum to 1,
//!
//! ```text
//! differentiated_k3   π(v|h) = π_ref(v|h) · β u / (c(h) + β u − a)
//! differentiated_k2   π(y)   = π_ref(y) · exp[ (Ā(y) + c |y|) / β ],      c = β KL(π ‖ π_ref) / E_π|y|
//! ```
//!
//! and `reward_to_go`'s is k2's where answers have at most two tokens. A short answer's tokens count for more, in advantages
//! and in KL alike, and what balances them pays c for every token: unlike RLHF's, the end depends on lengths. With
//! `dr_grpo` u is a constant: k2, `reward_to_go` and `exact` end at RLHF's policy at `β · k/(k − 1)`, and k3 at
//! `π(v|h) = β π_ref(v|h) / (c(h) − E_π[Ā | h, v])`, of one token `β π_ref/(c − Ā)` with either type.
//! Scaling is in Ā: every prompt's advantages have one size whatever its rewards are (`docs/game.md`).

use slhf_plan::{Grpo, GrpoLossType, KlGradient, LanguageTraining, ScaleRewards};

use super::divergence::{AnswerLoss, KlTerm, WeighError};
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, weighed};
use super::rloo::outcomes_from_verdicts;
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::{clipped_derivative, divisor};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrpoLoss {
    /// The KL term.
    pub kl: KlTerm,
    /// By what advantages are divided.
    pub scale_rewards: ScaleRewards,
    /// By what sums over tokens are divided.
    pub loss_type: GrpoLossType,
    /// ε
    pub epsilon: f64,
    /// Updates on the same samples.
    pub num_iterations: u32,
    /// Tokens an answer may have.
    pub max_new_tokens: u32,
}

impl GrpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Grpo<LanguageTraining>) -> Self {
        Self {
            kl: KlTerm::of(&method.training),
            scale_rewards: method.scale_rewards,
            loss_type: method.own.loss_type,
            epsilon: method.epsilon,
            num_iterations: method.num_iterations,
            max_new_tokens: method.training.sampling.max_new_tokens,
        }
    }

    /// `A_i`, each times what a sum over the answer's tokens is multiplied by.
    fn advantages(&self, outcomes: &[AnswerOutcome]) -> Vec<f64> {
        let count = outcomes.len() as f64;
        let mean = outcomes.iter().map(|outcome| outcome.reward).sum::<f64>() / count;
        let squares: f64 = outcomes.iter().map(|outcome| (outcome.reward - mean).powi(2)).sum();
        let divisor = divisor(squares / (count - 1.0).max(1.0), self.scale_rewards);
        outcomes.iter().map(|outcome| (outcome.reward - mean) / divisor).collect()
    }

    /// Coefficients of one answer: the clipped surrogate's `−A ρ_t` where it is not flat, and the KL term's.
    fn answer(&self, advantage: f64, scores: &slhf_plan::TokenScores, sampled: &[f64]) -> AnswerLoss {
        let mut loss = self.kl.loss(0.0, scores);
        for ((slot, now), then) in loss.score.iter_mut().zip(&scores.policy).zip(sampled) {
            let ratio = libm::exp(now - then);
            let held = ratio.clamp(1.0 - self.epsilon, 1.0 + self.epsilon);
            loss.loss -= (ratio * advantage).min(held * advantage);
            *slot += clipped_derivative(ratio, advantage, self.epsilon);
        }
        loss
    }
}

impl GroupLoss for GrpoLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        outcomes_from_verdicts(verdicts, penalties)
    }

    fn needs_whole_groups(&self) -> bool {
        true
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(self.kl.gradient == KlGradient::Exact)?;
        let one = |(index, advantage): (usize, f64)| {
            let scores = &group.scores[index].leader;
            let tokens = match self.loss_type {
                GrpoLossType::Grpo => scores.policy.len(),
                GrpoLossType::DrGrpo => self.max_new_tokens as usize,
            };
            weighed(self.answer(advantage, scores, group.sampled(index)), factor / tokens.max(1) as f64)
        };
        self.advantages(group.outcomes).into_iter().enumerate().map(one).collect()
    }
}
