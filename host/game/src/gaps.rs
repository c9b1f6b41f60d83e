//! How far a learned pair (π, ω) is from the Stackelberg equilibrium.

use crate::held::Divergence;
use crate::numeric::{LOG_SPACE_TEMPERATURE_MIN, dot, exponentials, plain_divergence_term};
use crate::stackelberg::StackelbergSolution;

/// The distances of game.md: gaps in units of preference, total variations dimensionless.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StackelbergGaps {
    /// `value − [π·f − τ_L KL(π ‖ π_ref)] = τ_L KL(π ‖ π*)`: what the Leader loses (under another divergence with it in the place of KL).
    pub leader_gap: f64,
    /// `Σ_i π(i) [P[i]·ω(·|i) + τ_F KL(ω(·|i) ‖ ω_ref(·|i)) − f(i)]`: what the Follower leaves.
    pub follower_gap: f64,
    /// Their sum.
    pub stackelberg_gap: f64,
    /// `TV(π, π*)`; at `τ_L` = 0 the mass of π outside the argmax set of f.
    pub tv_leader: f64,
    /// `Σ_i π*(i) TV(ω(·|i), ω*(·|i))`; at `τ_F` = 0 the mass of ω(·|i) outside the argmin set.
    pub tv_follower: f64,
}

impl StackelbergSolution {
    /// Measures a learned pair, given as natural log-probabilities (−∞ is a probability of 0):
    /// `log_pi` of length n, `log_omega` row-major n × n with row `i` the answer to action `i`.
    /// Both are taken as normalised. No gap is negative. Nothing is allocated.
    ///
    /// # Panics
    /// If a length does not fit the game.
    pub fn gaps(&self, log_pi: &[f64], log_omega: &[f64]) -> StackelbergGaps {
        self.check_lengths(log_pi, log_omega);
        let leader_gap = self.leader_gap(log_pi);
        let mut follower_gap = 0.0;
        let mut tv_follower = 0.0;
        for (action, log_answer) in self.rows(log_omega).enumerate() {
            let probability = log_pi[action].exp();
            // 0 · ∞ would be NaN: an action that is never played says nothing.
            if probability > 0.0 {
                follower_gap += probability * self.answer_gap(action, log_answer);
            }
            let target = self.log_leader[action].exp();
            if target > 0.0 {
                let best = self.rows(&self.log_follower).nth(action).unwrap_or(&[]);
                let at_zero = self.game.temperatures().follower() == 0.0;
                tv_follower += target * distance_to_target(log_answer, best, at_zero);
            }
        }
        let at_zero = self.game.temperatures().leader() == 0.0;
        StackelbergGaps {
            leader_gap,
            follower_gap,
            stackelberg_gap: leader_gap + follower_gap,
            tv_leader: distance_to_target(log_pi, &self.log_leader, at_zero),
            tv_follower,
        }
    }

    /// [`Self::gaps`] of probabilities instead of their logarithms.
    ///
    /// # Panics
    /// If a length does not fit the game.
    pub fn gaps_of_probabilities(&self, pi: &[f64], omega: &[f64]) -> StackelbergGaps {
        let logarithms = |values: &[f64]| values.iter().map(|v| v.ln()).collect::<Vec<_>>();
        self.gaps(&logarithms(pi), &logarithms(omega))
    }

    /// The leader gap and the follower gap by their definitions, without the log-space forms:
    /// an independent computation, good to about 1e-16 in absolute terms (so it can be slightly
    /// negative where [`Self::gaps`] is not).
    ///
    /// # Panics
    /// If a length does not fit the game.
    pub fn gaps_by_definition(&self, log_pi: &[f64], log_omega: &[f64]) -> (f64, f64) {
        self.check_lengths(log_pi, log_omega);
        let mut follower_gap = 0.0;
        for (action, log_answer) in self.rows(log_omega).enumerate() {
            let probability = log_pi[action].exp();
            if probability > 0.0 {
                follower_gap += probability * self.answer_gap_by_definition(action, log_answer);
            }
        }
        (self.leader_gap_by_definition(log_pi), follower_gap)
    }

    fn leader_gap(&self, log_pi: &[f64]) -> f64 {
        let temperature = self.game.temperatures().leader();
        if temperature == 0.0 {
            let losses = log_pi.iter().zip(&self.leader_values);
            losses.map(|(log_p, value)| log_p.exp() * (self.objective - value)).sum()
        } else if temperature < LOG_SPACE_TEMPERATURE_MIN {
            self.leader_gap_by_definition(log_pi).max(0.0)
        } else {
            let log_reference = self.game.reference_leader().log_probabilities();
            temperature * self.held.leader.left_by(log_pi, &self.log_leader, log_reference)
        }
    }

    fn leader_gap_by_definition(&self, log_pi: &[f64]) -> f64 {
        let temperature = self.game.temperatures().leader();
        let log_reference = self.game.reference_leader().log_probabilities();
        let earned = dot(&exponentials(log_pi), &self.leader_values);
        let divergence = plain_divergence(self.held.leader, log_pi, log_reference);
        self.objective - (earned - temperature * divergence)
    }

    /// What the Follower's answer to one action leaves: the bracket of `follower_gap`.
    fn answer_gap(&self, action: usize, log_answer: &[f64]) -> f64 {
        let temperature = self.game.temperatures().follower();
        if temperature == 0.0 {
            let value = self.leader_values[action];
            let losses = log_answer.iter().zip(self.game.preferences().row(action));
            losses.map(|(log_p, preference)| log_p.exp() * (preference - value)).sum()
        } else if temperature < LOG_SPACE_TEMPERATURE_MIN {
            self.answer_gap_by_definition(action, log_answer).max(0.0)
        } else {
            let actions = self.game.actions();
            let best = &self.log_follower[action * actions..(action + 1) * actions];
            let log_reference = self.game.reference_follower().log_row(action);
            temperature * self.held.follower.left_by(log_answer, best, log_reference)
        }
    }

    fn answer_gap_by_definition(&self, action: usize, log_answer: &[f64]) -> f64 {
        let temperature = self.game.temperatures().follower();
        let log_reference = self.game.reference_follower().log_row(action);
        let suffered = dot(&exponentials(log_answer), self.game.preferences().row(action));
        let divergence = plain_divergence(self.held.follower, log_answer, log_reference);
        suffered + temperature * divergence - self.leader_values[action]
    }

    fn rows<'a>(&self, matrix: &'a [f64]) -> std::slice::ChunksExact<'a, f64> {
        matrix.chunks_exact(self.game.actions())
    }

    fn check_lengths(&self, log_pi: &[f64], log_omega: &[f64]) {
        let actions = self.game.actions();
        assert_eq!(log_pi.len(), actions, "one log-probability an action");
        assert_eq!(log_omega.len(), actions * actions, "one response per action");
    }
}

/// D by its definition.
fn plain_divergence(held: Divergence, log_p: &[f64], log_reference: &[f64]) -> f64 {
    let terms = || log_p.iter().zip(log_reference);
    let reverse: f64 = terms().map(|(&p, &q)| plain_divergence_term(p, q)).sum();
    if held.is_reverse() {
        return reverse;
    }
    let forward: f64 = terms().map(|(&p, &q)| plain_divergence_term(q, p)).sum();
    (1.0 - held.forward()) * reverse + held.forward() * forward
}

/// TV to the target or, where the target is only one member of a set of best answers
/// (temperature 0), the mass outside that set: the distance to its nearest member.
fn distance_to_target(log_policy: &[f64], log_target: &[f64], target_is_set: bool) -> f64 {
    let pairs = log_policy.iter().zip(log_target);
    if target_is_set {
        let outside = pairs.filter(|(_, target)| **target == f64::NEG_INFINITY);
        outside.map(|(policy, _)| policy.exp()).sum()
    } else {
        let differences = pairs.map(|(policy, target)| (policy.exp() - target.exp()).abs());
        differences.sum::<f64>() / 2.0
    }
}
