//! What the methods with one policy have in common: k answers of one prompt, compared with each other.
//!
//! A method is a [`GroupLoss`], one file each. Those on pairs of answers (`online_dpo`, `online_ipo`, `sppo`, `inpo`,
//! `mnpo`, `sft`) average over all pairs of a prompt, and each of their losses is linear in the label of a pair, so that answer i
//! needs no more of the judge than its mean label against the others: [`labelled`].

use slhf_plan::{Labels, PairScores, PairWeights, TokenScores, TokenWeights};

use super::clipped::ClippedRatios;
use super::divergence::{AnswerLoss, ScoreProblem, WeighError, check_scores};
use super::stackelberg_gda::WeighedPair;
use super::traits::{Pair, PolicyName};
use crate::derivatives::{mean_of_others, rounded};

/// What is known of one answer before its tokens are scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerOutcome {
    /// `r_i`
    pub reward: f64,
    /// The baseline of `r_i`.
    pub baseline: f64,
}

/// What policies of steps before make of a whole answer: of a method that plays against some.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PastScore {
    /// What they weigh together, in [0, 1]: `Σ_j λ_j` over j ≥ 1. The rest is the policy's that sampled.
    pub weight: f64,
    /// `Σ_j λ_j log π_{t−j}(y)` over j ≥ 1.
    pub log_probability: f64,
}

/// Answers of one prompt with what is known of them; all lists have one entry an answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerGroup<'a> {
    /// The answers.
    pub pairs: &'a [Pair<'a>],
    /// Of this pass.
    pub scores: &'a [PairScores],
    /// Rewards.
    pub outcomes: &'a [AnswerOutcome],
    /// log π of every token when it was sampled; empty in the first update on these samples, when that is now.
    pub sampled: &'a [Vec<f64>],
    /// By policies of steps before; empty where the method plays against none, or none is there yet.
    pub past: &'a [PastScore],
}

/// A method with one policy: verdicts or rewards to outcomes, outcomes and token scores to coefficients.
pub trait GroupLoss: std::fmt::Debug + Send + Sync {
    /// Who samples what is trained on.
    fn sampler(&self) -> PolicyName {
        PolicyName::Leader
    }

    /// Outcomes from the verdicts among the k answers of one prompt: `verdicts[i * k + j]` is `p(y_i ≻ y_j)`, `None` where
    /// it failed; `penalties[i]` is what answer i loses because it did not end. `None` for an answer that cannot be used.
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>>;

    /// Outcomes from rewards, for a method with a reward plugin.
    fn outcomes_of_rewards(&self, rewards: &[f64]) -> Vec<AnswerOutcome> {
        outcomes_from_rewards(rewards)
    }

    /// Whether all answers of a prompt must be weighed at once.
    fn needs_whole_groups(&self) -> bool;

    /// Updates on the same samples, at least 1.
    fn num_iterations(&self) -> u32 {
        1
    }

    /// How many policies of steps before it plays against.
    fn kept(&self) -> usize {
        0
    }

    /// λ: what each opponent weighs after so many steps before, which sum to 1: the policy that sampled, then those of the steps before.
    fn opponents(&self, _steps_before: usize) -> Vec<f64> {
        vec![1.0]
    }

    /// Whether ratios of the policy to the one that sampled are clipped, and any of them may be.
    fn clips(&self) -> bool {
        false
    }

    /// Whether prompts whose answers all have the same reward are left out.
    fn drops_constant_groups(&self) -> bool {
        false
    }

    /// What an answer of so many tokens loses of its reward, beside what it loses where it did not end.
    fn length_penalty(&self, _tokens: usize) -> f64 {
        0.0
    }

    /// Coefficients of the answers of one prompt (of all of them, two or more, if they must be weighed at once), times
    /// `factor`. Errors: scores that are not one finite number a token.
    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError>;
}

impl AnswerGroup<'_> {
    /// Refuses scores that are not one finite number a token.
    pub(crate) fn check(&self, wants_exact: bool) -> Result<(), WeighError> {
        for (pair, scores) in self.pairs.iter().zip(self.scores) {
            check_scores(&scores.leader, pair.leader.tokens.len(), wants_exact).map_err(fault)?;
        }
        Ok(())
    }

    /// log π of answer i's tokens when they were sampled.
    pub(crate) fn sampled(&self, index: usize) -> &[f64] {
        self.sampled.get(index).map_or(&self.scores[index].leader.policy, Vec::as_slice)
    }

    /// log π of every whole answer less the same when it was sampled.
    pub(crate) fn moved(&self) -> Vec<f64> {
        let moved = |(index, scores): (usize, &PairScores)| {
            scores.leader.policy.iter().zip(self.sampled(index)).map(|(now, then)| now - then).sum()
        };
        self.scores.iter().enumerate().map(moved).collect()
    }

    /// log π when it was sampled of every whole answer, less the same of all opponents in the mean of their logarithms, `Σ_j λ_j log π_{t−j}`.
    pub(crate) fn lags(&self) -> Vec<f64> {
        let lag = |index: usize| {
            let past = self.past.get(index).copied().unwrap_or_default();
            past.weight * self.sampled(index).iter().sum::<f64>() - past.log_probability
        };
        (0..self.scores.len()).map(lag).collect()
    }

    /// log π − log `π_ref` of every whole answer.
    pub(crate) fn log_ratios(&self) -> Vec<f64> {
        self.scores.iter().map(|scores| scores.leader.log_ratio()).collect()
    }

    /// One coefficient an answer, the same for all of its tokens, with the value of its loss.
    pub(crate) fn weighed(&self, derivatives: &[(f64, f64)], factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        let one = |(scores, &(derivative, loss)): (&PairScores, &(f64, f64))| {
            let tokens = scores.leader.policy.len();
            weighed(AnswerLoss { score: vec![derivative; tokens], exact_kl: Vec::new(), loss }, factor)
        };
        self.scores.iter().zip(derivatives).map(one).collect()
    }
}

/// A fault of the only policy there is.
pub(crate) fn fault(source: ScoreProblem) -> WeighError {
    WeighError { agent: "Leader", source }
}

/// The coefficients of one answer times `factor`.
pub(crate) fn weighed(loss: AnswerLoss, factor: f64) -> Result<WeighedPair, WeighError> {
    let leader_loss = loss.loss;
    let leader = loss.times(factor).map_err(fault)?;
    let weights =
        PairWeights { leader: TokenWeights { score: leader.score, exact_kl: leader.exact_kl }, follower: None };
    Ok(WeighedPair { weights, leader_loss, follower_loss: f64::NAN, clipped: ClippedRatios::default() })
}

/// Mean over the others of each value's difference to theirs.
pub(crate) fn mean_differences(values: &[f64]) -> Vec<f64> {
    let sum: f64 = values.iter().sum();
    let others = (values.len().max(2) - 1) as f64;
    values.iter().map(|value| value - (sum - value) / others).collect()
}

/// `mean_{j ≠ i}` of a function of a pair.
pub(crate) fn mean_of_pairs(count: usize, of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let others = (count.max(2) - 1) as f64;
    let mean = |i: usize| (0..count).filter(|&j| j != i).map(|j| of(i, j)).sum::<f64>() / others;
    (0..count).map(mean).collect()
}

/// The mean label of each answer against the others as its reward, 0.5 as its baseline. A pair's label is
/// `½ [p(y_i ≻ y_j) + 1 − p(y_j ≻ y_i)]` less the difference of the penalties, held to [0, 1], and rounded to who wins
/// with [`Labels::Hard`]. A prompt of which one verdict failed is left out: its pairs would not be weighed alike.
pub(crate) fn labelled(verdicts: &[Option<f64>], penalties: &[f64], labels: Labels) -> Vec<Option<AnswerOutcome>> {
    let k = penalties.len();
    let failed = (0..k).any(|i| (0..k).any(|j| i != j && verdicts[i * k + j].is_none()));
    if failed || k < 2 {
        return vec![None; k];
    }
    let verdict = |i: usize, j: usize| verdicts[i * k + j].unwrap_or(0.5);
    let label = |i: usize, j: usize| {
        let won = 0.5 * (verdict(i, j) + 1.0 - verdict(j, i)) - (penalties[i] - penalties[j]);
        rounded(won.clamp(0.0, 1.0), labels)
    };
    let outcome = |reward| Some(AnswerOutcome { reward, baseline: 0.5 });
    mean_of_pairs(k, label).into_iter().map(outcome).collect()
}

/// Sum of a whole answer's log-probabilities.
pub(crate) fn log_probability(scores: &TokenScores) -> f64 {
    scores.policy.iter().sum()
}

/// Each reward with the mean of the others; needs two.
#[must_use]
pub fn outcomes_from_rewards(rewards: &[f64]) -> Vec<AnswerOutcome> {
    let sum: f64 = rewards.iter().sum();
    let baseline = |reward| mean_of_others(sum, reward, rewards.len());
    rewards.iter().map(|&reward| AnswerOutcome { reward, baseline: baseline(reward) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_of_both_orders_and_antisymmetric_whatever_the_judge() {
        let verdicts = [0.5, 0.875, 0.625, 0.5].map(Some);
        let rewards = |labels, penalties: &[f64]| {
            labelled(&verdicts, penalties, labels).into_iter().map(|one| one.unwrap().reward).collect::<Vec<_>>()
        };
        assert_eq!(rewards(Labels::Soft, &[0.0, 0.0]), [0.625, 0.375]);
        assert_eq!(rewards(Labels::Hard, &[0.0, 0.0]), [1.0, 0.0]);
        // A tie is a tie although 0.4 + 1 − 0.4 is not 1 in f64.
        let tied = labelled(&[0.5, 0.4, 0.4, 0.5].map(Some), &[0.0, 0.0], Labels::Hard);
        assert_eq!(tied[0].unwrap().reward, 0.5);
        // What did not end loses, and no label leaves [0, 1].
        assert_eq!(rewards(Labels::Soft, &[0.7, 0.0]), [0.0, 1.0]);
    }

    #[test]
    fn a_prompt_with_a_failed_verdict_is_left_out_whole() {
        let mut verdicts = vec![Some(0.5); 9];
        verdicts[5] = None;
        assert_eq!(labelled(&verdicts, &[0.0; 3], Labels::Soft), [None; 3]);
    }

    #[test]
    fn differences_to_the_others() {
        assert_eq!(mean_differences(&[1.0, 2.0, 6.0]), [-3.0, -1.5, 4.5]);
        assert_eq!(mean_of_pairs(3, |i, j| (10 * i + j) as f64), [1.5, 11.0, 20.5]);
    }

    #[test]
    fn rewards_stand_against_the_mean_of_the_others() {
        let outcomes = outcomes_from_rewards(&[1.0, 2.0, 6.0]);
        assert_eq!(outcomes.iter().map(|o| o.baseline).collect::<Vec<_>>(), [4.0, 3.5, 1.5]);
    }
}
