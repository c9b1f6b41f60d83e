//! GRPO (Shao et al., arXiv 2402.03300, equations 3 and 21; without its two divisions: Dr. GRPO, Liu et al., arXiv 2503.20783).
//!
//! ```text
//! A_i = (r_i − mean_j r_j) / (std_j r_j + 1e-4)                    `scale_rewards = "none"`: without the division
//! L_i = −(1/|y_i|) Σ_t min[ ρ_t A_i, clip(ρ_t, 1 − ε, 1 + ε) A_i ] + KL term / |y_i|,     ρ_t = π(y_t)/π_old(y_t)
//! ```
//!
//! `loss_type = "dr_grpo"` divides by `max_new_tokens` in the place of |y|, `"dapo"` by the mean length of the prompt's answers (DAPO, Yu et
//! al., arXiv 2503.14476, equation 12: the sum over all tokens of the prompt over their number); `epsilon_high` is the ε of the upper bound
//! (equation 10). `importance_sampling_level = "sequence"` puts the answer's own ratio in the place of every token's (GSPO, Zheng et al., arXiv
//! 2507.18071, equations 5 and 7), so that with the published `loss_type`
//!
//! ```text
//! L_i = −min[ s_i A_i, clip(s_i) A_i ],   s_i = (π(y_i)/π_old(y_i))^(1/|y_i|),   ∂L_i/∂log π(y_t) = −s_i A_i / |y_i| where it is not flat
//! ```
//!
//! `dynamic_sampling` and `overlong_penalty` (equations 11 and 13) are the loop's: what is left out before the passes, and what rewards are.
//!
//! The KL term is by `kl_gradient`, the published one
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
//! With `dapo` 1/|y| is `U(y) = E[k / Σ_j |y_j| | y_i = y]` and Ā(y)/|y| is `E[A_i k / Σ_j |y_j| | y_i = y]` (`docs/language-models.md`).
//! Scaling is in Ā: every prompt's advantages have one size whatever its rewards are (`docs/game.md`).

use slhf_plan::{
    DynamicSampling, Grpo, GrpoLossType, ImportanceSamplingLevel, KlGradient, LanguageTraining, OverlongPenalty,
    ScaleRewards, TokenScores,
};

use super::clipped::ClippedRatios;
use super::divergence::{AnswerLoss, KlTerm, WeighError};
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, weighed};
use super::rloo::outcomes_from_verdicts;
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::{ClipRange, divisor};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrpoLoss {
    /// The KL term.
    pub kl: KlTerm,
    /// By what advantages are divided.
    pub scale_rewards: ScaleRewards,
    /// By what sums over tokens are divided.
    pub loss_type: GrpoLossType,
    /// What has one ratio.
    pub importance_sampling_level: ImportanceSamplingLevel,
    /// Whether prompts whose answers all have the same reward count.
    pub dynamic_sampling: DynamicSampling,
    /// What long answers lose.
    pub overlong_penalty: Option<OverlongPenalty>,
    /// ε
    pub epsilon: f64,
    /// In its place above 1.
    pub epsilon_high: Option<f64>,
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
            importance_sampling_level: method.own.importance_sampling_level,
            dynamic_sampling: method.own.dynamic_sampling,
            overlong_penalty: method.own.overlong_penalty,
            epsilon: method.epsilon,
            epsilon_high: method.epsilon_high,
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

    /// The ratio of every token to when it was sampled: its own, or its answer's.
    fn ratios(&self, policy: &[f64], sampled: &[f64]) -> Vec<f64> {
        let moved = policy.iter().zip(sampled).map(|(now, then)| now - then);
        match self.importance_sampling_level {
            ImportanceSamplingLevel::Token => moved.map(libm::exp).collect(),
            ImportanceSamplingLevel::Sequence => {
                let mean = moved.sum::<f64>() / policy.len().max(1) as f64;
                vec![libm::exp(mean); policy.len()]
            }
        }
    }

    /// Coefficients of one answer: the clipped surrogate's `−A ρ_t` where it is not flat, and the KL term's.
    fn answer(&self, advantage: f64, scores: &TokenScores, sampled: &[f64]) -> (AnswerLoss, ClippedRatios) {
        let range = ClipRange::new(self.epsilon, self.epsilon_high);
        let mut loss = self.kl.loss(0.0, scores);
        let ratios = self.ratios(&scores.policy, sampled);
        for (slot, &ratio) in loss.score.iter_mut().zip(&ratios) {
            loss.loss += range.loss(ratio, advantage);
            *slot += range.derivative(ratio, advantage);
        }
        let counted = match self.importance_sampling_level {
            ImportanceSamplingLevel::Token => &ratios[..],
            ImportanceSamplingLevel::Sequence => &ratios[..ratios.len().min(1)],
        };
        let mut clipped = ClippedRatios::default();
        for &ratio in counted {
            clipped.count(range.clip(ratio, advantage));
        }
        (loss, clipped)
    }

    /// What the sum over an answer's tokens is divided by, `mean_length` the mean of its prompt's answers.
    fn divisor(&self, tokens: usize, mean_length: f64) -> f64 {
        match self.loss_type {
            GrpoLossType::Grpo => tokens.max(1) as f64,
            GrpoLossType::DrGrpo => f64::from(self.max_new_tokens.max(1)),
            GrpoLossType::Dapo => mean_length.max(1.0),
        }
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

    fn clips(&self) -> bool {
        self.num_iterations > 1
    }

    fn drops_constant_groups(&self) -> bool {
        self.dynamic_sampling == DynamicSampling::Drop
    }

    fn length_penalty(&self, tokens: usize) -> f64 {
        self.overlong_penalty.map_or(0.0, |penalty| penalty.of(tokens))
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(self.kl.gradient == KlGradient::Exact)?;
        let tokens: usize = group.scores.iter().map(|scores| scores.leader.policy.len()).sum();
        let mean_length = tokens as f64 / group.scores.len().max(1) as f64;
        let one = |(index, advantage): (usize, f64)| {
            let scores = &group.scores[index].leader;
            let (loss, clipped) = self.answer(advantage, scores, group.sampled(index));
            let weighed = weighed(loss, factor / self.divisor(scores.policy.len(), mean_length))?;
            Ok(WeighedPair { clipped, ..weighed })
        };
        self.advantages(group.outcomes).into_iter().enumerate().map(one).collect()
    }
}
