//! Truncated importance weights of samples that another engine drew: `min(π / μ, C)`, detached (Ionides, "Truncated importance sampling", 2008;
//! of rollouts by another engine: Yao et al., "Your efficient RL framework secretly brings you off-policy RL training", 2025, and
//! `vllm_importance_sampling_correction` of TRL).
//!
//! π is the policy before the first update on the samples, μ what the sampler says it drew from. With [`ImportanceLevel::Sequence`] the weight is of
//! everything that was sampled in one go, a response and the Follower's response to it, and multiplies all of the pair's coefficients: without
//! truncation the expected gradient is that of samples of π (but for what other samples of the prompt add to it, whose weights are their own).
//! With [`ImportanceLevel::Token`] it is of a token, and multiplies its `∂loss/∂log π` alone: a KL divergence over the vocabulary is no sample.

use slhf_plan::{ImportanceLevel, ImportancePlan, PairScores, TokenWeights};

use super::stackelberg_gda::WeighedPair;
use super::traits::{Answer, Pair};

/// What weights of a step add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImportanceSums {
    /// Weights.
    pub weights: u64,
    /// Their sum.
    pub sum: f64,
    /// Of them, those that were truncated.
    pub truncated: u64,
}

impl ImportanceSums {
    /// Adds those of other samples.
    pub fn add(&mut self, other: Self) {
        self.weights += other.weights;
        self.sum += other.sum;
        self.truncated += other.truncated;
    }
}

/// Multiplies the coefficients of a pair by its weights. `before`: log π of the Leader's tokens before the first update on these samples,
/// where this is not the first; the Follower's are those of `scores`. A response that nobody sampled has the weight 1.
pub fn weigh_by_importance(
    plan: ImportancePlan,
    (pair, scores): (&Pair<'_>, &PairScores),
    before: Option<&[f64]>,
    weighed: &mut WeighedPair,
) -> ImportanceSums {
    let mut sums = ImportanceSums::default();
    let leader = ratios(pair.leader, before.unwrap_or(&scores.leader.policy));
    let follower = match (pair.follower, &scores.follower) {
        (Some(answer), Some(scores)) => ratios(answer, &scores.policy),
        _ => Vec::new(),
    };
    let weights = &mut weighed.weights;
    match plan.level {
        ImportanceLevel::Token => {
            by_token(plan, &leader, &mut weights.leader, &mut sums);
            if let Some(weights) = &mut weights.follower {
                by_token(plan, &follower, weights, &mut sums);
            }
        }
        ImportanceLevel::Sequence => {
            let weight = truncated(plan, leader.iter().chain(&follower).sum(), &mut sums);
            times(&mut weights.leader, weight);
            weights.follower.iter_mut().for_each(|weights| times(weights, weight));
        }
    }
    sums
}

/// log (π / μ) of every token that was sampled.
fn ratios(answer: &Answer, log_policy: &[f64]) -> Vec<f64> {
    answer.draws.iter().zip(log_policy).map(|(draw, policy)| policy - draw.log_probability).collect()
}

fn truncated(plan: ImportancePlan, log_ratio: f64, sums: &mut ImportanceSums) -> f64 {
    let ratio = log_ratio.exp();
    let weight = if ratio > plan.truncate_at { plan.truncate_at } else { ratio };
    sums.add(ImportanceSums { weights: 1, sum: weight, truncated: u64::from(ratio > plan.truncate_at) });
    weight
}

fn by_token(plan: ImportancePlan, log_ratios: &[f64], weights: &mut TokenWeights, sums: &mut ImportanceSums) {
    for (score, log_ratio) in weights.score.iter_mut().zip(log_ratios) {
        *score *= truncated(plan, *log_ratio, sums);
    }
}

fn times(weights: &mut TokenWeights, weight: f64) {
    weights.score.iter_mut().chain(&mut weights.exact_kl).for_each(|one| *one *= weight);
}
