//! ∂loss/∂ℓ of one prompt's closed set.
//!
//! Exact: with h(a) the derivative of the loss in π(a), every token of a gets `π(a) [h(a) − Σ_b π(b) h(b)]`; for StackelbergGDA
//!
//! ```text
//! Leader     h(a)  = −[ Σ_a′ ω(a′|a) (P[a][a′] + τ_F log ω/ω_ref) − τ_L log π/π_ref (a) ]
//! Follower   π(a) ω(a′|a) [ h_F(a′) − Σ_b ω(b|a) h_F(b) ],   h_F(a′) = P[a][a′] + τ_F log ω/ω_ref (a′|a)
//! ```
//!
//! Sampled: answers are drawn from the restricted policies, and c their summed coefficients, `c(a) − π(a) Σ_b c(b)`. The
//! divergences stay exact sums over the set. What is given here ascends; a loss's derivative is minus it.

use std::sync::Arc;

use slhf_plan::Curve;
use slhf_random::{Place, Purpose, uniforms};

use super::game::SetPolicies;
use super::mirror::MirrorStep;
use crate::control::{BaselineRole, Batch, Control};
use crate::error::Cause;
use crate::finite::{Draws, Engine, FiniteMethod, Held};
use crate::log_probabilities::log_probabilities;
use crate::problem::{Payoff, Problem};
use crate::sampling::choose;

/// How a method learns on a closed set.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// Leader and Follower.
    Stackelberg,
    /// Nash-MD, with the reference's weight over the run.
    NashMd(Curve),
    /// EGPO and OMWU: regression on a step of mirror descent.
    Mirror(MirrorStep),
    /// The others that train one policy.
    Finite(Arc<dyn FiniteMethod>),
    /// Nothing is trained.
    Untrained,
}

/// What is drawn for a prompt in an update; `None` in its place: the gradient is exact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    pub(super) seed: u64,
    pub(super) step: u64,
    /// The prompt's number.
    pub(super) prompt: u32,
    /// The update within the step.
    pub(super) update: u32,
    /// How often the prompt was drawn for before in this update.
    pub(super) occurrence: u32,
    /// Draws.
    pub(super) count: u32,
}

/// Ascent in ℓ.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Direction {
    /// n entries.
    pub(super) leader: Vec<f64>,
    /// n × n; empty for a method with one policy.
    pub(super) follower: Vec<f64>,
}

/// Draws for one prompt in one update, at most.
const DRAWS_MAX: u32 = 1 << 16;

impl Sampling {
    /// The number of the first draw: below [`DRAWS_MAX`], because a plan with more samples of one prompt in a step is refused.
    fn first(self) -> u32 {
        self.occurrence * self.count
    }

    /// Two uniforms of a draw.
    fn uniforms(self, draw: u32) -> [f64; 2] {
        let place = Place { purpose: Purpose::Pairs, step: self.step, round: self.prompt };
        uniforms(self.seed, place, self.update * DRAWS_MAX + self.first() + draw)
    }
}

/// One prompt's set in one update.
pub(super) struct SetGradient<'a> {
    pub(super) problem: &'a Problem,
    pub(super) policies: &'a SetPolicies,
    pub(super) sampling: Option<Sampling>,
}

impl SetGradient<'_> {
    fn actions(&self) -> usize {
        self.policies.leader.len()
    }

    fn pi(&self) -> Vec<f64> {
        self.policies.leader.iter().map(|l| libm::exp(*l)).collect()
    }

    /// log π − log `π_ref`
    fn leader_ratios(&self) -> Vec<f64> {
        difference(&self.policies.leader, &self.problem.log_reference_leader)
    }

    fn payoff(&self) -> &[f64] {
        match &self.problem.payoff {
            Payoff::Pairs(pairs) => pairs,
            Payoff::Scores(_) => &[],
        }
    }

    /// Of StackelbergGDA.
    pub(super) fn stackelberg(&self, control: &mut Control) -> Result<Direction, Cause> {
        let n = self.actions();
        let pi = self.pi();
        let omega: Vec<f64> = self.policies.follower.iter().map(|l| libm::exp(*l)).collect();
        let ratios = difference(&self.policies.follower, &self.problem.log_reference_follower);
        let tau = self.problem.tau_follower;
        // Of the divergences alone; what is sampled is added below.
        let costs: Vec<f64> = match self.sampling {
            None => self.payoff().iter().zip(&ratios).map(|(p, ratio)| p + tau * ratio).collect(),
            Some(_) => ratios.iter().map(|ratio| tau * ratio).collect(),
        };
        let rows = || omega.chunks_exact(n).zip(costs.chunks_exact(n));
        let means: Vec<f64> = rows().map(|(omega, costs)| dot(omega, costs)).collect();
        let mut follower = Vec::with_capacity(n * n);
        for (((omega, costs), mean), p) in rows().zip(&means).zip(&pi) {
            follower.extend(omega.iter().zip(costs).map(|(omega, cost)| p * omega * (mean - cost)));
        }
        let tau_leader = self.problem.tau_leader;
        let own = |(mean, ratio): (&f64, &f64)| mean - tau_leader * ratio;
        let Some(sampling) = self.sampling else {
            let values: Vec<f64> = means.iter().zip(&self.leader_ratios()).map(own).collect();
            return Ok(Direction { leader: advantage(&values, &pi), follower });
        };
        let penalties: Vec<f64> = self.leader_ratios().iter().map(|ratio| -tau_leader * ratio).collect();
        let mut direction = Direction { leader: advantage(&penalties, &pi), follower };
        let draws: Vec<(usize, usize)> = (0..sampling.count)
            .map(|draw| {
                let [u, v] = sampling.uniforms(draw);
                let a = choose(u, n, |a| pi[a]);
                (a, choose(v, n, |b| omega[a * n + b]))
            })
            .collect();
        let wins: Vec<f64> = draws.iter().map(|&(a, b)| self.payoff()[a * n + b]).collect();
        let losses: Vec<f64> = wins.iter().map(|p| 1.0 - p).collect();
        let share = 1.0 / f64::from(sampling.count.max(1));
        let mut ask = Asking { control, sampling };
        if sampling.update == 0 {
            let baselines = ask.baselines(BaselineRole::Leader, &wins)?;
            let mut coefficients = vec![0.0; n];
            for ((&(a, _), p), b) in draws.iter().zip(&wins).zip(&baselines) {
                // The Follower's divergence is part of what committing to a is worth.
                coefficients[a] += share * (p + means[a] - b);
            }
            add(&mut direction.leader, &centered(&coefficients, &pi));
        }
        let baselines = ask.baselines(BaselineRole::Follower, &losses)?;
        let mut coefficients = vec![0.0; n * n];
        for ((&(a, b), lost), baseline) in draws.iter().zip(&losses).zip(&baselines) {
            coefficients[a * n + b] += share * (lost - baseline);
        }
        let rows = coefficients.chunks_exact(n).zip(omega.chunks_exact(n));
        let sampled: Vec<f64> = rows.flat_map(|(coefficients, omega)| centered(coefficients, omega)).collect();
        add(&mut direction.follower, &sampled);
        Ok(direction)
    }

    /// Of Nash-MD, whose opponent is `π_m ∝ π^(1−m) π_ref^m`.
    pub(super) fn nash_md(&self, m: f64, control: &mut Control) -> Result<Direction, Cause> {
        let n = self.actions();
        let (pi, ratios, tau) = (self.pi(), self.leader_ratios(), self.problem.tau_leader);
        let mixed: Vec<f64> = self.policies.leader.iter().zip(&ratios).map(|(log, ratio)| log - m * ratio).collect();
        let opponent: Vec<f64> = log_probabilities(&mixed, n).iter().map(|l| libm::exp(*l)).collect();
        let penalties: Vec<f64> = ratios.iter().map(|ratio| -tau * ratio).collect();
        let Some(sampling) = self.sampling else {
            let mut values: Vec<f64> = self.payoff().chunks_exact(n).map(|row| dot(row, &opponent)).collect();
            add(&mut values, &penalties);
            return Ok(Direction { leader: advantage(&values, &pi), follower: Vec::new() });
        };
        let drawn = |draw| {
            let [u, v] = sampling.uniforms(draw);
            (choose(u, n, |a| pi[a]), choose(v, n, |b| opponent[b]))
        };
        let draws: Vec<(usize, usize)> = (0..sampling.count).map(drawn).collect();
        let wins: Vec<f64> = draws.iter().map(|&(a, b)| self.payoff()[a * n + b]).collect();
        let baselines = Asking { control, sampling }.baselines(BaselineRole::Leader, &wins)?;
        let mut coefficients = vec![0.0; n];
        for ((&(a, _), p), b) in draws.iter().zip(&wins).zip(&baselines) {
            coefficients[a] += (p - b) / f64::from(sampling.count.max(1));
        }
        let mut leader = advantage(&penalties, &pi);
        add(&mut leader, &centered(&coefficients, &pi));
        Ok(Direction { leader, follower: Vec::new() })
    }

    /// Of the others. In the first update on a step's samples `engine` begins anew; `remembered`: log π of the steps before, the last first, of a
    /// method that plays against them.
    pub(super) fn finite(
        &self,
        method: &dyn FiniteMethod,
        (engine, remembered): (&mut Engine, &[f64]),
        iteration: u32,
    ) -> Direction {
        let pi = self.pi();
        let policy = (self.policies.leader.as_slice(), pi.as_slice());
        if iteration == 0 {
            let draws = self.sampling.map(|sampling| Draws {
                seed: sampling.seed,
                step: sampling.step,
                round: sampling.prompt,
                first: sampling.first(),
                count: sampling.count as usize,
            });
            engine.begin(method, self.problem, policy, draws, &mut remembered.to_vec());
        }
        let mut leader = vec![0.0; self.actions()];
        let problem = self.problem;
        let held =
            Held { payoff: &problem.payoff, tau: problem.tau_leader, log_reference: &problem.log_reference_leader };
        engine.direction(method, held, policy, false, &mut leader);
        Direction { leader, follower: Vec::new() }
    }
}

/// Who is asked for baselines, and of which draws.
struct Asking<'a> {
    control: &'a mut Control,
    sampling: Sampling,
}

impl Asking<'_> {
    fn baselines(&mut self, role: BaselineRole, rewards: &[f64]) -> Result<Vec<f64>, Cause> {
        let prompts = vec![self.sampling.prompt; rewards.len()];
        let mut baselines = Vec::new();
        let batch = Batch { role, step: self.sampling.step, rewards, scores: rewards, prompts: &prompts };
        self.control.baselines(&batch, &mut baselines)?;
        Ok(baselines)
    }
}

fn difference(first: &[f64], second: &[f64]) -> Vec<f64> {
    first.iter().zip(second).map(|(first, second)| first - second).collect()
}

fn dot(first: &[f64], second: &[f64]) -> f64 {
    first.iter().zip(second).map(|(first, second)| first * second).sum()
}

fn add(sum: &mut [f64], terms: &[f64]) {
    for (sum, term) in sum.iter_mut().zip(terms) {
        *sum += term;
    }
}

/// `p (v − Σ p v)`
fn advantage(values: &[f64], probabilities: &[f64]) -> Vec<f64> {
    let mean = dot(values, probabilities);
    values.iter().zip(probabilities).map(|(value, p)| p * (value - mean)).collect()
}

/// `c − p Σ c`
fn centered(coefficients: &[f64], probabilities: &[f64]) -> Vec<f64> {
    let sum: f64 = coefficients.iter().sum();
    coefficients.iter().zip(probabilities).map(|(coefficient, p)| coefficient - sum * p).collect()
}

#[cfg(test)]
mod tests {
    use slhf_game::{Divergence, Game, Held, PreferenceMatrix, TemperatureValues, Temperatures};

    use super::*;

    fn problem(has_follower: bool) -> Problem {
        let rows = [[0.5, 0.9, 0.3], [0.2, 0.5, 0.8], [0.6, 0.1, 0.5]];
        let temperatures = TemperatureValues { leader: 0.2, follower: 0.3, nash: 0.2, rlhf: 0.2 };
        let game = Game::with_uniform_references(
            PreferenceMatrix::from_rows(&rows).unwrap(),
            Temperatures::new(temperatures).unwrap(),
        );
        if has_follower {
            Problem::stackelberg(&game, Held::default())
        } else {
            Problem::nash(&game, None, false, Divergence::REVERSE).unwrap()
        }
    }

    fn policies() -> SetPolicies {
        let logits = |count: usize| (0..count).map(|at| libm::sin(at as f64 * 1.7)).collect::<Vec<f64>>();
        SetPolicies { leader: log_probabilities(&logits(3), 3), follower: log_probabilities(&logits(9), 3) }
    }

    /// Means of drawn directions against the exact one, each within five standard errors.
    fn check(name: &str, mut of: impl FnMut(Option<Sampling>) -> Direction) {
        const STEPS: u64 = 20_000;
        let exact = of(None);
        let expected = [exact.leader, exact.follower].concat();
        let (mut sums, mut squares) = (vec![0.0; expected.len()], vec![0.0; expected.len()]);
        for step in 0..STEPS {
            let sampling = Sampling { seed: 4, step, prompt: 2, update: 0, occurrence: 1, count: 4 };
            let found = of(Some(sampling));
            for (place, value) in found.leader.iter().chain(&found.follower).enumerate() {
                sums[place] += value;
                squares[place] += value * value;
            }
        }
        let steps = STEPS as f64;
        for ((expected, sum), square) in expected.iter().zip(sums).zip(squares) {
            let mean: f64 = sum / steps;
            let error = ((square / steps - mean * mean) / steps).sqrt();
            assert!((mean - expected).abs() < 5.0 * error, "{name}: {mean} ± {error} is not {expected}");
            assert!(error < 0.01 && error > 0.0, "{name}: {error}");
        }
    }

    #[test]
    fn sampled_gradients_are_the_exact_ones_in_expectation() {
        let policies = policies();
        let played = problem(true);
        let mut controls = [Control::Constant(0.5), Control::LeaveOneOut];
        for control in &mut controls {
            check("stackelberg-gda", |sampling| {
                SetGradient { problem: &played, policies: &policies, sampling }.stackelberg(control).unwrap()
            });
        }
        let own = problem(false);
        for m in [0.0, 0.3] {
            check("nash-md", |sampling| {
                let gradient = SetGradient { problem: &own, policies: &policies, sampling };
                gradient.nash_md(m, &mut Control::Constant(0.5)).unwrap()
            });
        }
    }

    /// An epoch that ends within a step has a prompt twice: its second draws are others.
    #[test]
    fn a_prompt_that_occurs_twice_is_drawn_for_twice() {
        let at = |occurrence| Sampling { seed: 1, step: 3, prompt: 7, update: 1, occurrence, count: 2 };
        let draws = |occurrence| [0, 1].map(|draw| at(occurrence).uniforms(draw));
        let (first, second) = (draws(0), draws(1));
        assert!(first.iter().all(|draw| !second.contains(draw)), "{first:?} {second:?}");
    }
}
