//! What each method sees of a game, and its target.

use slhf_game::{
    BradleyTerryFit, Game, GameError, NashGame, Note, OnPolicyFit, PreferenceMatrix, TemperatureValues, Temperatures,
};
use slhf_plan::{GamePlan, GameReward, Labels};

use crate::LearnError;
use crate::derivatives::label;
use crate::log_probabilities::log_probabilities;
use crate::problem::{Payoff, Problem, Target, bradley_terry};

/// A game before a method with one policy.
pub(crate) struct Seen<'a> {
    pub(crate) game: &'a Game,
    pub(crate) run: i64,
    pub(crate) plan: &'a GamePlan,
    /// Whether the reference is renewed, so that the target is the game's own Nash policy.
    pub(crate) renews: bool,
}

impl Seen<'_> {
    pub(super) fn failed(&self, source: GameError) -> LearnError {
        LearnError::Game { run: self.run, source }
    }

    pub(super) fn log_reference(&self) -> &[f64] {
        self.game.reference_leader().log_probabilities()
    }

    /// ℓ, row-major.
    pub(super) fn labels(&self, labels: Labels) -> Vec<f64> {
        let preferences = self.game.preferences();
        let row = |(i, row): (usize, &[f64])| {
            let entries = row.iter().enumerate();
            entries.map(|(j, p)| label(*p, preferences.get(j, i), labels)).collect::<Vec<_>>()
        };
        preferences.rows().enumerate().flat_map(row).collect()
    }

    /// The game whose preferences are the labels.
    pub(super) fn labelled(&self, labels: Labels) -> Result<Game, GameError> {
        let temperatures = self.game.temperatures();
        Game::new(
            PreferenceMatrix::new(self.game.actions(), self.labels(labels))?,
            self.game.reference_leader().clone(),
            self.game.reference_follower().clone(),
            Temperatures::new(TemperatureValues {
                leader: temperatures.leader(),
                follower: temperatures.follower(),
                nash: temperatures.nash(),
                rlhf: temperatures.rlhf(),
            })?,
        )
    }

    /// What the user should know where pairs are judged in both orders.
    pub(super) fn notes(&self) -> Vec<Note> {
        if self.game.preferences().is_complementary(PreferenceMatrix::COMPLEMENTARY_TOLERANCE) {
            Vec::new()
        } else {
            vec![Note::Symmetrised(self.game.preferences().worst_asymmetry())]
        }
    }

    /// Pairs with these labels.
    pub(super) fn pairs(&self, labels: Labels, tau: f64) -> Problem {
        Problem {
            payoff: Payoff::Pairs(self.labels(labels)),
            notes: self.notes(),
            ..Problem::with_one_policy(self.game, tau)
        }
    }

    /// Self-play at `τ_nash`; with hard labels the fixed point is that of the game they make.
    pub(super) fn nash(&self, labels: Labels) -> Result<Problem, LearnError> {
        if self.renews {
            let tau = self.game.temperatures().nash();
            let target = Target::unregularised(self.game).map_err(|e| self.failed(e))?;
            return Ok(Problem { target, ..self.pairs(labels, tau) });
        }
        let nash = NashGame::of(self.game);
        let fixed_point = match labels {
            Labels::Soft => None,
            Labels::Hard => Some(NashGame::of(&self.labelled(labels).map_err(|e| self.failed(e))?).solve().log_policy),
        };
        let equilibrium = (nash.temperature() > 0.0).then(|| nash.solve().log_policy);
        let tau = nash.temperature();
        let target = Target::Nash { equilibrium, game: nash, fixed_point };
        Ok(Problem { target, ..self.pairs(labels, tau) })
    }

    pub(super) fn lottery(&self) -> Problem {
        Problem { target: Target::Lottery(NashGame::of(self.game)), ..self.pairs(Labels::Soft, 0.0) }
    }

    pub(super) fn on_policy_fit(&self, labels: Labels) -> Result<Problem, LearnError> {
        let tau = self.game.temperatures().rlhf();
        let reference = self.game.reference_leader();
        let labelled = PreferenceMatrix::new(self.game.actions(), self.labels(labels)).map_err(|e| self.failed(e))?;
        let rlhf = BradleyTerryFit::with_uniform_weights(self.game.preferences());
        let target = Target::Rlhf {
            log_policy: rlhf.log_policy(reference, tau),
            fixed_point: OnPolicyFit::of(&labelled, reference, tau).map(|fit| fit.log_policy),
        };
        Ok(Problem { target, ..self.pairs(labels, tau) })
    }

    /// A method with rewards; `own` is its fixed point where that is not the RLHF solution.
    pub(super) fn rewarded(
        &self,
        reward: &GameReward,
        own: impl FnOnce(&[f64], f64) -> Option<Vec<f64>>,
    ) -> Result<Problem, LearnError> {
        let (scores, notes) = match reward {
            GameReward::Verdicts => return self.nash(Labels::Soft),
            GameReward::Scores { scores } => (scores.clone(), Vec::new()),
            GameReward::BradleyTerry { pairs } => {
                let fit = bradley_terry(self.game, self.run, self.plan, pairs)?;
                let notes = crate::problem::notes_of(&fit);
                (fit.scores, notes)
            }
        };
        let tau = self.game.temperatures().rlhf();
        let target = Target::Rlhf {
            log_policy: tilted(self.log_reference(), &scores, 1.0 / tau),
            fixed_point: own(&scores, tau),
        };
        Ok(Problem { target, payoff: Payoff::Scores(scores), notes, ..Problem::with_one_policy(self.game, tau) })
    }
}

/// A method's settings as what it sees of a game, and its target.
pub(crate) trait Sees {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError>;
}

/// log π of `π ∝ π_ref exp(scale · r)`.
pub(crate) fn tilted(log_reference: &[f64], rewards: &[f64], scale: f64) -> Vec<f64> {
    let logits: Vec<f64> = log_reference.iter().zip(rewards).map(|(log, reward)| log + scale * reward).collect();
    log_probabilities(&logits, logits.len())
}
