//! Divergences that hold a policy to its reference: KL(p ‖ q), KL(q ‖ p), and mixtures of both (RSPO, Tang et al., arXiv 2503.00030).
//!
//! With w the weight of the forward divergence and `r = log(p/q)`
//!
//! ```text
//! D(p) = (1 − w) KL(p ‖ q) + w KL(q ‖ p),        ∂D/∂p = (1 − w) r − w e^(−r) + constant
//! ```
//!
//! The best response to gains g, `argmax g·p − τ D(p)`, is where `(1 − w) r − w e^(−r) = (g − λ)/τ`: at w = 0 `p ∝ q e^(g/τ)`, at w = 1
//! `p = τ q / (λ − g)`, between them one root an action, and one root λ for the sum. The left side rises in r, so that each root is the
//! only one. Under a forward share no probability falls exponentially: `p ≥ w τ q / (w τ + max g − min g)` or so.

use crate::error::GameError;
use crate::numeric::{divergence, divergence_term, dot, exponentials, maximum, normalise_log};
use crate::soft_choice::SoftChoice;

/// The divergence from the reference that a temperature weighs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Divergence {
    forward: f64,
}

/// Newton steps for one root; a root of these takes a dozen.
const ITERATIONS_MAX: usize = 200;

impl Divergence {
    /// KL(p ‖ q) alone, that of the closed forms.
    pub const REVERSE: Self = Self { forward: 0.0 };

    /// `(1 − forward) KL(p ‖ q) + forward KL(q ‖ p)`; checks that `forward` is in [0, 1].
    pub fn new(forward: f64) -> Result<Self, GameError> {
        let holds = (0.0..=1.0).contains(&forward);
        if holds { Ok(Self { forward }) } else { Err(GameError::ForwardShare { value: forward }) }
    }

    /// The weight of KL(q ‖ p), in [0, 1].
    #[must_use]
    pub fn forward(self) -> f64 {
        self.forward
    }

    /// Whether it is KL(p ‖ q).
    #[must_use]
    pub fn is_reverse(self) -> bool {
        self.forward == 0.0
    }

    /// The derivative of D in log p at `r = log(p/q)`, divided by p, without its constant: `(1 − w) r + w (1 − e^(−r))`, which is 0 at p = q. Runs
    /// are trained by it: its bits are the same on every processor.
    #[must_use]
    pub fn slope(self, log_ratio: f64) -> f64 {
        if self.is_reverse() {
            return log_ratio;
        }
        (1.0 - self.forward) * log_ratio - self.forward * libm::expm1(-log_ratio)
    }

    /// What its mean under p is D: `(1 − w) r + w (1 − e^(−r) − r e^(−r))`, whose second part is nowhere below 0.
    #[must_use]
    pub fn share(self, log_ratio: f64) -> f64 {
        if self.is_reverse() {
            return log_ratio;
        }
        let forward = -libm::expm1(-log_ratio) - log_ratio * libm::exp(-log_ratio);
        (1.0 - self.forward) * log_ratio + self.forward * forward
    }

    /// D, in nats, of two distributions given as log-probabilities.
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    pub fn between(self, log_p: &[f64], log_reference: &[f64]) -> f64 {
        let reverse = divergence(log_p, log_reference);
        if self.is_reverse() {
            return reverse;
        }
        (1.0 - self.forward) * reverse + self.forward * divergence(log_reference, log_p)
    }

    /// What p leaves of D's best response q: `max (g·p − τ D) − (g·p − τ D)(p)`, divided by τ. Every term is at least 0.
    pub(crate) fn left_by(self, log_p: &[f64], log_best: &[f64], log_reference: &[f64]) -> f64 {
        let entries = log_p.iter().zip(log_best);
        let reverse = entries.clone().map(|(&p, &q)| divergence_term(p, q)).sum::<f64>();
        if self.is_reverse() {
            return reverse;
        }
        let forward = entries.zip(log_reference).map(|((p, q), reference)| reference.exp() * e_less_tangent(p - q));
        (1.0 - self.forward) * reverse + self.forward * forward.sum::<f64>()
    }

    /// What a player chooses who is held by D; at temperature 0 nothing holds, and all divergences are one.
    pub(crate) fn choice(self, values: &[f64], log_reference: &[f64], temperature: f64) -> SoftChoice {
        if self.is_reverse() || temperature == 0.0 {
            return SoftChoice::of(values, log_reference, temperature);
        }
        let (log_policy, value) = self.best_response(values, log_reference, temperature);
        SoftChoice { log_policy, value, support: (0..values.len()).collect() }
    }

    /// `argmax over p of p·gains − τ D(p)` for τ > 0, as log-probabilities, and the maximum.
    pub(crate) fn best_response(self, gains: &[f64], log_reference: &[f64], temperature: f64) -> (Vec<f64>, f64) {
        if self.is_reverse() {
            let choice = SoftChoice::of(gains, log_reference, temperature);
            return (choice.log_policy, choice.value);
        }
        let best = maximum(gains);
        let short: Vec<f64> = gains.iter().map(|gain| (gain - best) / temperature).collect();
        let level = self.level(&short, log_reference);
        let mut log_policy: Vec<f64> =
            short.iter().zip(log_reference).map(|(short, log)| log + self.log_ratio(short - level)).collect();
        normalise_log(&mut log_policy);
        let lost = dot(&exponentials(&log_policy), &short) - self.between(&log_policy, log_reference);
        (log_policy, best + temperature * lost)
    }

    /// x at which the probabilities `q exp r((g − max g)/τ − x)` sum to 1, by Newton's method between bounds.
    fn level(self, short: &[f64], log_reference: &[f64]) -> f64 {
        let leads = |(_, short): &(&f64, &f64)| **short == 0.0;
        let likeliest =
            log_reference.iter().zip(short).filter(leads).map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
        // Below the first one the best action alone has more than all of the mass; from the second one on no action has more than its reference.
        let (mut low, mut high) = (-self.unshifted(-likeliest), self.forward);
        let mut level = high;
        for _ in 0..ITERATIONS_MAX {
            let (mut sum, mut slope) = (0.0, 0.0);
            for (short, log) in short.iter().zip(log_reference) {
                let ratio = self.log_ratio(short - level);
                let probability = (log + ratio).exp();
                sum += probability;
                slope += probability / self.rise(ratio);
            }
            if sum > 1.0 {
                low = level;
            } else {
                high = level;
            }
            let newton = level + (sum - 1.0) / slope;
            // At w = 1 the root may be as small as a reference: halves of exponents find it, halves of numbers do not.
            let middle = if low > 0.0 { low.sqrt() * high.sqrt() } else { 0.5 * (low + high) };
            let next = if newton > low && newton < high { newton } else { middle };
            if next == level || high - low <= f64::EPSILON * high.abs() {
                break;
            }
            if (next - level).abs() <= f64::EPSILON * level.abs() {
                level = next;
                break;
            }
            level = next;
        }
        level
    }

    /// `(1 − w) r − w e^(−r)`
    fn unshifted(self, log_ratio: f64) -> f64 {
        (1.0 - self.forward) * log_ratio - self.forward * (-log_ratio).exp()
    }

    /// Its derivative, above 0.
    pub(crate) fn rise(self, log_ratio: f64) -> f64 {
        1.0 - self.forward + self.forward * (-log_ratio).exp()
    }

    /// r of `(1 − w) r − w e^(−r) = value`, w > 0: concave and rising, so that Newton's method from the left never passes the root.
    fn log_ratio(self, value: f64) -> f64 {
        let w = self.forward;
        if w == 1.0 {
            return -(-value).ln();
        }
        let mut ratio = value + w;
        if value < -w {
            ratio = ratio.max(-(-value / w).ln());
        }
        for _ in 0..ITERATIONS_MAX {
            let next = ratio + (value - self.unshifted(ratio)) / self.rise(ratio);
            if next <= ratio || next.is_nan() {
                break;
            }
            ratio = next;
        }
        ratio
    }
}

/// `e^d − 1 − d`, at least 0, with its Taylor series where that would cancel.
fn e_less_tangent(d: f64) -> f64 {
    if d.abs() < 1e-3 {
        return d * d * (0.5 + d * (1.0 / 6.0 + d * (1.0 / 24.0 + d / 120.0)));
    }
    d.exp_m1() - d
}
