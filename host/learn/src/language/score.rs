//! SCoRe on language models (Kumar et al., arXiv 2409.12917): one policy answers, y, and answers again to improve it, y'.
//!
//! ```text
//! stage I  (equation 3)   maximize  E[ r(y') ]                      − (β + β_2) KL_1 − β KL_2
//! stage II (equation 4)   maximize  E[ r(y) + r(y') + α progress ]  −  β        KL_1 − β KL_2
//! ```
//!
//! `KL_1` = KL(π(·|x) ‖ `π_ref`), `KL_2` = `E_y` KL(ω(·|x, y) ‖ `ω_ref`), and progress = r(y') − r(y). Both turns are REINFORCE with
//! leave-one-out baselines over the k samples of a prompt, as RLOO is.
//!
//! What the second turn's tokens are credited with is the reward of y' and its bonus. With [`TurnCredit::Objective`] the first turn's
//! are credited with all of it, `−β Σ_t k1_t(y')` included: the gradient of the objectives as a whole. There α weighs r(y) by 1 − α: above
//! 1 a good first answer costs. With [`TurnCredit::OwnTurn`] they are credited with r(y) alone (in stage I with nothing), as the
//! paper's equation 2 has it for each turn; what is in the second turn's score of y alone is then a control variate.
//!
//! Rewards by verdicts have no r: both turns are compared with the *first* answers of the prompt's other samples, whose mean label is the
//! reward, so that the rewards of both turns are of one scale; progress is `ℓ(y', y) − ½`, of the pair itself. The opponents are not
//! differentiated.

use slhf_plan::{KlEstimator, KlGradient, LanguageTraining, PairScores, Score, TurnCredit};

use super::divergence::{HeldTerm, KlTerm, WeighError};
use super::stackelberg_gda::{BothTerms, PairFactors, PairOutcome, WeighedPair};
use super::traits::Pair;
use crate::derivatives::mean_of_others;

/// The loss of one sample of two turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreLoss {
    /// Steps of stage I.
    pub stage_one_steps: u64,
    /// α
    pub alpha: f64,
    /// β, of both turns in both stages.
    pub beta: f64,
    /// `β_2`, of the first turn in stage I.
    pub first_turn_beta: f64,
    /// What the first turn's tokens are credited with.
    pub credit: TurnCredit,
    /// How the KL terms enter the gradient.
    pub gradient: KlGradient,
    /// The estimate that `paper` uses.
    pub estimator: KlEstimator,
}

/// Where in a run a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The second answer alone is rewarded; the first is held to the reference.
    One,
    /// Both are, and progress.
    Two,
}

/// Rewards of one sample, or their baselines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnRewards {
    /// r(y)
    pub first: f64,
    /// r(y')
    pub second: f64,
    /// r(y') − r(y), or what stands for it.
    pub progress: f64,
}

/// Rewards of one sample with their baselines, which do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedTurns {
    /// The rewards.
    pub rewards: TurnRewards,
    /// Their baselines.
    pub baselines: TurnRewards,
}

/// Labels among the k samples of one prompt, `None` where one order failed.
#[derive(Clone, Copy, Debug)]
pub struct TurnLabels<'a> {
    /// `first[i * k + j]` is `ℓ(y_i, y_j)`, the label of two first answers; the diagonal is not looked at.
    pub first: &'a [Option<f64>],
    /// `second[i * k + j]` is `ℓ(y'_i, y_j)`, the label of a second answer against a first one.
    pub second: &'a [Option<f64>],
    /// What each sample's answers lose: [y, y'].
    pub penalties: &'a [[f64; 2]],
}

impl ScoreLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Score<LanguageTraining>) -> Self {
        let training = &method.training;
        Self {
            stage_one_steps: method.stage_one_steps,
            alpha: method.alpha,
            beta: training.beta,
            first_turn_beta: method.first_turn_beta,
            credit: method.credit,
            gradient: training.kl_gradient,
            estimator: training.kl_estimator,
        }
    }

    /// The stage of a step (from 1).
    #[must_use]
    pub fn stage(&self, step: u64) -> Stage {
        if step <= self.stage_one_steps { Stage::One } else { Stage::Two }
    }

    /// What a sample's turns are credited with, and the baselines of it.
    #[must_use]
    pub fn outcome(&self, stage: Stage, turns: &JudgedTurns) -> PairOutcome {
        let credited = |values: &TurnRewards| {
            let (own, second) = match stage {
                Stage::One => (0.0, values.second),
                Stage::Two => (values.first, values.second + self.alpha * values.progress),
            };
            let first = match self.credit {
                TurnCredit::OwnTurn => own,
                TurnCredit::Objective => own + second,
            };
            (first, second)
        };
        let (leader_score, follower_score) = credited(&turns.rewards);
        let (leader_baseline, follower_baseline) = credited(&turns.baselines);
        PairOutcome { leader_score, leader_baseline, follower_score, follower_baseline }
    }

    /// The coefficients of a sample. Errors: scores that are not one finite number a token.
    pub fn weigh(
        &self,
        stage: Stage,
        pair: &Pair<'_>,
        scores: &PairScores,
        (outcome, factors): (&PairOutcome, PairFactors),
    ) -> Result<WeighedPair, WeighError> {
        let term = |beta| {
            let kl = KlTerm { beta, gradient: self.gradient, estimator: self.estimator };
            HeldTerm { kl, forward: 0.0 }
        };
        let held = match stage {
            Stage::One => self.first_turn_beta,
            Stage::Two => 0.0,
        };
        // What an answer costs in divergence later is part of what it is worth; `paper` leaves every token its own estimate.
        let divergence_share = match (self.credit, self.gradient) {
            (TurnCredit::OwnTurn, _) | (_, KlGradient::Paper) => 0.0,
            (TurnCredit::Objective, _) => -self.beta,
        };
        let terms = BothTerms { leader: term(self.beta + held), follower: term(self.beta), divergence_share };
        terms.weigh(pair, scores, outcome, factors)
    }
}

/// Each sample's rewards `[r(y), r(y')]` with the means of the others; needs two.
#[must_use]
pub fn turns_from_rewards(rewards: &[[f64; 2]]) -> Vec<JudgedTurns> {
    let of = |[first, second]: [f64; 2]| TurnRewards { first, second, progress: second - first };
    let sums = rewards.iter().fold([0.0; 2], |sums, own| [sums[0] + own[0], sums[1] + own[1]]);
    let others = |own: &[f64; 2]| [0, 1].map(|turn| mean_of_others(sums[turn], own[turn], rewards.len()));
    rewards.iter().map(|own| JudgedTurns { rewards: of(*own), baselines: of(others(own)) }).collect()
}

/// Rewards by labels, less the penalties. `None` for a sample whose own pair has no label, or one of whose answers has none against any
/// other sample.
#[must_use]
pub fn turns_from_labels(labels: &TurnLabels<'_>) -> Vec<Option<JudgedTurns>> {
    (0..labels.penalties.len()).map(|own| labels.of(own)).collect()
}

impl TurnLabels<'_> {
    fn of(&self, own: usize) -> Option<JudgedTurns> {
        let others = || self.others(own);
        let [lost, lost_second] = self.penalties[own];
        let rewards = TurnRewards {
            first: mean(others().map(|other| self.label(self.first, own, other)))? - lost,
            second: mean(others().map(|other| self.label(self.second, own, other)))? - lost_second,
            progress: self.progress(own)?,
        };
        // Of the others alone: a label in which the sample itself stands would bias the gradient.
        let of_others = others().flat_map(|y| others().map(move |z| self.label(self.second, y, z)));
        let lost = |turn: usize| mean(others().map(|other| Some(self.penalties[other][turn]))).unwrap_or(0.0);
        let baselines = TurnRewards {
            first: 0.5 - lost(0),
            second: mean(of_others).unwrap_or(0.5) - lost(1),
            progress: mean(others().map(|other| self.progress(other))).unwrap_or(0.0),
        };
        Some(JudgedTurns { rewards, baselines })
    }

    fn others(&self, own: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        (0..self.penalties.len()).filter(move |other| *other != own)
    }

    fn label(&self, matrix: &[Option<f64>], row: usize, column: usize) -> Option<f64> {
        matrix[row * self.penalties.len() + column]
    }

    fn progress(&self, own: usize) -> Option<f64> {
        let [lost, lost_second] = self.penalties[own];
        Some(self.label(self.second, own, own)? - 0.5 - (lost_second - lost))
    }
}

/// Of what is known.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: JudgedTurns = JudgedTurns {
        rewards: TurnRewards { first: 0.5, second: 0.75, progress: 0.25 },
        baselines: TurnRewards { first: 0.25, second: 0.5, progress: 0.125 },
    };

    fn loss(credit: TurnCredit) -> ScoreLoss {
        ScoreLoss {
            stage_one_steps: 3,
            alpha: 2.0,
            beta: 0.25,
            first_turn_beta: 0.5,
            credit,
            gradient: KlGradient::RewardToGo,
            estimator: KlEstimator::K1,
        }
    }

    #[test]
    fn stage_one_ends_with_its_last_step() {
        let stages = [1, 3, 4].map(|step| loss(TurnCredit::OwnTurn).stage(step));
        assert_eq!(stages, [Stage::One, Stage::One, Stage::Two]);
        let none = ScoreLoss { stage_one_steps: 0, ..loss(TurnCredit::OwnTurn) };
        assert_eq!(none.stage(1), Stage::Two);
    }

    #[test]
    fn each_turn_is_credited_with_its_own_or_the_first_with_all_of_it() {
        let outcome = |credit, stage| {
            let found = loss(credit).outcome(stage, &SAMPLE);
            [found.leader_score, found.leader_baseline, found.follower_score, found.follower_baseline]
        };
        assert_eq!(outcome(TurnCredit::OwnTurn, Stage::One), [0.0, 0.0, 0.75, 0.5]);
        assert_eq!(outcome(TurnCredit::OwnTurn, Stage::Two), [0.5, 0.25, 1.25, 0.75]);
        assert_eq!(outcome(TurnCredit::Objective, Stage::One), [0.75, 0.5, 0.75, 0.5]);
        assert_eq!(outcome(TurnCredit::Objective, Stage::Two), [1.75, 1.0, 1.25, 0.75]);
    }

    #[test]
    fn rewards_stand_against_the_means_of_the_others() {
        let found = turns_from_rewards(&[[1.0, 2.0], [2.0, 2.0], [6.0, 5.0]]);
        assert_eq!(found[0].rewards, TurnRewards { first: 1.0, second: 2.0, progress: 1.0 });
        assert_eq!(found[0].baselines, TurnRewards { first: 4.0, second: 3.5, progress: -0.5 });
    }

    #[test]
    fn by_labels_both_turns_are_compared_with_the_others_first_answers() {
        let first = [None, Some(0.75), Some(0.25), None].as_slice();
        let second = [Some(0.875), Some(0.625), Some(0.5), Some(0.25)].as_slice();
        let penalties = [[0.0, 0.25], [0.5, 0.0]];
        let found = turns_from_labels(&TurnLabels { first, second, penalties: &penalties });
        let own = found[0].unwrap();
        assert_eq!(own.rewards, TurnRewards { first: 0.75, second: 0.375, progress: 0.125 });
        // Of the other sample alone.
        assert_eq!(own.baselines, TurnRewards { first: 0.0, second: 0.25, progress: 0.25 });
        // Without the label of its own pair there is no progress, and without one against another no reward.
        let second = [None, Some(0.625), None, Some(0.25)];
        assert_eq!(turns_from_labels(&TurnLabels { first, second: &second, penalties: &penalties }), [None, None]);
    }
}
