//! The KL term of one answer, as coefficients of its log-probabilities, by `kl_gradient`.
//!
//! Notation: `r_t` = log `π(y_t` | …) − log `π_ref`(`y_t` | …), so that E[`Σ_t` `r_t`] = KL(π ‖ `π_ref`) of the whole answer, in nats.

use slhf_plan::{KlEstimator, KlGradient, LanguageTraining, TokenScores};

use crate::derivatives::{RATIO_MAX, forward_share, k3_derivative};

/// Why the scores of an answer cannot be turned into coefficients.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreProblem {
    /// Lists of different lengths.
    #[error("the policies gave {found} {what} for a response of {expected} tokens; expected one a token")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Tokens of the answer.
        expected: usize,
    },
    /// A number that is none.
    #[error("{what} of token {} is {value}; expected a finite number", token + 1)]
    NotFinite {
        /// Which list.
        what: &'static str,
        /// The token's position in its answer, from 0.
        token: usize,
        /// What was found.
        value: f64,
    },
    /// The loss itself overflowed.
    #[error("the loss is {value}; expected a finite number")]
    Loss {
        /// What was found.
        value: f64,
    },
    /// A pair that has a Follower's answer and no scores of it.
    #[error("the policies gave no scores of a Follower's response")]
    NoFollower,
}

/// Whose answer could not be turned into coefficients.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the {agent}'s response cannot be trained on")]
pub struct WeighError {
    /// `Leader` or `Follower`.
    pub agent: &'static str,
    /// Why.
    #[source]
    pub source: ScoreProblem,
}

/// How the KL term of one agent enters the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlTerm {
    /// τ of the agent: β for the Leader, `β_F` for the Follower.
    pub beta: f64,
    /// The kind.
    pub gradient: KlGradient,
    /// The estimate that `paper` uses.
    pub estimator: KlEstimator,
}

/// The coefficients of one answer and the value of the loss they differentiate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AnswerLoss {
    pub(crate) score: Vec<f64>,
    pub(crate) exact_kl: Vec<f64>,
    pub(crate) loss: f64,
}

/// Refuses lists of the wrong length and numbers that are not finite.
pub(crate) fn check_scores(scores: &TokenScores, tokens: usize, wants_exact: bool) -> Result<(), ScoreProblem> {
    let exact = if wants_exact { tokens } else { scores.exact_kl.len() };
    let lists: [(&'static str, &[f64], usize); 4] = [
        ("log-probabilities", &scores.policy, tokens),
        ("log-probabilities of the reference", &scores.reference, tokens),
        ("KL divergences over the vocabulary", &scores.exact_kl, exact),
        ("entropies", &scores.entropy, scores.entropy.len()),
    ];
    for (what, values, expected) in lists {
        if values.len() != expected {
            return Err(ScoreProblem::Length { what, found: values.len(), expected });
        }
        if let Some(token) = values.iter().position(|value| !value.is_finite()) {
            return Err(ScoreProblem::NotFinite { what, token, value: values[token] });
        }
    }
    Ok(())
}

impl KlTerm {
    /// As planned for the only policy, or for the Leader.
    #[must_use]
    pub fn of(training: &LanguageTraining) -> Self {
        Self { beta: training.beta, gradient: training.kl_gradient, estimator: training.kl_estimator }
    }

    /// Coefficients of `−advantage · Σ_t log π(y_t) + KL term`. `paper` leaves each token its own estimate,
    /// `differentiated_k3` is a gradient of the forward divergence (see [`KlGradient`]); every other kind is an unbiased
    /// gradient of β · KL(π ‖ `π_ref`) over answers.
    pub(crate) fn loss(&self, advantage: f64, scores: &TokenScores) -> AnswerLoss {
        let ratios: Vec<f64> = scores.policy.iter().zip(&scores.reference).map(|(p, r)| p - r).collect();
        let surrogate = |coefficients: &[f64]| -> f64 {
            coefficients.iter().zip(&scores.policy).map(|(coefficient, log)| coefficient * log).sum()
        };
        let plain: f64 = -advantage * scores.policy.iter().sum::<f64>();
        let (kl, exact_kl, kl_loss) = match self.gradient {
            KlGradient::RewardToGo => {
                let kl = scaled(self.beta, &to_go(&ratios, true));
                let loss = surrogate(&kl);
                (kl, Vec::new(), loss)
            }
            KlGradient::Exact => {
                let kl = scaled(self.beta, &to_go(&scores.exact_kl, false));
                let loss = surrogate(&kl) + self.beta * scores.exact_kl.iter().sum::<f64>();
                (kl, vec![self.beta; scores.exact_kl.len()], loss)
            }
            KlGradient::DifferentiatedK2 => {
                let sum: f64 = ratios.iter().sum();
                (vec![self.beta * sum; ratios.len()], Vec::new(), self.beta * 0.5 * sum * sum)
            }
            KlGradient::Paper => {
                let kl: Vec<f64> = ratios.iter().map(|&ratio| self.beta * estimate(self.estimator, ratio)).collect();
                let loss = surrogate(&kl);
                (kl, Vec::new(), loss)
            }
            KlGradient::DifferentiatedK3 => {
                let kl: Vec<f64> = ratios.iter().map(|&ratio| self.beta * k3_derivative(ratio)).collect();
                let loss = self.beta * ratios.iter().map(|&ratio| estimate(KlEstimator::K3, ratio)).sum::<f64>();
                (kl, Vec::new(), loss)
            }
        };
        let score = kl.into_iter().map(|kl| kl - advantage).collect();
        AnswerLoss { score, exact_kl, loss: plain + kl_loss }
    }
}

/// A KL term of which a share is the forward divergence's (RSPO, arXiv 2503.00030): `β [(1 − w) KL(π ‖ π_ref) + w Σ_t KL(π_ref ‖ π)(y_<t)]`, the second
/// one of every token after tokens of π, which are not differentiated: the number that is GRPO's `differentiated_k3`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HeldTerm {
    /// β, and how the first divergence enters the gradient.
    pub(crate) kl: KlTerm,
    /// w, in [0, 1].
    pub(crate) forward: f64,
}

impl HeldTerm {
    /// As [`KlTerm::loss`].
    pub(crate) fn loss(&self, advantage: f64, scores: &TokenScores) -> AnswerLoss {
        let reverse = KlTerm { beta: (1.0 - self.forward) * self.kl.beta, ..self.kl };
        let loss = reverse.loss(advantage, scores);
        if self.forward == 0.0 {
            return loss;
        }
        let gradient = KlGradient::DifferentiatedK3;
        loss.plus(&KlTerm { beta: self.forward * self.kl.beta, gradient, ..self.kl }.loss(0.0, scores))
    }

    /// An answer's share of its divergence: over answers of π the mean is `(1 − w) KL(π ‖ π_ref) + w Σ_t E KL(π_ref ‖ π)(y_<t)`.
    pub(crate) fn share(&self, scores: &TokenScores) -> f64 {
        if self.forward == 0.0 {
            return scores.log_ratio();
        }
        let ratios = scores.policy.iter().zip(&scores.reference).map(|(policy, reference)| policy - reference);
        (1.0 - self.forward) * scores.log_ratio() + self.forward * ratios.map(forward_share).sum::<f64>()
    }
}

impl AnswerLoss {
    /// The sum of two losses of one answer; the other has no KL divergence over the vocabulary.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        for (own, other) in self.score.iter_mut().zip(&other.score) {
            *own += other;
        }
        self.loss += other.loss;
        self
    }

    /// Everything times a number; the loss must be finite.
    pub(crate) fn times(mut self, factor: f64) -> Result<Self, ScoreProblem> {
        for value in self.score.iter_mut().chain(&mut self.exact_kl) {
            *value *= factor;
        }
        // A loss that overflowed has coefficients that did, or log-probabilities that are not finite; not the reverse.
        let worst = self.score.iter().copied().find(|value| !value.is_finite()).unwrap_or(self.loss);
        if worst.is_finite() { Ok(self) } else { Err(ScoreProblem::Loss { value: worst }) }
    }
}

/// The estimate of one token's KL from its ratio log π − log `π_ref` (Schulman's k1, k2, k3).
pub(crate) fn estimate(estimator: KlEstimator, ratio: f64) -> f64 {
    match estimator {
        KlEstimator::K1 => ratio,
        KlEstimator::K2 => 0.5 * ratio * ratio,
        KlEstimator::K3 => {
            let inverse = (-ratio).clamp(-RATIO_MAX, RATIO_MAX);
            libm::expm1(inverse) - inverse
        }
    }
}

/// Σ_{s≥t}, or Σ_{s>t}, of every t.
fn to_go(values: &[f64], inclusive: bool) -> Vec<f64> {
    let mut sums = vec![0.0; values.len()];
    let mut sum = 0.0;
    for (slot, value) in sums.iter_mut().zip(values).rev() {
        let after = sum;
        sum += value;
        *slot = if inclusive { sum } else { after };
    }
    sums
}

fn scaled(factor: f64, values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| factor * value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> TokenScores {
        TokenScores {
            policy: vec![-0.5, -2.0, -1.0],
            reference: vec![-1.0, -1.0, -3.0],
            exact_kl: vec![0.3, 0.2, 0.1],
            entropy: vec![0.7; 3],
        }
    }

    fn coefficients(gradient: KlGradient, estimator: KlEstimator) -> AnswerLoss {
        KlTerm { beta: 2.0, gradient, estimator }.loss(0.25, &scores())
    }

    #[test]
    fn each_kind_has_the_coefficients_of_its_formula() {
        // Ratios: 0.5, −1, 2; to go: 1.5, 1, 2.
        let found = coefficients(KlGradient::RewardToGo, KlEstimator::K1);
        assert_eq!(found.score, [3.0 - 0.25, 2.0 - 0.25, 4.0 - 0.25]);
        assert!(found.exact_kl.is_empty());

        let found = coefficients(KlGradient::Exact, KlEstimator::K1);
        let expected = [2.0 * (0.2 + 0.1) - 0.25, 2.0 * 0.1 - 0.25, -0.25];
        assert!(found.score.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15));
        assert_eq!(found.exact_kl, [2.0; 3]);

        let found = coefficients(KlGradient::DifferentiatedK2, KlEstimator::K1);
        assert_eq!(found.score, [2.0 * 1.5 - 0.25; 3]);
        assert!((found.loss - (0.25 * 3.5 + 2.0 * 0.5 * 1.5 * 1.5)).abs() < 1e-15);

        let found = coefficients(KlGradient::DifferentiatedK3, KlEstimator::K1);
        let expected = [-0.5_f64, 1.0, -2.0].map(|inverse| 2.0 * (1.0 - inverse.exp()) - 0.25);
        assert!(found.score.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{:?}", found.score);
        let k3: f64 = [-0.5_f64, 1.0, -2.0].iter().map(|inverse| inverse.exp() - inverse - 1.0).sum();
        assert!((found.loss - (0.25 * 3.5 + 2.0 * k3)).abs() < 1e-14);

        let found = coefficients(KlGradient::Paper, KlEstimator::K2);
        assert_eq!(found.score, [2.0 * 0.125 - 0.25, 2.0 * 0.5 - 0.25, 2.0 * 2.0 - 0.25]);
    }

    #[test]
    fn the_estimators_agree_with_their_definitions() {
        assert_eq!(estimate(KlEstimator::K1, -0.3), -0.3);
        assert_eq!(estimate(KlEstimator::K2, -0.3), 0.045);
        assert!((estimate(KlEstimator::K3, -0.3) - (0.3_f64.exp() - 1.0 - 0.3)).abs() < 1e-15);
        assert_eq!(estimate(KlEstimator::K3, -90.0), estimate(KlEstimator::K3, -40.0));
    }

    #[test]
    fn what_is_not_finite_or_of_another_length_is_named() {
        let mut broken = scores();
        broken.reference[1] = f64::NAN;
        let sentence = check_scores(&broken, 3, false).unwrap_err().to_string();
        assert_eq!(sentence, "log-probabilities of the reference of token 2 is NaN; expected a finite number");
        let inexact = TokenScores { exact_kl: Vec::new(), ..scores() };
        let sentence = check_scores(&inexact, 3, true).unwrap_err().to_string();
        assert!(sentence.contains("0 KL divergences over the vocabulary for a response of 3 tokens"), "{sentence}");
        assert!(check_scores(&scores(), 2, false).is_err());
        assert_eq!(check_scores(&scores(), 3, true), Ok(()));
    }
}
