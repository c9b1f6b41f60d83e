//! RLOO on a finite game (Ahmadian et al., arXiv 2402.14740, section 3.2): k answers of one prompt, each against the mean of
//! the others.
//!
//! Coefficient of `y_i`: `R_i − mean_{j ≠ i} R_j`, `R = r − τ (log π − log π_ref)`: the KL term is part of the reward, as in the
//! paper. In expectation `R(y) − E_π[R]`, the exact policy gradient: the fixed point is `π ∝ π_ref exp(r/τ)`, the RLHF solution
//! for its reward. `reward = "verdicts"` makes the mean verdict against the other samples the reward; the baseline is then
//! the mean verdict *among* the others (their own mean verdicts depend on `y_i`), and the fixed point the regularised Nash
//! policy at τ.

use super::method::{FiniteMethod, Position};
use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::derivatives::mean_of_others;
use crate::problem::{Payoff, Problem};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rloo;

impl FiniteMethod for Rloo {
    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        for (y, coefficient) in coefficients.iter_mut().enumerate() {
            *coefficient = at.expected_reward(y) - at.tau * at.log_ratio(y);
        }
        let mean = at.mean(|y| coefficients[y]);
        for coefficient in coefficients.iter_mut() {
            *coefficient -= mean;
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        let rewards = at.group_rewards(group);
        let baselines = baselines(at, group, &rewards);
        let costs: Vec<f64> = group.iter().map(|&y| at.tau * at.log_ratio(y)).collect();
        let all: f64 = costs.iter().sum();
        for (i, coefficient) in coefficients.iter_mut().enumerate() {
            let cost = costs[i] - mean_of_others(all, costs[i], group.len());
            *coefficient = rewards[i] - baselines[i] - cost;
        }
    }
}

/// What each reward stands against, none of which depends on the answer itself.
fn baselines(at: &Position<'_>, group: &[usize], rewards: &[f64]) -> Vec<f64> {
    let k = group.len();
    if let Payoff::Scores(_) = at.payoff {
        let all: f64 = rewards.iter().sum();
        return rewards.iter().map(|reward| mean_of_others(all, *reward, k)).collect();
    }
    let among_others = |own: usize| {
        let others = || group.iter().enumerate().filter(|(j, _)| *j != own);
        let pairs = others().flat_map(|(i, &y)| others().filter(move |(j, _)| *j != i).map(move |(_, &z)| (y, z)));
        let labels: Vec<f64> = pairs.map(|(y, z)| at.label(y, z)).collect();
        if labels.is_empty() { 0.5 } else { labels.iter().sum::<f64>() / labels.len() as f64 }
    };
    (0..k).map(among_others).collect()
}

impl Sees for slhf_plan::Rloo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.rewarded(&self.rewards.reward, |_, _| None)
    }
}
