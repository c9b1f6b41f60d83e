//! RLOO (Ahmadian et al., arXiv 2402.14740): REINFORCE over k answers of one prompt, each against the mean of the others.
//!
//! With a reward r(y) (a `reward` plugin, less the penalty of an answer that did not end by itself) the baseline of `y_i` is
//! the mean reward of the others. Without one, `r_i` is the mean label `ℓ_ij = ½ [p(y_i ≻ y_j) + 1 − p(y_j ≻ y_i)]` against the
//! other answers of the prompt: both orders were asked, and what a judge gives to a place cancels. The rewards of the
//! others then depend on `y_i`, so that their mean would bias the gradient (by the factor k/(k − 1) against the KL term). The
//! baseline of `y_i` is therefore the mean label *among the others*, which is ½ whatever they are. Its expectation is the
//! gradient of `E_y`[ℓ(y, y')], y' a sample of the current policy that is not differentiated: its fixed point is
//! `π ∝ π_ref · exp(ℓπ / β)`, the regularised Nash policy of the symmetrized game. A pair of which one order failed is left
//! out: half a label would be another number.
//!
//! The KL term enters by `kl_gradient`. `paper` is the RLOO paper's own way: it is part of the reward,
//! `R_i = r_i − β Σ_t k_t`, and leave-one-out takes the mean of the others' R; unbiased with k1. (Their KL is known only after their
//! forward pass, so all answers of a prompt must be in one micro-batch.)

use slhf_plan::{KlGradient, Labels, LanguageTraining, PairScores, TokenScores};

use super::divergence::{KlTerm, WeighError, estimate};
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, weighed};
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::{label, mean_of_others};

/// The loss of the answers of a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RlooLoss {
    /// The KL term.
    pub kl: KlTerm,
}

/// Rewards and baselines from the verdicts among the k answers of one prompt: `verdicts[i * k + j]` is `p(y_i` ≻ `y_j`),
/// `None` where it failed; `penalties[i]` is taken off answer i's reward. `None` for an answer without any pair of which
/// both orders are known.
#[must_use]
pub fn outcomes_from_verdicts(verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
    let k = penalties.len();
    let all: f64 = penalties.iter().sum();
    let label_of = |i: usize, j: usize| Some(label(verdicts[i * k + j]?, verdicts[j * k + i]?, Labels::Soft));
    let outcome = |own: usize| {
        let labels: Vec<f64> = (0..k).filter(|&other| other != own).filter_map(|other| label_of(own, other)).collect();
        let mean = labels.iter().sum::<f64>() / labels.len() as f64;
        let baseline = 0.5 - mean_of_others(all, penalties[own], k);
        (!labels.is_empty()).then(|| AnswerOutcome { reward: mean - penalties[own], baseline })
    };
    (0..k).map(outcome).collect()
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
    fn a_reward_from_verdicts_is_of_both_orders_and_stands_against_one_half() {
        let verdicts = [0.5, 0.875, 0.625, 0.375, 0.5, 1.0, 0.125, 0.75, 0.5].map(Some);
        let outcomes = outcomes_from_verdicts(&verdicts, &[0.0, 0.25, 0.0]);
        let expected = [(0.75, 0.375), (0.4375 - 0.25, 0.5), (0.3125, 0.375)];
        let expected = expected.map(|(reward, baseline)| Some(AnswerOutcome { reward, baseline }));
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn a_pair_of_which_one_order_failed_is_left_out() {
        // Of (0, 1) both orders are known, of (0, 2) one, of (1, 2) none.
        let verdicts = [None, Some(0.75), None, Some(0.5), None, None, Some(0.0), None, None];
        let outcomes = outcomes_from_verdicts(&verdicts, &[0.0; 3]);
        let expected = |reward| Some(AnswerOutcome { reward, baseline: 0.5 });
        assert_eq!(outcomes, [expected(0.625), expected(0.375), None]);
    }
}
