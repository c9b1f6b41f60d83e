//! SPPO on a finite game (Wu et al., arXiv 2405.00675, equations 4.3 to 4.6): multiplicative weights, each iterate found by a
//! regression.
//!
//! Worth of y: `p̂ − ½ − (1/η) log π(y)/π_t(y)`, p̂ its mean label against samples of `π_t`. The minimum is
//! `π_{t+1} ∝ π_t · exp(η p(· ≻ π_t))` with the partition function taken as the constant exp(η/2), as the paper does; a
//! natural step at the rate η is exactly that with the right constant (the default here). There is no KL term and no
//! τ. The *average* of the iterates goes to an unregularised Nash policy at the rate 1/√T (with the learning rate `s_t` its
//! gap is at most `(max_q KL(q ‖ π_1) + Σ s_t²/8) / Σ s_t`, the average weighted by `s_t`: the gap is the regret against the
//! *best* q, which need not be a Nash policy, and `max_q KL(q ‖ π_1) = −log min π_1`); the last one may circle it.

use serde::{Deserialize, Serialize};

use super::{FiniteMethod, Position, Seen, Sees, mean_of_pairs};
use crate::LearnError;
use crate::problem::Problem;
use crate::slopes::sppo_slope;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sppo {
    eta: f64,
    num_iterations: u32,
}

impl Sppo {
    pub(crate) fn of(method: &slhf_plan::Sppo) -> Self {
        Self { eta: method.eta, num_iterations: method.num_iterations }
    }
}

impl FiniteMethod for Sppo {
    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn keeps_mean(&self) -> bool {
        true
    }

    fn expected(&self, at: &Position<'_>, worths: &mut [f64]) {
        for (y, slot) in worths.iter_mut().enumerate() {
            *slot = -sppo_slope(self.eta, at.moved(y), at.expected_reward(y));
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], worths: &mut [f64]) {
        let labels = mean_of_pairs(group, |y, z| at.label(y, z));
        for ((slot, &y), label) in worths.iter_mut().zip(group).zip(labels) {
            *slot = -sppo_slope(self.eta, at.moved(y), label);
        }
    }
}

/// The mean of the iterates so far, each weighted by the learning rate of the step that left it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeanPolicy {
    /// Empty for a method that keeps none.
    pub(crate) probabilities: Vec<f64>,
    /// The sum of the weights.
    pub(crate) weight: f64,
}

impl MeanPolicy {
    /// Of a run that has not begun.
    pub(crate) fn start(log_policy: &[f64]) -> Self {
        Self { probabilities: log_policy.iter().map(|l| libm::exp(*l)).collect(), weight: 0.0 }
    }

    /// Takes an iterate in.
    pub(crate) fn add(&mut self, policy: &[f64], weight: f64) {
        self.weight += weight;
        if self.weight > 0.0 {
            let share = weight / self.weight;
            for (mean, p) in self.probabilities.iter_mut().zip(policy) {
                *mean += share * (p - *mean);
            }
        }
    }
}

impl Sees for slhf_plan::Sppo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        Ok(seen.lottery())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterates_count_by_their_learning_rate() {
        let mut mean = MeanPolicy::start(&[0.5_f64.ln(), 0.5_f64.ln()]);
        mean.add(&[1.0, 0.0], 1.0);
        mean.add(&[0.0, 1.0], 3.0);
        assert_eq!(mean.probabilities, [0.25, 0.75]);
        // Steps at the rate 0 (a warm-up may begin so) leave no trace.
        let mut mean = MeanPolicy::start(&[0.0]);
        mean.add(&[0.3], 0.0);
        assert_eq!(mean.probabilities, [1.0]);
    }
}
