//! INPO on a finite game (Zhang et al., arXiv 2407.00617, section 3, equations 9 to 11): online mirror descent in the
//! regularised preference game, each iterate found by a regression on pairs.
//!
//! Coefficient of y against z: `ℓ(y, z) − ½ − η h`, with
//! `h = Δ log π − (τ/η) Δ log π_ref − (1 − τ/η) Δ log π_t` and Δ the difference of the pair's two: the paper's
//! `[h − (ℓ − ½)/η]²` times η/4, as the mean over the pairs of a group. The minimum of the regression is `π_{t+1} ∝ π_t^(1 − τ/η) · π_ref^(τ/η) · exp(Pπ_t / η)`; a natural step at the rate 1/η is exactly that (the
//! default here). The last iterate goes to the regularised Nash policy at τ, on cyclic games if η is large enough: about
//! `η ≥ τ + 0.11/τ`.

use super::method::{FiniteMethod, Position, mean_of_pairs};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::derivatives::{inpo_margin, ipo_derivative};
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inpo {
    eta: f64,
    num_iterations: u32,
}

impl Inpo {
    pub(crate) fn of(method: &slhf_plan::Inpo) -> Self {
        Self { eta: method.eta, num_iterations: method.num_iterations }
    }

    fn margin(&self, at: &Position<'_>, y: usize) -> f64 {
        inpo_margin(self.eta, at.tau, at.moved(y), at.log_ratio(y))
    }
}

impl FiniteMethod for Inpo {
    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        let mean = at.mean(|z| self.margin(at, z));
        for (y, slot) in coefficients.iter_mut().enumerate() {
            *slot = -ipo_derivative(self.margin(at, y) - mean, at.expected_reward(y));
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        let coefficient = |y, z| -ipo_derivative(self.margin(at, y) - self.margin(at, z), at.label(y, z));
        coefficients.copy_from_slice(&mean_of_pairs(group, coefficient));
    }
}

impl Sees for slhf_plan::Inpo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.nash(self.labels)
    }
}
