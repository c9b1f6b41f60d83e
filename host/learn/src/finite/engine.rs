//! From coefficients to a direction of the logits, on the host, for both paths.

use slhf_random::{Place, Purpose, uniforms};

use super::method::{FiniteMethod, Held, Position, Sampler, Scheme};
use crate::problem::Problem;
use crate::sampling::choose;

/// What one step draws.
#[derive(Clone, Copy)]
pub(crate) struct Draws {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// Tells apart what is drawn in one step: the gradient within it, or a prompt's closed set.
    pub(crate) round: u32,
    /// The number of the first draw there: 0 but where a prompt occurs twice in a step.
    pub(crate) first: u32,
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
    /// Empty for a method whose answers are compared with each other.
    opponent: Vec<f64>,
    /// Empty for a method that plays against no population.
    log_population: Vec<f64>,
    opponents: Vec<usize>,
    /// The direction of the payoffs alone.
    payoffs: Vec<f64>,
}

/// Where a policy stands: log π and π.
pub(crate) type Policy<'a> = (&'a [f64], &'a [f64]);

impl Engine {
    /// Begins a step: who is sampled from is held, and with sampled gradients a group is drawn. `remembered` has log π of the steps before,
    /// the last first, of a method that plays against them, and takes this one's.
    pub(crate) fn begin(
        &mut self,
        method: &dyn FiniteMethod,
        problem: &Problem,
        (log_policy, policy): Policy<'_>,
        draws: Option<Draws>,
        remembered: &mut Vec<f64>,
    ) {
        self.log_sampled.clear();
        self.sampled.clear();
        self.log_population.clear();
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
        if method.scheme() == Scheme::OneGradient {
            return self.draw(draws);
        }
        self.opponent.clear();
        self.opponent.extend_from_slice(policy);
        if method.scheme() == Scheme::Population {
            self.gather(method, log_policy, remembered);
        }
        self.draw(draws);
    }

    /// The population of a step: the policy as it is, and those of the steps before.
    fn gather(&mut self, method: &dyn FiniteMethod, log_policy: &[f64], remembered: &mut Vec<f64>) {
        let n = log_policy.len();
        let weights = method.weights(remembered.len() / n);
        let members = || std::iter::once(log_policy).chain(remembered.chunks_exact(n)).zip(&weights);
        self.opponent.fill(0.0);
        self.log_population.resize(n, 0.0);
        for (member, weight) in members() {
            for ((share, log), own) in self.opponent.iter_mut().zip(&mut self.log_population).zip(member) {
                *share += weight * libm::exp(*own);
                *log += weight * own;
            }
        }
        remembered.splice(0..0, log_policy.iter().copied());
        remembered.truncate(method.remembered() * n);
    }

    /// Answers of the policy that the step began with are compared with another one from here on: who plays a look ahead.
    pub(crate) fn face(&mut self, opponent: &[f64], draws: Option<Draws>) {
        self.opponent.clear();
        self.opponent.extend_from_slice(opponent);
        self.draw(draws);
    }

    fn draw(&mut self, draws: Option<Draws>) {
        self.group.clear();
        self.opponents.clear();
        let Some(draws) = draws else { return };
        let place = Place { purpose: Purpose::Pairs, step: draws.step, round: draws.round };
        let (sampled, opponent) = (&self.sampled, &self.opponent);
        for index in 0..draws.count {
            let [u, v] = uniforms(draws.seed, place, draws.first + index as u32);
            self.group.push(choose(u, sampled.len(), |y| sampled[y]));
            if !opponent.is_empty() {
                self.opponents.push(choose(v, opponent.len(), |y| opponent[y]));
            }
        }
    }

    /// As [`Self::direction`], with the payoffs as if they changed by as much again as since the last step: `d + (1 − η τ) (g − g_last)`,
    /// g the payoffs' share of d. `last` is empty before the first step, and takes g.
    pub(crate) fn optimistic_direction(
        &mut self,
        method: &dyn FiniteMethod,
        (held, rate): (Held<'_>, f64),
        policy: Policy<'_>,
        is_natural: bool,
        (direction, last): (&mut [f64], &mut Vec<f64>),
    ) {
        let mut payoffs = std::mem::take(&mut self.payoffs);
        payoffs.resize(direction.len(), 0.0);
        self.direction(method, held, policy, is_natural, direction);
        self.direction(method, held.by_nothing(), policy, is_natural, &mut payoffs);
        let kept = 1.0 - rate * held.tau;
        for ((slot, now), before) in direction.iter_mut().zip(&payoffs).zip(last.iter()) {
            *slot += kept * (now - before);
        }
        last.clear();
        last.extend_from_slice(&payoffs);
        self.payoffs = payoffs;
    }

    /// The direction of ascent of one update into `direction`. Exact: `Σ_y μ(y) w(y) ∇log π(y)`, with a natural step times
    /// the inverse Fisher matrix; of a group: the mean of `w_i ∇log π(y_i)`.
    pub(crate) fn direction(
        &mut self,
        method: &dyn FiniteMethod,
        held: Held<'_>,
        (log_policy, policy): Policy<'_>,
        is_natural: bool,
        direction: &mut [f64],
    ) {
        let at = Position {
            payoff: held.payoff,
            tau: held.tau,
            log_reference: held.log_reference,
            log_policy,
            log_sampled: &self.log_sampled,
            sampled: &self.sampled,
            opponent: &self.opponent,
            log_population: &self.log_population,
            opponents: &self.opponents,
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
