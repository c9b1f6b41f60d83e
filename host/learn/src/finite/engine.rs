//! From coefficients to a direction of the logits, on the host, for both paths.

use slhf_random::{Place, Purpose, uniforms};

use super::method::{FiniteMethod, Position, Sampler};
use crate::problem::Problem;
use crate::sampling::choose;

/// What one step draws.
#[derive(Clone, Copy)]
pub(crate) struct Draws {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// Tells apart what is drawn in one step: 0 on a game of its own.
    pub(crate) round: u32,
    /// Answers of a group.
    pub(crate) count: usize,
}

/// Buffers of one run's step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    log_sampled: Vec<f64>,
    sampled: Vec<f64>,
    /// Actions; empty with exact gradients.
    group: Vec<usize>,
    coefficients: Vec<f64>,
}

impl Engine {
    /// Begins a step: who is sampled from is held, and with sampled gradients a group is drawn.
    pub(crate) fn begin(
        &mut self,
        method: &dyn FiniteMethod,
        problem: &Problem,
        (log_policy, policy): (&[f64], &[f64]),
        draws: Option<Draws>,
    ) {
        self.log_sampled.clear();
        self.sampled.clear();
        match method.sampler() {
            Sampler::Policy => {
                self.log_sampled.extend_from_slice(log_policy);
                self.sampled.extend_from_slice(policy);
            }
            Sampler::Reference => {
                self.log_sampled.extend_from_slice(&problem.log_reference_leader);
                self.sampled.extend(problem.log_reference_leader.iter().map(|l| libm::exp(*l)));
            }
        }
        self.group.clear();
        if let Some(draws) = draws {
            let place = Place { purpose: Purpose::Pairs, step: draws.step, round: draws.round };
            let draw = |index| uniforms(draws.seed, place, index as u32)[0];
            let sampled = &self.sampled;
            self.group.extend((0..draws.count).map(|index| choose(draw(index), sampled.len(), |y| sampled[y])));
        }
    }

    /// The direction of ascent of one update into `direction`. Exact: `Σ_y μ(y) w(y) ∇log π(y)`, with a natural step times
    /// the inverse Fisher matrix; of a group: the mean of `w_i ∇log π(y_i)`.
    pub(crate) fn direction(
        &mut self,
        method: &dyn FiniteMethod,
        problem: &Problem,
        (log_policy, policy): (&[f64], &[f64]),
        is_natural: bool,
        direction: &mut [f64],
    ) {
        let at = Position {
            payoff: &problem.payoff,
            tau: problem.tau_leader,
            log_reference: &problem.log_reference_leader,
            log_policy,
            log_sampled: &self.log_sampled,
            sampled: &self.sampled,
        };
        direction.fill(0.0);
        if self.group.is_empty() {
            self.coefficients.resize(log_policy.len(), 0.0);
            method.expected(&at, &mut self.coefficients);
            let total: f64 = self.sampled.iter().zip(&self.coefficients).map(|(p, coefficient)| p * coefficient).sum();
            for (y, slot) in direction.iter_mut().enumerate() {
                let coefficient = self.coefficients[y];
                *slot = if is_natural {
                    libm::exp(-at.moved(y)) * coefficient - total
                } else {
                    self.sampled[y] * coefficient - total * policy[y]
                };
            }
            return;
        }
        self.coefficients.resize(self.group.len(), 0.0);
        method.of_group(&at, &self.group, &mut self.coefficients);
        let share = 1.0 / self.group.len() as f64;
        for (&y, coefficient) in self.group.iter().zip(&self.coefficients) {
            direction[y] += share * coefficient;
        }
        let total: f64 = direction.iter().sum();
        for (slot, p) in direction.iter_mut().zip(policy) {
            *slot -= total * p;
        }
    }
}
