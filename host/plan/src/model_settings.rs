//! Settings of language models that methods and plans share: sampling, optimizers, how a KL divergence is estimated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Problems;

/// Tokens of a prompt or an answer.
const TOKENS_MAX: u64 = 1 << 20;

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Logits are divided by it, in sampling and in training alike; 0: the likeliest token (never in training).
    pub temperature: f64,
    /// Only the likeliest so many tokens; 0: all.
    pub top_k: u32,
    /// Only the likeliest tokens whose probabilities reach this sum; 1: all.
    pub top_p: f64,
    /// Tokens of one response, the end-of-sequence token included.
    pub max_new_tokens: u32,
}

impl Sampling {
    /// Whether some tokens are never drawn.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.temperature > 0.0 && (self.top_k > 0 || self.top_p < 1.0)
    }

    /// How answers are sampled; the keys are those of temperature, `top_p` and `max_new_tokens`.
    pub(crate) fn check(&self, [temperature, top_p, max_new_tokens]: [&str; 3], problems: &mut Problems) {
        problems.not_negative(temperature, self.temperature);
        problems.require(self.top_p > 0.0 && self.top_p <= 1.0, top_p, || {
            format!("{}; expected a number in (0, 1]", self.top_p)
        });
        problems.whole(max_new_tokens, u64::from(self.max_new_tokens), 1, TOKENS_MAX);
    }
}

/// Which distribution's log-probabilities are trained. A plan says it, so that those of versions that trained on the whole vocabulary whatever
/// was sampled go on as they were planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainedOn {
    /// The policy over the whole vocabulary.
    #[default]
    Vocabulary,
    /// What was sampled from: the policy on the tokens that `top_k` and `top_p` leave, renormalized, and the reference on the same ones.
    Sampled,
}

impl TrainedOn {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub(crate) fn is_vocabulary(&self) -> bool {
        *self == Self::Vocabulary
    }
}

/// How the KL term enters the gradient (docs/game.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlGradient {
    /// Coefficient `β · Σ_{s≥t} k1_s` on `log π(y_t)`: unbiased.
    #[default]
    RewardToGo,
    /// β · `Σ_t` `KL_t` over the whole vocabulary, differentiated, plus the detached `Σ_{s>t} KL_s` as return-to-go: unbiased.
    Exact,
    /// β · ½ (`Σ_t` log-ratio)², differentiated: unbiased.
    DifferentiatedK2,
    /// The paper's code: the detached estimate of that same token as coefficient; biased.
    Paper,
    /// GRPO alone, as published: k3 of every token in the loss, `β · (π_ref/π − log(π_ref/π) − 1)`, differentiated: coefficient
    /// `β · (1 − π_ref/π)`. In expectation the gradient of the *forward* divergence KL(`π_ref` ‖ π) of every token.
    DifferentiatedK3,
}

/// An estimate of KL(π ‖ `π_ref`) from one token, r = log `π_ref` − log π (Schulman, "Approximating KL divergence").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// −r
    #[default]
    K1,
    /// r² / 2
    K2,
    /// exp(r) − 1 − r, r clamped to ±40.
    K3,
}

/// What the Follower's reference policy is conditioned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowerReference {
    /// The Follower's own context: x, y and the instruction.
    #[default]
    Context,
    /// x alone: one further pass of the reference.
    Prompt,
}

/// Whether Leader and Follower are one set of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// One model plays both roles.
    #[default]
    Shared,
    /// Two adapters over one frozen base.
    Separate,
}

/// The first-order rule of a language model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelOptimizer {
    /// Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101).
    Adamw {
        /// β₁
        adam_beta1: f64,
        /// β₂
        adam_beta2: f64,
        /// ε
        adam_epsilon: f64,
        /// Decay of matrices; vectors (norms, biases) are never decayed.
        weight_decay: f64,
    },
    /// Step = learning rate × gradient.
    Sgd,
}

/// The first-order rule's name in a TOML.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (arXiv 1711.05101).
    #[default]
    Adamw,
    /// Step = learning rate × gradient.
    Sgd,
}
