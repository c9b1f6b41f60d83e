//! EGPO (Zhou, Fazel, Du, arXiv 2503.08942) and OMWU (arXiv 1807.04252; with regularization arXiv 2105.15186) on closed sets: a step of mirror
//! descent in a prompt's game, which the network takes by regression.
//!
//! With `π_t` the policy at the beginning of the step, ℓ the labels, `g_t = ℓ π_t`, τ = β and n answers, the step's target is
//!
//! ```text
//! EGPO   π_½ ∝ π_t^(1 − η τ) · π_ref^(η τ) · exp(η g_t)
//!        T   = (1 − η τ) log π_t + η τ log π_ref + η ℓ π_½
//! OMWU   T   = (1 − η τ) log π_t + η τ log π_ref + η g_t + η (1 − η τ) (g_t − g_last)
//! ```
//!
//! as in [`crate::finite`] on games, and the loss, with d = log π − T, IPO's over pairs that are drawn uniformly, times 1/η:
//!
//! ```text
//! L = 1/(4 η n²) Σ_a Σ_b [d(a) − d(b)]²,       ∂L/∂ℓ(a) = [d(a) − mean d] / (η n)
//! ```
//!
//! At the first update d = η τ `log π/π_ref` − η (payoffs), so that the gradient is the published one. For one logit an answer, plain descent at
//! the rate η n takes the game's step in one update. `π_½` is the closed form of the prompt's own half step and not a second set of
//! weights: on a closed set it is known, whatever the optimizer. `g_last` is of the prompt's last visit: between two its game takes no step.
//!
//! Fixed point: at `π_½ = π_t` and `g_last = g_t` the gradient is 0 where `π ∝ π_ref exp(ℓ π / τ)`, whatever η.

use crate::log_probabilities::log_probabilities;
use crate::problem::{Payoff, Problem};

/// Whose payoffs a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prediction {
    /// Those against the policy to which a first half of the step leads.
    Extragradient,
    /// As if they changed by as much again as since the prompt's last visit.
    Optimistic,
}

/// A step of mirror descent.
#[derive(Clone, Copy, Debug)]
pub(super) struct MirrorStep {
    /// η > 0
    pub(super) eta: f64,
    pub(super) prediction: Prediction,
}

/// Where a step of a prompt leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MirrorTarget {
    /// T, an entry an answer.
    logits: Vec<f64>,
    /// `g_t`, which the next visit extrapolates from; empty where it does not.
    pub(super) payoffs: Vec<f64>,
}

impl MirrorStep {
    /// From log `π_t`; `last`: what the prompt's last visit left.
    pub(super) fn target(&self, problem: &Problem, log_policy: &[f64], last: Option<&[f64]>) -> MirrorTarget {
        let kept = 1.0 - self.eta * problem.tau_leader;
        let now = payoffs(problem, log_policy);
        let toward = |payoffs: &[f64]| -> Vec<f64> {
            let held = log_policy.iter().zip(&problem.log_reference_leader);
            let step = |((log, reference), payoff): ((&f64, &f64), &f64)| {
                kept * log + (1.0 - kept) * reference + self.eta * payoff
            };
            held.zip(payoffs).map(step).collect()
        };
        match self.prediction {
            Prediction::Extragradient => {
                let ahead = log_probabilities(&toward(&now), log_policy.len());
                MirrorTarget { logits: toward(&payoffs(problem, &ahead)), payoffs: Vec::new() }
            }
            Prediction::Optimistic => {
                let last = last.unwrap_or(&now);
                let next: Vec<f64> = now.iter().zip(last).map(|(now, last)| now + kept * (now - last)).collect();
                MirrorTarget { logits: toward(&next), payoffs: now }
            }
        }
    }

    /// −∂L/∂ℓ at log π.
    pub(super) fn ascent(&self, target: &MirrorTarget, log_policy: &[f64]) -> Vec<f64> {
        let n = log_policy.len() as f64;
        let left: Vec<f64> = target.logits.iter().zip(log_policy).map(|(target, log)| target - log).collect();
        let mean = left.iter().sum::<f64>() / n;
        left.iter().map(|left| (left - mean) / (self.eta * n)).collect()
    }
}

/// `ℓ π`
fn payoffs(problem: &Problem, log_policy: &[f64]) -> Vec<f64> {
    let policy: Vec<f64> = log_policy.iter().map(|l| libm::exp(*l)).collect();
    match &problem.payoff {
        Payoff::Pairs(labels) => {
            let won = |row: &[f64]| row.iter().zip(&policy).map(|(label, p)| label * p).sum();
            labels.chunks_exact(policy.len()).map(won).collect()
        }
        Payoff::Scores(scores) => scores.clone(),
    }
}
