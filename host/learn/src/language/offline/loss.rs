//! What a method makes of a pair of responses with a label.

use slhf_plan::{LogRatio, TokenScores};

/// Scores of both responses of a pair; `None`: the method does not read it.
pub type PairOfScores<'a> = [Option<&'a TokenScores>; 2];

/// What a method makes of a pair, before it is divided by what all pairs of a step weigh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeighedResponses {
    /// The pair's loss.
    pub loss: f64,
    /// `∂loss/∂log π(y_t)` of each response, one a token; empty where it has none.
    pub score: [Vec<f64>; 2],
}

/// A method that learns from pairs with labels ℓ, the probability that the first response is better. The loss of a step is
/// `Σ loss / Σ weight` over its pairs.
pub trait PreferenceLoss: std::fmt::Debug + Send + Sync {
    /// The label as the method takes it.
    fn label(&self, first_is_better: f64) -> f64;

    /// Whether both responses of a pair are compared with each other, so that their rewards say something in every step.
    fn compares(&self) -> bool {
        true
    }

    /// Which responses of a pair are read; the others cost nothing.
    fn reads(&self, _label: f64) -> [bool; 2] {
        [true; 2]
    }

    /// What a pair weighs of a step, whose responses have so many tokens.
    fn weight(&self, _label: f64, _tokens: [usize; 2]) -> f64 {
        1.0
    }

    /// Of a pair; scores are there of the responses that are read.
    fn weigh(&self, label: f64, scores: PairOfScores<'_>) -> WeighedResponses;

    /// The reward that the policy's log-probabilities stand for.
    fn reward(&self, scores: &TokenScores) -> f64;
}

/// `Σ_t log π(y_t) − log π_ref(y_t)`, or its mean over the tokens; and the derivative of either in each `log π(y_t)`.
pub(super) fn log_ratio(scores: &TokenScores, kind: LogRatio) -> (f64, f64) {
    let share = match kind {
        LogRatio::Sum => 1.0,
        LogRatio::Mean => 1.0 / scores.policy.len().max(1) as f64,
    };
    (share * scores.log_ratio(), share)
}

/// The loss of `h`, the difference of both responses' log-ratios, and its derivative, as coefficients of the tokens.
pub(super) fn of_difference(
    scores: PairOfScores<'_>,
    kind: LogRatio,
    of: impl FnOnce(f64) -> (f64, f64),
) -> WeighedResponses {
    let [Some(first), Some(second)] = scores else { return WeighedResponses::default() };
    let [(one, share), (other, other_share)] = [first, second].map(|scores| log_ratio(scores, kind));
    let (loss, derivative) = of(one - other);
    let score = [vec![derivative * share; first.policy.len()], vec![-derivative * other_share; second.policy.len()]];
    WeighedResponses { loss, score }
}
