//! NLHF: simultaneous moves. The symmetric equilibrium, its gap, and Nash-MD's fixed point.
//!
//! Sources: Munos et al., "Nash Learning from Human Feedback", arXiv 2312.00886; Fishburn 1984
//! (maximal lotteries). A matrix that is not complementary is replaced by `(P + 1 − Pᵀ)/2`; what
//! is left of it once the constant 1/2 is dropped is the skew matrix of margins `A = (P − Pᵀ)/2`.

mod held;
mod lottery;
mod regularised;

pub use lottery::Uniqueness;

use crate::error::GameError;
use crate::game::Game;
use crate::held::Divergence;
use crate::numeric::{
    LOG_SPACE_TEMPERATURE_MIN, dot, exponentials, log_mean_exp, maximum, normalise_log, plain_divergence_term, product,
    total_variation,
};

/// The symmetric game, at one temperature: solves it, and measures policies in it.
#[derive(Debug, Clone)]
pub struct NashGame {
    actions: usize,
    /// `(P − Pᵀ)/2`, exactly skew, row-major.
    margins: Vec<f64>,
    log_reference: Vec<f64>,
    temperature: f64,
    held: Divergence,
}

/// An equilibrium of the symmetric game.
#[derive(Debug, Clone, PartialEq)]
pub struct NashSolution {
    /// π, as probabilities. At τ = 0 a maximal lottery: one of possibly many.
    pub policy: Vec<f64>,
    /// log π; −∞ where π is 0.
    pub log_policy: Vec<f64>,
    /// `π·Pπ` of the complementary matrix: 1/2 up to rounding.
    pub value: f64,
    /// The one-sided gap at this temperature, see [`NashGame::duality_gap`].
    pub duality_gap: f64,
    /// How far π is from what its defining equations make of it, in probability: the largest
    /// entry of the last Newton correction of π (τ > 0), or the largest violation of
    /// `max_i (Aπ)_i ≤ 0` (τ = 0). Where Newton's method failed (see [`Self::is_precise`]): at least
    /// its distance from the maximal lottery.
    pub residual: f64,
    /// Whether there may be other equilibria: never for τ > 0.
    pub uniqueness: Uniqueness,
}

/// A solution with a larger gap, in units of preference, is not precise.
const GAP_TOLERANCE: f64 = 1e-9;

/// A Nash-MD mixture coefficient, in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixtureCoefficient(f64);

impl MixtureCoefficient {
    /// Checks that it is in [0, 1].
    pub fn new(value: f64) -> Result<Self, GameError> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(GameError::MixtureCoefficient { value }) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// What Nash-MD with a constant mixture coefficient converges to.
#[derive(Debug, Clone, PartialEq)]
pub struct MixtureFixedPoint {
    /// `π ∝ π_ref exp(P π_m / τ)`, as log-probabilities.
    pub log_policy: Vec<f64>,
    /// The opponent `π_m ∝ π^(1−m) π_ref^m`, as log-probabilities.
    pub log_mixture: Vec<f64>,
    /// [`NashGame::duality_gap`] of π: 1e-3 to 1e-2 for m ≥ 0.5 at τ = 0.1, 0 for m = 0.
    pub duality_gap: f64,
}

impl NashSolution {
    /// Whether the solver reached its precision: a residual of at most 1e-10 and a gap of at most 1e-9.
    pub fn is_precise(&self) -> bool {
        self.residual <= regularised::RESIDUAL_TOLERANCE && self.duality_gap <= GAP_TOLERANCE
    }
}

impl NashGame {
    /// The game's preferences (symmetrised), Leader's reference and `τ_nash`.
    pub fn of(game: &Game) -> Self {
        Self {
            actions: game.actions(),
            margins: game.preferences().margins(),
            log_reference: game.reference_leader().log_probabilities().to_vec(),
            temperature: game.temperatures().nash(),
            held: Divergence::REVERSE,
        }
    }

    /// The same game, whose players are held to the reference by another divergence.
    #[must_use]
    pub fn held_by(self, held: Divergence) -> Self {
        Self { held, ..self }
    }

    /// The number of actions.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// τ.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The equilibrium: for τ > 0 the unique fixed point `π ∝ π_ref exp(Pπ/τ)`, or that of the other divergence, by Newton's
    /// method; for τ = 0 a maximal lottery, by a linear program.
    pub fn solve(&self) -> NashSolution {
        if self.temperature == 0.0 {
            return self.lottery();
        }
        let point = if self.held.is_reverse() {
            regularised::solve(&self.margins, &self.log_reference, self.temperature)
        } else {
            held::solve(&self.margins, &self.log_reference, self.temperature, self.held)
        };
        let found = self.solution(point.log_policy, point.residual, Uniqueness::Unique);
        if found.is_precise() {
            return found;
        }
        // Only where τ is tiny and the game nearly degenerate; there a maximal lottery is as good.
        let lottery = self.lottery();
        let disagreement = total_variation(&lottery.log_policy, &found.log_policy);
        let residual = found.residual.max(disagreement);
        let best = if lottery.duality_gap < found.duality_gap { lottery } else { found };
        NashSolution { residual, uniqueness: Uniqueness::Unique, ..best }
    }

    fn lottery(&self) -> NashSolution {
        let lottery = lottery::solve(&self.margins, self.actions);
        let logarithms = lottery.policy.iter().map(|p| p.ln()).collect();
        self.solution(logarithms, lottery.violation, lottery.uniqueness)
    }

    fn solution(&self, log_policy: Vec<f64>, residual: f64, uniqueness: Uniqueness) -> NashSolution {
        let policy = exponentials(&log_policy);
        NashSolution {
            value: 0.5 + dot(&policy, &product(&self.margins, &policy)),
            duality_gap: self.duality_gap(&log_policy),
            policy,
            log_policy,
            residual,
            uniqueness,
        }
    }

    /// The one-sided gap of a policy given as natural log-probabilities, never negative, zero
    /// exactly at an equilibrium. For τ > 0: `τ log Σ π_ref exp(Pπ/τ) + τ KL(π ‖ π_ref) − π·Pπ`,
    /// computed as `τ KL(π ‖ BR(π))`; for τ = 0: `max_q q·Pπ − π·Pπ`. Under another divergence D the same with D, computed as τ times what D
    /// exceeds its tangent at BR(π) by.
    ///
    /// # Panics
    /// If the length does not fit the game.
    pub fn duality_gap(&self, log_policy: &[f64]) -> f64 {
        let policy = exponentials(log_policy);
        let gains = self.gains(&policy);
        if self.temperature == 0.0 {
            return (maximum(&gains) - dot(&policy, &gains)).max(0.0);
        }
        if self.temperature < LOG_SPACE_TEMPERATURE_MIN {
            return self.gap_by_definition(log_policy, &policy, &gains).max(0.0);
        }
        let best_answer = self.best_answer(&gains);
        self.temperature * self.held.left_by(log_policy, &best_answer, &self.log_reference)
    }

    /// `τ log Σ π_ref exp(Aπ/τ) + τ KL(π ‖ π_ref) − π·Aπ`, term by term.
    fn gap_by_definition(&self, log_policy: &[f64], policy: &[f64], gains: &[f64]) -> f64 {
        if !self.held.is_reverse() {
            let (_, most) = self.held.best_response(gains, &self.log_reference, self.temperature);
            let divergence = self.held.between(log_policy, &self.log_reference);
            return most + self.temperature * divergence - dot(policy, gains);
        }
        let best = maximum(gains);
        let exponents: Vec<f64> = gains.iter().map(|gain| (gain - best) / self.temperature).collect();
        let terms = log_policy.iter().zip(&self.log_reference);
        let divergence: f64 = terms.map(|(&p, &q)| plain_divergence_term(p, q)).sum();
        best + self.temperature * (log_mean_exp(&exponents, &self.log_reference) + divergence) - dot(policy, gains)
    }

    /// [`Self::duality_gap`] by its definition for τ > 0, an independent computation that is good to
    /// about 1e-16 in absolute terms (so it can be slightly negative).
    ///
    /// # Panics
    /// If the length does not fit the game.
    pub fn duality_gap_by_definition(&self, log_policy: &[f64]) -> f64 {
        if self.temperature == 0.0 {
            return self.duality_gap(log_policy);
        }
        let policy = exponentials(log_policy);
        let gains = self.gains(&policy);
        self.gap_by_definition(log_policy, &policy, &gains)
    }

    /// The gap of the same policy in the game without regularisation: `max_q q·Pπ − π·Pπ`.
    ///
    /// # Panics
    /// If the length does not fit the game.
    pub fn unregularised_gap(&self, log_policy: &[f64]) -> f64 {
        let policy = exponentials(log_policy);
        let gains = self.gains(&policy);
        (maximum(&gains) - dot(&policy, &gains)).max(0.0)
    }

    /// The fixed point of Nash-MD with a constant mixture coefficient `m`:
    /// `π ∝ π_ref exp(P π_m/τ)`, `π_m ∝ π^(1−m) π_ref^m`. `None` at τ = 0, where it is not defined, and under another divergence, where it has no
    /// such form.
    ///
    /// Substituting the first equation into the second gives
    /// `π_m ∝ π_ref exp(P π_m / (τ/(1−m)))`: the opponent is the regularised equilibrium at the
    /// temperature τ/(1−m), which is unique and which [`Self::solve`] finds.
    pub fn mixture_fixed_point(&self, coefficient: MixtureCoefficient) -> Option<MixtureFixedPoint> {
        if self.temperature == 0.0 || !self.held.is_reverse() {
            return None;
        }
        let temperature = self.temperature / (1.0 - coefficient.get());
        let log_mixture = if temperature.is_finite() {
            regularised::solve(&self.margins, &self.log_reference, temperature).log_policy
        } else {
            self.log_reference.clone()
        };
        let log_policy = self.best_answer(&self.gains(&exponentials(&log_mixture)));
        let duality_gap = self.duality_gap(&log_policy);
        Some(MixtureFixedPoint { log_policy, log_mixture, duality_gap })
    }

    /// `Aπ`: what each action wins against π beyond 1/2.
    fn gains(&self, policy: &[f64]) -> Vec<f64> {
        assert_eq!(policy.len(), self.actions, "one log-probability an action");
        product(&self.margins, policy)
    }

    /// `log BR ∝ log π_ref + gains/τ`; only for τ > 0.
    fn best_answer(&self, gains: &[f64]) -> Vec<f64> {
        if !self.held.is_reverse() {
            return self.held.best_response(gains, &self.log_reference, self.temperature).0;
        }
        let best = maximum(gains);
        let mut logits: Vec<f64> = gains
            .iter()
            .zip(&self.log_reference)
            .map(|(gain, log_ref)| log_ref + (gain - best) / self.temperature)
            .collect();
        normalise_log(&mut logits);
        logits
    }
}
