//! SPPO on a finite game (Wu et al., arXiv 2405.00675, equations 4.3 to 4.6): multiplicative weights, each iterate found by a
//! regression.
//!
//! Coefficient of y: `p̂ − ½ − (1/η) log π(y)/π_t(y)`, p̂ its mean label against samples of `π_t`. The minimum is
//! `π_{t+1} ∝ π_t · exp(η p(· ≻ π_t))` with the partition function taken as the constant exp(η/2), as the paper does; a
//! natural step at the rate η is exactly that with the right constant (the default here). There is no KL term and no
//! τ. The *average* of the iterates goes to an unregularised Nash policy at the rate 1/√T (with the learning rate `s_t` its
//! gap is at most `(max_q KL(q ‖ π_1) + Σ s_t²/8) / Σ s_t`, the average weighted by `s_t`: the gap is the regret against the
//! *best* q, which need not be a Nash policy, and `max_q KL(q ‖ π_1) = −log min π_1`); the last one may circle it.

use super::method::{FiniteMethod, Position, mean_of_pairs};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::derivatives::sppo_derivative;
use crate::problem::Problem;

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

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        for (y, slot) in coefficients.iter_mut().enumerate() {
            *slot = -sppo_derivative(self.eta, at.moved(y), at.expected_reward(y));
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        let labels = mean_of_pairs(group, |y, z| at.label(y, z));
        for ((slot, &y), label) in coefficients.iter_mut().zip(group).zip(labels) {
            *slot = -sppo_derivative(self.eta, at.moved(y), label);
        }
    }
}

impl Sees for slhf_plan::Sppo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        Ok(seen.lottery())
    }
}
