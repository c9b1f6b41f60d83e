//! RLOO (Ahmadian et al., arXiv 2402.14740): REINFORCE over k answers of one prompt, each against the mean of the others.
//!
//! With a reward r(y) (a `reward` plugin, less the penalty of an answer that did not end by itself) the baseline of `y_i` is
//! the mean reward of the others. Without one, `r_i` is the mean verdict `p(y_i` ≻ `y_j`) against the other answers of the
//! prompt; the rewards of the others then depend on `y_i`, so that their mean would bias the gradient (for a complementary
//! judge by the factor k/(k − 1) against the KL term). The baseline of `y_i` is therefore the mean verdict *among the others*,
//! and 0.5 where there are not two of them. Its expectation is the gradient of `E_y`[p(y ≻ y')], y' a sample of the
//! current policy that is not differentiated: its fixed point is `π ∝ π_ref · exp(Pπ / β)`, the regularised Nash policy.
//!
//! The KL term enters by `kl_gradient`. `paper` is the RLOO paper's own way: it is part of the reward,
//! `R_i = r_i − β Σ_t k_t`, and leave-one-out takes the mean of the others' R; unbiased with k1. (Their KL is known only after their
//! forward pass, so all answers of a prompt must be in one micro-batch.)

use slhf_plan::{KlGradient, LanguageTraining, PairScores, TokenScores};

use super::divergence::{KlTerm, WeighError, estimate};
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, weighed};
use super::stackelberg_gda::WeighedPair;
use crate::slopes::mean_of_others;

/// The loss of the answers of a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RlooLoss {
    /// The KL term.
    pub kl: KlTerm,
}

/// Rewards and baselines from the verdicts among the k answers of one prompt: `verdicts[i * k + j]` is `p(y_i` ≻ `y_j`),
/// `None` where it failed; `penalties[i]` is taken off answer i's reward. `None` for an answer without any verdict.
#[must_use]
pub fn outcomes_from_verdicts(verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
    let k = penalties.len();
    let mean = |wanted: &dyn Fn(usize, usize) -> bool| {
        let pairs = (0..k).flat_map(|i| (0..k).map(move |j| (i, j)));
        let chosen: Vec<f64> =
            pairs.filter(|&(i, j)| i != j && wanted(i, j)).filter_map(|(i, j)| verdicts[i * k + j]).collect();
        (!chosen.is_empty()).then(|| chosen.iter().sum::<f64>() / chosen.len() as f64)
    };
    let outcome = |own: usize| {
        let reward = mean(&|i, _| i == own)? - penalties[own];
        let others = mean(&|i, j| i != own && j != own).unwrap_or(0.5);
        let penalty = (penalties.iter().sum::<f64>() - penalties[own]) / (k - 1).max(1) as f64;
        Some(AnswerOutcome { reward, baseline: others - penalty })
    };
    (0..k).map(outcome).collect()
}

/// Each reward with the mean of the others; needs two.
#[must_use]
pub fn outcomes_from_rewards(rewards: &[f64]) -> Vec<AnswerOutcome> {
    let sum: f64 = rewards.iter().sum();
    let baseline = |reward| mean_of_others(sum, reward, rewards.len());
    rewards.iter().map(|&reward| AnswerOutcome { reward, baseline: baseline(reward) }).collect()
}

impl RlooLoss {
    /// As planned.
    #[must_use]
    pub fn of(training: &LanguageTraining) -> Self {
        Self { kl: KlTerm::of(training) }
    }

    /// β `Σ_t` `k_t` where the KL term is part of the reward; else 0.
    fn cost_in_reward(&self, scores: &TokenScores) -> f64 {
        if !self.needs_whole_groups() {
            return 0.0;
        }
        let ratios = scores.policy.iter().zip(&scores.reference).map(|(policy, reference)| policy - reference);
        self.kl.beta * ratios.map(|ratio| estimate(self.kl.estimator, ratio)).sum::<f64>()
    }
}

impl GroupLoss for RlooLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        outcomes_from_verdicts(verdicts, penalties)
    }

    fn needs_whole_groups(&self) -> bool {
        self.kl.gradient == KlGradient::Paper
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(self.kl.gradient == KlGradient::Exact)?;
        let costs: Vec<f64> = group.scores.iter().map(|scores| self.cost_in_reward(&scores.leader)).collect();
        let all: f64 = costs.iter().sum();
        let term = if self.needs_whole_groups() { KlTerm { beta: 0.0, ..self.kl } } else { self.kl };
        let weigh_one = |((scores, outcome), cost): ((&PairScores, &AnswerOutcome), &f64)| {
            let reward = outcome.reward - cost;
            let baseline = outcome.baseline - mean_of_others(all, *cost, costs.len());
            weighed(term.loss(reward - baseline, &scores.leader), factor)
        };
        group.scores.iter().zip(group.outcomes).zip(&costs).map(weigh_one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_from_verdicts_does_not_depend_on_the_answers_own_verdicts() {
        let verdicts = |own: f64| {
            let p = [[0.5, own, own], [1.0 - own, 0.5, 0.8], [0.9 - own, 0.3, 0.5]];
            p.into_iter().flatten().map(Some).collect::<Vec<_>>()
        };
        let [first, second] = [0.1, 0.7].map(|own| outcomes_from_verdicts(&verdicts(own), &[0.0; 3])[0].unwrap());
        assert_eq!((first.reward, second.reward), (0.1, 0.7));
        assert_eq!(first.baseline, 0.55);
        assert_eq!(first.baseline, second.baseline);
    }

    #[test]
    fn two_answers_have_the_uninformed_baseline_and_failed_verdicts_are_left_out() {
        let verdicts = [None, Some(0.75), None, None];
        let outcomes = outcomes_from_verdicts(&verdicts, &[0.0, 0.25]);
        assert_eq!(outcomes[0], Some(AnswerOutcome { reward: 0.75, baseline: 0.5 - 0.25 }));
        assert_eq!(outcomes[1], None);
    }

    #[test]
    fn rewards_stand_against_the_mean_of_the_others() {
        let outcomes = outcomes_from_rewards(&[1.0, 2.0, 6.0]);
        assert_eq!(outcomes.iter().map(|o| o.baseline).collect::<Vec<_>>(), [4.0, 3.5, 1.5]);
    }
}
