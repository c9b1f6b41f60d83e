//! How far a run is from its target: exact, in closed form, every time.

use slhf_game::{divergence, total_variation};
use slhf_plan::MetricKey;

use crate::log_probabilities::log_probabilities;
use crate::mean_policy::MeanPolicy;
use crate::problem::{Payoff, Problem, Target};
use crate::state::RunState;

/// Metrics of one run at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Names; the same for every step of a run.
    pub keys: Vec<MetricKey>,
    /// One value a name.
    pub values: Vec<f64>,
}

/// Where a run ended, as probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalPolicy {
    /// π, n entries.
    pub leader: Vec<f64>,
    /// ω, row-major n × n, row i the answer to action i; empty for a method with one policy.
    pub follower: Vec<f64>,
}

impl FinalPolicy {
    pub(crate) fn of(problem: &Problem, state: &RunState) -> Self {
        let probabilities = |logits: &[f64]| {
            let logs = log_probabilities(logits, problem.actions);
            logs.iter().map(|l| libm::exp(*l)).collect()
        };
        Self { leader: probabilities(&state.leader.logits), follower: probabilities(&state.follower.logits) }
    }
}

impl Measurement {
    pub(crate) fn of(problem: &Problem, state: &RunState) -> Self {
        let n = problem.actions;
        let log_pi = log_probabilities(&state.leader.logits, n);
        let log_omega = log_probabilities(&state.follower.logits, n);
        Self::of_policies(problem, &log_pi, &log_omega, Some(&state.mean))
    }

    /// Of log π and log ω; without a mean of the iterates nothing is said of it.
    pub(crate) fn of_policies(problem: &Problem, log_pi: &[f64], log_omega: &[f64], mean: Option<&MeanPolicy>) -> Self {
        let mut measurement = Self { keys: Vec::with_capacity(16), values: Vec::with_capacity(16) };
        measurement.distances(problem, log_pi, log_omega, mean);
        measurement.leader(problem, log_pi);
        if let Target::Stackelberg(_) = problem.target {
            measurement.follower(problem, log_pi, log_omega);
        }
        measurement
    }

    /// How far a run is from its method's own target, by [`MetricKey::TO_OWN_TARGET`]; infinite for a method that has none.
    pub(crate) fn distance(problem: &Problem, state: &RunState) -> f64 {
        let log_pi = log_probabilities(&state.leader.logits, problem.actions);
        let log_omega = log_probabilities(&state.follower.logits, problem.actions);
        let mut measurement = Self { keys: Vec::with_capacity(5), values: Vec::with_capacity(5) };
        measurement.distances(problem, &log_pi, &log_omega, Some(&state.mean));
        let value =
            |key: MetricKey| measurement.keys.iter().position(|other| *other == key).map(|at| measurement.values[at]);
        MetricKey::TO_OWN_TARGET.into_iter().find_map(value).unwrap_or(f64::INFINITY)
    }

    /// Says after how many gradients the target was reached; NaN: not yet.
    pub(crate) fn count_gradients(&mut self, reached: Option<u64>) {
        self.push(MetricKey::GradientsToTarget, reached.map_or(f64::NAN, |gradients| gradients as f64));
    }

    fn push(&mut self, key: MetricKey, value: f64) {
        self.keys.push(key);
        self.values.push(value);
    }

    /// The gaps and total variations of game.md, under the contract's names.
    fn distances(&mut self, problem: &Problem, log_pi: &[f64], log_omega: &[f64], mean: Option<&MeanPolicy>) {
        match &problem.target {
            Target::Stackelberg(solution) => {
                let gaps = solution.gaps(log_pi, log_omega);
                self.push(MetricKey::StackelbergGap, gaps.stackelberg_gap);
                self.push(MetricKey::LeaderGap, gaps.leader_gap);
                self.push(MetricKey::FollowerGap, gaps.follower_gap);
                self.push(MetricKey::TvLeader, gaps.tv_leader);
                self.push(MetricKey::TvFollower, gaps.tv_follower);
            }
            Target::Nash { game, equilibrium, fixed_point } => {
                self.push(MetricKey::DualityGap, game.duality_gap(log_pi));
                if let Some(equilibrium) = equilibrium {
                    self.push(MetricKey::TvNash, total_variation(log_pi, equilibrium));
                }
                if let Some(fixed_point) = fixed_point {
                    self.push(MetricKey::TvFixedPoint, total_variation(log_pi, fixed_point));
                }
            }
            Target::Rlhf { log_policy, fixed_point } => {
                self.push(MetricKey::TvRlhf, total_variation(log_pi, log_policy));
                if let Some(fixed_point) = fixed_point {
                    self.push(MetricKey::TvFixedPoint, total_variation(log_pi, fixed_point));
                }
            }
            Target::Lottery(game) => {
                if let Some(mean) = mean {
                    let log_mean: Vec<f64> = mean.probabilities.iter().map(|p| libm::log(*p)).collect();
                    self.push(MetricKey::DualityGapAverage, game.unregularised_gap(&log_mean));
                }
                self.push(MetricKey::DualityGap, game.unregularised_gap(log_pi));
            }
            Target::FixedPoint { log_policy } => {
                self.push(MetricKey::TvFixedPoint, total_variation(log_pi, log_policy));
            }
            Target::Exact { .. } => {}
        }
    }

    /// What every method has: the policy's KL and entropy in nats, and what it wins.
    fn leader(&mut self, problem: &Problem, log_pi: &[f64]) {
        let kl = divergence(log_pi, &problem.log_reference_leader);
        if let Payoff::Scores(scores) = &problem.payoff {
            let reward: f64 = log_pi.iter().zip(scores).map(|(l, score)| libm::exp(*l) * score).sum();
            self.push(MetricKey::Objective, reward - problem.tau_leader * kl);
        }
        self.push(MetricKey::KlLeader, kl);
        self.push(MetricKey::EntropyLeader, entropy(log_pi));
        self.push(MetricKey::WinRateReference, problem.preferences.win_rate(log_pi, &problem.log_reference_leader));
        self.push(MetricKey::WinRateWorstOpponent, problem.preferences.worst_case_win_rate(log_pi));
        self.push(MetricKey::ValueCommitted, problem.preferences.committed_value(log_pi));
    }

    fn follower(&mut self, problem: &Problem, log_pi: &[f64], log_omega: &[f64]) {
        let n = problem.actions;
        let mut kl_follower = 0.0;
        let mut entropy_follower = 0.0;
        let mut payoff = 0.0;
        for (action, log_answer) in log_omega.chunks_exact(n).enumerate() {
            let probability = libm::exp(log_pi[action]);
            let rows = action * n..(action + 1) * n;
            kl_follower += probability * divergence(log_answer, &problem.log_reference_follower[rows]);
            entropy_follower += probability * entropy(log_answer);
            let answers = log_answer.iter().zip(problem.preferences.row(action));
            payoff += probability * answers.map(|(l, p)| libm::exp(*l) * p).sum::<f64>();
        }
        let kl_leader = divergence(log_pi, &problem.log_reference_leader);
        self.push(MetricKey::Objective, payoff - problem.tau_leader * kl_leader + problem.tau_follower * kl_follower);
        self.push(MetricKey::KlFollower, kl_follower);
        self.push(MetricKey::EntropyFollower, entropy_follower);
        self.push(MetricKey::WinRateFollower, problem.preferences.follower_win_rate(log_pi, log_omega));
    }
}

/// −Σ p log p in nats.
fn entropy(log_policy: &[f64]) -> f64 {
    // 0 · ∞ would be NaN where a probability has underflowed.
    let terms = log_policy.iter().filter(|l| l.is_finite());
    -terms.map(|l| libm::exp(*l) * l).sum::<f64>()
}
