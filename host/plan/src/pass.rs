//! What a method and a model's engine tell each other of one pass: scores of the answers' tokens go up, the loss's
//! slopes in them come down. They stand here because neither crate may know the other.

use serde::{Deserialize, Serialize};

/// What a forward pass found of one answer, token by token, at the training temperature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenScores {
    /// `log π(y_t | …)`, in nats.
    pub policy: Vec<f64>,
    /// `log π_ref(y_t | …)`.
    pub reference: Vec<f64>,
    /// `KL(π(· | …) ‖ π_ref(· | …))` over the whole vocabulary; empty unless it was asked for.
    pub exact_kl: Vec<f64>,
    /// Entropy of π(· | …), in nats.
    pub entropy: Vec<f64>,
}

impl TokenScores {
    /// `Σ_t log π(y_t) − log π_ref(y_t)`: the k1 estimate of the whole answer's KL divergence, in nats.
    #[must_use]
    pub fn log_ratio(&self) -> f64 {
        self.policy.iter().zip(&self.reference).map(|(policy, reference)| policy - reference).sum()
    }

    /// The best estimate of the answer's KL divergence that was computed: over the whole vocabulary, or k1.
    #[must_use]
    pub fn kl(&self) -> f64 {
        if self.exact_kl.is_empty() { self.log_ratio() } else { self.exact_kl.iter().sum() }
    }
}

/// Both answers of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairScores {
    /// Of y.
    pub leader: TokenScores,
    /// Of y′.
    pub follower: Option<TokenScores>,
}

/// What a method makes of one answer. The loss's gradient is
/// `Σ_t score[t] · ∇ log π(y_t) + Σ_t exact_kl[t] · ∇ KL_t`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenWeights {
    /// `∂loss/∂log π(y_t)`, one a token.
    pub score: Vec<f64>,
    /// `∂loss/∂KL_t`, one a token, or empty.
    pub exact_kl: Vec<f64>,
}

/// Both answers of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairWeights {
    /// Of y.
    pub leader: TokenWeights,
    /// Of y′; `None` where it is not trained on.
    pub follower: Option<TokenWeights>,
}

/// What a forward pass found of a closed set of n answers to one prompt: ℓ, the sum over an answer's tokens of
/// log softmax(z / T), in nats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerSetScores {
    /// ℓ(a | x), n entries.
    pub leader: Vec<f64>,
    /// ℓ(a′ | x, a), row-major n × n, row a; empty for a method with one policy.
    pub follower: Vec<f64>,
}

/// What a method makes of a closed set: ∂loss/∂ℓ, laid out as [`AnswerSetScores`]. Every token of an answer has its answer's number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerSetWeights {
    /// n entries.
    pub leader: Vec<f64>,
    /// n × n, or empty.
    pub follower: Vec<f64>,
}

/// What a forward and backward pass cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// Tokens that went through the trained policy, padding not counted.
    pub tokens: u64,
    /// Floating-point operations: 4 for each weight a token goes through with adapters and 6 with full training, 2 in
    /// the reference; the output matrix counts at scored tokens only; attention by the squares of the lengths.
    pub operations: f64,
    /// Forward passes, the reference's included.
    pub forward_passes: u32,
}

impl Passed {
    /// Counts another pass.
    pub fn add(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.operations += other.operations;
        self.forward_passes += other.forward_passes;
    }
}
