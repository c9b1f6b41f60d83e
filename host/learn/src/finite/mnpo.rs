//! MNPO on a finite game (Wu et al., arXiv 2509.23102): INPO's regression, with a population of opponents in the place of the last
//! iterate. The opponents are the policies of the last steps, `π_{t−j}` with the weights `λ_j`, j = 0 the policy as it is.
//!
//! ```text
//! h = Δ log π − (τ/η) Δ log π_ref − (1 − τ/η) Σ_j λ_j Δ log π_{t−j},       Δ f = f(y) − f(z)
//! L = η/4 · E_{y, z ~ π_t} [ h − Δ r / η ]²,                               r(y) = Σ_j λ_j ℓ(y, π_{t−j})
//! ```
//!
//! The minimum is `π_{t+1} ∝ π_ref^(τ/η) · (Π_j π_{t−j}^{λ_j})^(1 − τ/η) · exp(r / η)`, the paper's multiplicative update of an n-player game
//! (its 1/η is η here) held to the reference as in its loss; a natural step at the rate 1/η is exactly that. Fixed point: at `π_{t−j} = π` for
//! every j it is INPO's, the regularised Nash policy at τ, whatever the weights.
//!
//! Near it everything of the past enters through one average: an error e goes as `e_{t+1} = c Σ_j λ_j e_{t−j}` with INPO's own factor
//! `c = 1 − τ/η + iω/η`. Where INPO converges, |c| < 1, this does, more slowly by about the mean lag; and it does beyond, because the
//! average damps what turns.
//!
//! Of a group: `y_i ~ π_t`, labelled against as many opponents `z_j` drawn from the mixture `Σ_j λ_j π_{t−j}`.

use super::method::{FiniteMethod, Position, Scheme};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::derivatives::mean_of_others;
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Mnpo {
    method: slhf_plan::Mnpo,
}

impl Mnpo {
    pub(crate) fn of(method: &slhf_plan::Mnpo) -> Self {
        Self { method: method.clone() }
    }

    /// η h of one answer.
    fn margin(&self, at: &Position<'_>, y: usize) -> f64 {
        let (eta, held) = (self.method.eta, at.log_population[y]);
        eta * (at.log_policy[y] - held) + at.tau * (held - at.log_reference[y])
    }
}

impl FiniteMethod for Mnpo {
    fn scheme(&self) -> Scheme {
        Scheme::Population
    }

    fn remembered(&self) -> usize {
        slhf_plan::opponents_kept(&self.method.opponents)
    }

    fn weights(&self, steps_before: usize) -> Vec<f64> {
        self.method.weights(steps_before)
    }

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        let mean = at.mean(|z| self.margin(at, z) - at.won(z));
        for (y, slot) in coefficients.iter_mut().enumerate() {
            *slot = at.won(y) - self.margin(at, y) + mean;
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        let share = 1.0 / at.opponents.len().max(1) as f64;
        for (slot, &y) in coefficients.iter_mut().zip(group) {
            let won: f64 = at.opponents.iter().map(|&z| at.label(y, z)).sum();
            *slot = share * won - self.margin(at, y);
        }
        let all: f64 = coefficients.iter().sum();
        for slot in coefficients.iter_mut() {
            *slot -= mean_of_others(all, *slot, group.len());
        }
    }
}

impl Sees for slhf_plan::Mnpo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.nash(slhf_plan::Labels::Soft)
    }
}
