//! Self-refinement without training: an answer of the Leader's reference, improved `rounds` times by the Follower's (the
//! inference-time rival of a trained Follower, arXiv 2512.16626, section 5, with `ω_ref` in the place of ω).
//!
//! On a finite game its distribution is exact: `π_K = π_ref · ω_ref^K`, row vector times matrix. With uniform references it is
//! uniform; what it gains lies in `reference_follower`.

use slhf_plan::Labels;

use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::problem::{Problem, Target};

impl Sees for slhf_plan::SelfRefinement {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        let log_follower = seen.game.reference_follower().log_probabilities();
        let log_policy = refined(seen.log_reference(), log_follower, self.rounds);
        Ok(Problem { target: Target::Exact { log_policy }, ..seen.pairs(Labels::Soft, 0.0) })
    }
}

/// log of the distribution after `rounds` refinements; `log_follower` row-major, row i the answer to i.
pub(crate) fn refined(log_reference: &[f64], log_follower: &[f64], rounds: u32) -> Vec<f64> {
    let n = log_reference.len();
    let mut policy: Vec<f64> = log_reference.iter().map(|l| libm::exp(*l)).collect();
    let follower: Vec<f64> = log_follower.iter().map(|l| libm::exp(*l)).collect();
    for _ in 0..rounds {
        let mut next = vec![0.0; n];
        for (row, p) in follower.chunks_exact(n).zip(&policy) {
            for (slot, answer) in next.iter_mut().zip(row) {
                *slot += p * answer;
            }
        }
        policy = next;
    }
    policy.into_iter().map(libm::log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rounds_are_the_product_with_the_square() {
        let reference = [0.25_f64, 0.75].map(f64::ln);
        let follower = [0.9_f64, 0.1, 0.4, 0.6].map(f64::ln);
        let found: Vec<f64> = refined(&reference, &follower, 2).into_iter().map(f64::exp).collect();
        // ω² = [[.85, .15], [.6, .4]]
        let expected = [0.25 * 0.85 + 0.75 * 0.6, 0.25 * 0.15 + 0.75 * 0.4];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
        assert!(refined(&reference, &follower, 0).iter().zip(reference).all(|(a, b)| (a - b).abs() < 1e-15));
    }
}
