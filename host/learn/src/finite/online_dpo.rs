//! Online DPO on a finite game (Guo et al., arXiv 2402.04792; DPO: Rafailov et al., arXiv 2305.18290, equation 7) with the
//! judge as annotator.
//!
//! Coefficient of y against z: `2 β [ℓ(y, z) − σ(β h)]`, h the difference of their log π − log `π_ref`, as the mean over the others
//! of a group, so that what is optimized is the mean over the pairs of DPO's loss. The fixed point is the Bradley–Terry fit to the labels *among the policy's own answers*,
//! `Σ_z π(z) [ℓ(y, z) − σ(β h)] = 0` for every y ([`slhf_game::OnPolicyFit`]): in general neither the RLHF solution, whose pairs are
//! weighed once and for all, nor a Nash policy.

use super::method::{FiniteMethod, Position, mean_of_pairs};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::derivatives::dpo_derivative;
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnlineDpo;

fn coefficient(at: &Position<'_>, y: usize, z: usize) -> f64 {
    -dpo_derivative(at.tau, at.log_ratio(y) - at.log_ratio(z), at.label(y, z))
}

impl FiniteMethod for OnlineDpo {
    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        for (y, slot) in coefficients.iter_mut().enumerate() {
            *slot = at.mean(|z| coefficient(at, y, z));
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        coefficients.copy_from_slice(&mean_of_pairs(group, |y, z| coefficient(at, y, z)));
    }
}

impl Sees for slhf_plan::OnlineDpo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.on_policy_fit(self.labels)
    }
}
