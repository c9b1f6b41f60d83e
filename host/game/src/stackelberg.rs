//! SLHF: the Leader commits to an action, the Follower sees it and answers.
//!
//! Source of every equation: Pásztor, Kleine Buening, Krause, "Stackelberg Learning from Human
//! Feedback", arXiv 2512.16626. The objective is
//! `E[P[y][y']] − τ_L KL(π ‖ π_ref) + τ_F E_y KL(ω(·|y) ‖ ω_ref(·|y))`, maximal over π, minimal
//! over ω.

use crate::game::Game;
use crate::held::Divergence;
use crate::numeric::exponentials;

/// The equilibrium (π*, ω*) in closed form, computed once per game; [`Self::gaps`] measures a
/// learned pair against it.
#[derive(Debug, Clone)]
pub struct StackelbergSolution {
    pub(crate) game: Game,
    pub(crate) log_leader: Vec<f64>,
    pub(crate) log_follower: Vec<f64>,
    pub(crate) leader_values: Vec<f64>,
    pub(crate) objective: f64,
    pub(crate) held: Held,
    leader_support: Vec<usize>,
    tied_rows: Vec<usize>,
}

/// By which divergences Leader and Follower are held to their references.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Held {
    /// The Leader's.
    pub leader: Divergence,
    /// The Follower's.
    pub follower: Divergence,
}

impl StackelbergSolution {
    /// Solves the game: `ω*(j|i) ∝ ω_ref(j|i) exp(−P[i][j]/τ_F)`, `π*(i) ∝ π_ref(i) exp(f(i)/τ_L)`,
    /// with the sets of best answers where a temperature is 0.
    pub fn of(game: &Game) -> Self {
        Self::held_by(game, Held::default())
    }

    /// The same under other divergences: `ω*` is where `P[i][j] + τ_F D′(ω)` is the same for every j, `f(i)` the minimum there, and π* where
    /// `f(i) − τ_L D′(π)` is the same for every i; of the forward divergence `ω*(j|i) = τ_F ω_ref(j|i) / (P[i][j] − λ_i)` and
    /// `π*(i) = τ_L π_ref(i) / (λ − f(i))`.
    pub fn held_by(game: &Game, held: Held) -> Self {
        let actions = game.actions();
        let mut log_follower = Vec::with_capacity(actions * actions);
        let mut leader_values = Vec::with_capacity(actions);
        let mut tied_rows = Vec::new();
        for (action, preferences) in game.preferences().rows().enumerate() {
            // The Follower maximises −P; the value is the Leader's, hence the sign.
            let losses: Vec<f64> = preferences.iter().map(|p| -p).collect();
            let answer = held.follower.choice(
                &losses,
                game.reference_follower().log_row(action),
                game.temperatures().follower(),
            );
            if game.temperatures().follower() == 0.0 && answer.support.len() > 1 {
                tied_rows.push(action);
            }
            leader_values.push(-answer.value);
            log_follower.extend(answer.log_policy);
        }
        let log_reference = game.reference_leader().log_probabilities();
        let commitment = held.leader.choice(&leader_values, log_reference, game.temperatures().leader());
        Self {
            game: game.clone(),
            log_leader: commitment.log_policy,
            log_follower,
            leader_values,
            objective: commitment.value,
            held,
            leader_support: commitment.support,
            tied_rows,
        }
    }

    /// The game that was solved.
    pub fn game(&self) -> &Game {
        &self.game
    }

    /// π*, as probabilities. At `τ_L` = 0: the reference restricted to the argmax set of f.
    pub fn leader(&self) -> Vec<f64> {
        exponentials(&self.log_leader)
    }

    /// log π*; −∞ outside the argmax set at `τ_L` = 0.
    pub fn log_leader(&self) -> &[f64] {
        &self.log_leader
    }

    /// ω*(j | i), row-major `n × n`, as probabilities. At `τ_F` = 0: each row is the reference
    /// restricted to the row's argmin set.
    pub fn follower(&self) -> Vec<f64> {
        exponentials(&self.log_follower)
    }

    /// log ω*, row-major; −∞ outside the argmin sets at `τ_F` = 0.
    pub fn log_follower(&self) -> &[f64] {
        &self.log_follower
    }

    /// `f(i) = −τ_F log Σ_j ω_ref(j|i) exp(−P[i][j]/τ_F)`, or `min_j P[i][j]` at `τ_F` = 0: what
    /// committing to `i` is worth to the Leader.
    pub fn leader_values(&self) -> &[f64] {
        &self.leader_values
    }

    /// The regularised value of the game: `τ_L log Σ_i π_ref(i) exp(f(i)/τ_L)`, or `max f`.
    pub fn objective(&self) -> f64 {
        self.objective
    }

    /// The actions that π* may play, ascending: all of them for `τ_L` > 0, the argmax set of f
    /// (tolerance [`crate::TIE_TOLERANCE`]) at `τ_L` = 0.
    pub fn leader_support(&self) -> &[usize] {
        &self.leader_support
    }

    /// At `τ_F` = 0, the Leader's actions to which the Follower has several best answers.
    pub fn tied_rows(&self) -> &[usize] {
        &self.tied_rows
    }
}
