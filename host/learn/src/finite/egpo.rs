//! EGPO on a finite game (Zhou, Fazel, Du, arXiv 2503.08942): extragradient in the regularized preference game, in the logits, with the
//! closed form of its proximal step.
//!
//! ```text
//! θ_½     = (1 − η τ) θ_t + η τ θ_ref + η P π_t
//! θ_{t+1} = (1 − η τ) θ_t + η τ θ_ref + η P π_½          π = softmax(θ)
//! ```
//!
//! η is `schedule.learning_rate`, τ is `game.tau_nash` (the paper's β); two gradients a step. With natural gradients (the default) a step is
//! exactly that. The paper takes it as two steps of the IPO loss over pairs drawn uniformly, whose plain gradient in the logits is
//! the same; plain and sampled gradients here weigh answers by π, and opponents are drawn from `π_t` and `π_½`.
//!
//! Target: the regularized Nash policy `π ∝ π_ref exp(Pπ / τ)`, which the last iterate approaches linearly, by (1 − η τ) a step for small η; at
//! τ = 0 an equilibrium of the game itself. Where play circles at the frequency ω (the imaginary eigenvalue of P in the geometry of
//! the equilibrium, at most 1/√8), an error shrinks by `|(1 − η τ)(1 + iηω) − η²ω²|` a step: for η ω < 1 it does, fastest near η ω = 1/√2. The
//! paper's bound on η is far below that and holds globally; beyond it convergence is measured, not proven.

use super::method::{FiniteMethod, Position, Scheme};
use super::problem::{Seen, Sees};
use super::self_play;
use crate::LearnError;
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Egpo;

impl FiniteMethod for Egpo {
    fn scheme(&self) -> Scheme {
        Scheme::Extragradient
    }

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        self_play::expected(at, coefficients);
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        self_play::of_group(at, group, coefficients);
    }
}

impl Sees for slhf_plan::Egpo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.nash(slhf_plan::Labels::Soft)
    }
}
