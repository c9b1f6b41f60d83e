//! Online IPO on a finite game (Calandriello et al., arXiv 2403.08635, sections 3 and 4; IPO: Azar et al., arXiv 2310.12036,
//! equation 17).
//!
//! Coefficient of y against z: `ℓ(y, z) − ½ − τ h`, h the difference of their log π − log `π_ref`, as the mean over the others of a
//! group. IPO's own loss is `[h − (ℓ − ½)/τ]²`; the mean over the pairs of it times τ/4 (which leaves its minimum alone) has what
//! stands above, so that the paper's τ is the lab's: in expectation over two answers of π the gradient is self-play's with a KL term of weight
//! τ, and the fixed point `π ∝ π_ref exp(Pπ / τ)`, the regularised Nash policy.

use super::method::{FiniteMethod, Position, mean_of_pairs};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::derivatives::ipo_derivative;
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnlineIpo;

impl FiniteMethod for OnlineIpo {
    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        // Linear in the pair: the mean of the derivatives is the derivative of the means.
        let mean = at.mean(|z| at.log_ratio(z));
        for (y, slot) in coefficients.iter_mut().enumerate() {
            *slot = -ipo_derivative(at.tau * (at.log_ratio(y) - mean), at.expected_reward(y));
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        let coefficient = |y, z| -ipo_derivative(at.tau * (at.log_ratio(y) - at.log_ratio(z)), at.label(y, z));
        coefficients.copy_from_slice(&mean_of_pairs(group, coefficient));
    }
}

impl Sees for slhf_plan::OnlineIpo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.nash(self.labels)
    }
}
