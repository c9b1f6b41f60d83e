//! Supervised fine-tuning on preferred answers: the likelihood of the winner of two answers of the *reference* (what
//! preference data begin with: Ouyang et al., arXiv 2203.02155, section 3.2, with a judge in the place of demonstrators).
//!
//! Coefficient of y: twice its mean label against the reference's answers; who samples is the reference, whatever the policy has
//! become. The minimum is the exact distribution of winners, `π(y) = π_ref(y) · 2 Σ_z π_ref(z) ℓ(y, z)`
//! ([`winners`]): one step of improvement and no more, which no τ sharpens.

use super::method::{FiniteMethod, Position, Sampler, mean_of_pairs};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::problem::{Problem, Target};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sft;

impl FiniteMethod for Sft {
    fn sampler(&self) -> Sampler {
        Sampler::Reference
    }

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        for (y, slot) in coefficients.iter_mut().enumerate() {
            *slot = 2.0 * at.expected_reward(y);
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        for (slot, mean) in coefficients.iter_mut().zip(mean_of_pairs(group, |y, z| at.label(y, z))) {
            *slot = 2.0 * mean;
        }
    }
}

/// log of the distribution of winners; labels row-major, `ℓ(y, z) + ℓ(z, y) = 1`.
pub(crate) fn winners(log_reference: &[f64], labels: &[f64]) -> Vec<f64> {
    let n = log_reference.len();
    let mean = |row: &[f64]| row.iter().zip(log_reference).map(|(label, l)| label * libm::exp(*l)).sum::<f64>();
    labels.chunks_exact(n).zip(log_reference).map(|(row, log)| log + libm::log(2.0 * mean(row))).collect()
}

impl Sees for slhf_plan::Sft {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        let log_policy = winners(seen.log_reference(), &seen.labels(self.labels));
        Ok(Problem { target: Target::FixedPoint { log_policy }, ..seen.pairs(self.labels, 0.0) })
    }
}
