//! OMWU on a finite game: optimistic multiplicative weights (Rakhlin, Sridharan, arXiv 1311.1869; Daskalakis, Panageas, arXiv
//! 1807.04252; last iterates: Wei et al., arXiv 2006.09517), regularized as by Cen, Wei, Chi (arXiv 2105.15186, their OMWU), with π̄ the
//! policy that is played, and trained here:
//!
//! ```text
//! π_t     ∝ π_{t−1}^(1 − η τ) · π_ref^(η τ) · exp(η P π̄_t)
//! π̄_{t+1} ∝ π_t^(1 − η τ)     · π_ref^(η τ) · exp(η P π̄_t)
//! ```
//!
//! In the logits θ̄ of π̄ alone, with `g_t = P π̄_t` and one gradient a step:
//!
//! ```text
//! θ̄_{t+1} = (1 − η τ) θ̄_t + η τ θ_ref + η g_t + η (1 − η τ) (g_t − g_{t−1}),    g_0 = g_1
//! ```
//!
//! at τ = 0 `θ̄_t + η (2 g_t − g_{t−1})`. η is `schedule.learning_rate`, τ is `game.tau_nash` (the paper's reference is uniform). With natural
//! gradients (the default) a step is exactly that; plain and sampled ones take the same combination of their own gradients.
//!
//! Target: the regularized Nash policy `π ∝ π_ref exp(Pπ / τ)`; at τ = 0 an equilibrium of the game itself, by the last iterate. Where play
//! circles at the frequency ω (at most 1/√8), τ = 0, it converges for η ω < 1/√3, fastest near η ω = ½, where an error shrinks by 1/√2 a gradient.
//! The papers' bounds on η are far below that and hold globally.

use super::method::{FiniteMethod, Position, Scheme};
use super::problem::{Seen, Sees};
use super::self_play;
use crate::LearnError;
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Omwu;

impl FiniteMethod for Omwu {
    fn scheme(&self) -> Scheme {
        Scheme::Optimistic
    }

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        self_play::expected(at, coefficients);
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        self_play::of_group(at, group, coefficients);
    }
}

impl Sees for slhf_plan::Omwu {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.nash(slhf_plan::Labels::Soft)
    }
}
