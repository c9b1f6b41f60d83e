//! GRPO on a finite game (Shao et al., arXiv 2402.03300, equations 3 and 21; `scale_rewards = "none"`: Dr. GRPO, arXiv
//! 2503.20783).
//!
//! Coefficient of `y_i`: `−∂/∂log π [−min(ρ A, clip(ρ, 1 − ε, 1 + ε) A)] − ρ τ (log π − log π_ref)`, `A_i = (r_i − mean_j r_j) / (std_j r_j + 1e-4)`.
//!
//! Exact gradients are those of the large group: mean and standard deviation are μ's. Then, at ρ = 1,
//! `w(y) = (r(y) − E_π r) / (s_π + 1e-4) − τ (log π − log π_ref)` with `s_π` = std of r under π, so that
//!
//! ```text
//! scale_rewards = "none":    π ∝ π_ref exp(r / τ)                        the RLHF solution
//! scale_rewards = "group":   π ∝ π_ref exp(c r / τ),   c (s_π + 1e-4) = 1    its own fixed point: one equation in c
//! ```
//!
//! With scaling every prompt gets the same pressure whatever its rewards are: they may be multiplied by any number, and the
//! policy sharpens until the spread that it leaves balances τ. Where τ is small against 1 no spread does: `c s` stays below 1
//! at every c, only the floor of 1e-4 ends the sharpening, and what is left is the best answer alone ([`scaled_policy`]).
//!
//! A group of k contains `y_i` itself, so that its advantage shrinks by (k − 1)/k: sampled and without scaling the fixed
//! point is the RLHF solution at `τ k/(k − 1)`. With `reward = "verdicts"` the mean over a group is always ½ and nothing shrinks.
//!
//! That is `kl_gradient = "reward_to_go"`. The published KL term is k3 in the loss, `differentiated_k3`: −ρ τ (1 − `π_ref`/π) in the
//! place of −ρ τ log(π/`π_ref`), in expectation the gradient of the *forward* divergence KL(`π_ref` ‖ π), and then
//!
//! ```text
//! scale_rewards = "none":    π = τ π_ref / (b − r)                        b by normalization (held_forward)
//! scale_rewards = "group":   π = τ π_ref / (b − c r),  c (s_π + 1e-4) = 1
//! ```
//!
//! with τ k/(k − 1) of a group of k as above. No answer is given up: π ≥ τ `π_ref` / (τ + the width of c r). On verdicts the fixed
//! point is π = τ `π_ref` / (b − ℓπ), the Nash policy of the game that the forward divergence regularizes; it is no closed form.
//!
//! `epsilon_high` (DAPO, arXiv 2503.14476) is the bound of ρ above 1, in the place of 1 + ε.
//!
//! Several updates on the same samples have the same fixed point, and reach it if the learning rate is so small that the
//! clip ends no update near it (else they cycle around it).

use slhf_plan::{Gradient, GrpoKl, ScaleRewards};

use super::method::{FiniteMethod, Position};
use super::problem::{Seen, Sees, tilted};
use crate::LearnError;
use crate::derivatives::{ClipRange, STANDARD_DEVIATION_FLOOR, divisor, k3_derivative};
use crate::problem::Problem;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grpo {
    scale_rewards: ScaleRewards,
    kl_gradient: GrpoKl,
    range: ClipRange,
    num_iterations: u32,
}

impl Grpo {
    pub(crate) fn of(method: &slhf_plan::Grpo) -> Self {
        let slhf_plan::Grpo { scale_rewards, own, epsilon, epsilon_high, num_iterations, .. } = *method;
        let range = ClipRange::new(epsilon, epsilon_high);
        Self { scale_rewards, kl_gradient: own.kl_gradient, range, num_iterations }
    }

    fn coefficient(&self, at: &Position<'_>, y: usize, advantage: f64) -> f64 {
        let ratio = libm::exp(at.moved(y));
        // The KL term is that of the policy now: samples of the policy of before count by their ratio.
        let kl = match self.kl_gradient {
            GrpoKl::RewardToGo => at.log_ratio(y),
            GrpoKl::DifferentiatedK3 => k3_derivative(at.log_ratio(y)),
        };
        -self.range.derivative(ratio, advantage) - ratio * at.tau * kl
    }
}

impl FiniteMethod for Grpo {
    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]) {
        for (y, coefficient) in coefficients.iter_mut().enumerate() {
            *coefficient = at.expected_reward(y);
        }
        let mean = at.mean(|y| coefficients[y]);
        let variance = at.mean(|y| (coefficients[y] - mean).powi(2));
        let divisor = divisor(variance, self.scale_rewards);
        for (y, coefficient) in coefficients.iter_mut().enumerate() {
            *coefficient = self.coefficient(at, y, (*coefficient - mean) / divisor);
        }
    }

    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
        let rewards = at.group_rewards(group);
        let count = rewards.len() as f64;
        let mean = rewards.iter().sum::<f64>() / count;
        let squares: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
        let divisor = divisor(squares / (count - 1.0).max(1.0), self.scale_rewards);
        for ((coefficient, &y), reward) in coefficients.iter_mut().zip(group).zip(&rewards) {
            *coefficient = self.coefficient(at, y, (reward - mean) / divisor);
        }
    }
}

/// log π of the fixed point with scaling and exact gradients: the policy of the rewards c r at the least c with
/// `c (s_π + 1e-4) = 1`, which is the one that a run from the reference meets first. There always is one, at most 1e4.
pub(crate) fn scaled_policy(log_reference: &[f64], rewards: &[f64], (kl, tau): (GrpoKl, f64)) -> Vec<f64> {
    const GRID: u32 = 4000;
    let policy = |c: f64| held(log_reference, rewards, (kl, tau / c));
    let excess = |c: f64| c * (deviation(&policy(c), rewards) + STANDARD_DEVIATION_FLOOR) - 1.0;
    let most = 1.0 / STANDARD_DEVIATION_FLOOR;
    // Where the rewards lie within [a, b] their deviation is at most (b − a)/2: there is no root below 1 / that.
    let width = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        - rewards.iter().copied().fold(f64::INFINITY, f64::min);
    let least = 1.0 / (0.5 * width + STANDARD_DEVIATION_FLOOR);
    let point = |index: u32| least * (most / least).powf(f64::from(index) / f64::from(GRID));
    let after = (1..=GRID).find(|&index| excess(point(index)) >= 0.0).unwrap_or(GRID);
    let (mut low, mut high) = (point(after - 1), point(after));
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if excess(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    policy(high)
}

/// log π of the fixed point for rewards r at τ.
pub(crate) fn held(log_reference: &[f64], rewards: &[f64], (kl, tau): (GrpoKl, f64)) -> Vec<f64> {
    match kl {
        GrpoKl::RewardToGo => tilted(log_reference, rewards, 1.0 / tau),
        GrpoKl::DifferentiatedK3 => held_forward(log_reference, rewards, tau),
    }
}

/// log π of `π = τ π_ref / (b − r)`, b the one at which it sums to 1: between `max(r + τ π_ref)` and `max r + τ`.
fn held_forward(log_reference: &[f64], rewards: &[f64], tau: f64) -> Vec<f64> {
    let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // b = max r + x: differences of rewards are exact where their sums with a small τ are not.
    let masses = |x: f64| log_reference.iter().zip(rewards).map(move |(l, r)| tau * libm::exp(*l) / (x + (best - r)));
    let (mut low, mut high) = (0.0, tau);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if masses(middle).sum::<f64>() > 1.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    masses(high).map(libm::log).collect()
}

fn deviation(log_policy: &[f64], rewards: &[f64]) -> f64 {
    let mean = |f: &dyn Fn(f64) -> f64| log_policy.iter().zip(rewards).map(|(l, r)| libm::exp(*l) * f(*r)).sum::<f64>();
    let centre = mean(&|r| r);
    mean(&|r| (r - centre).powi(2)).sqrt()
}

impl Sees for slhf_plan::Grpo {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        seen.rewarded(&self.rewards.reward, |scores, tau| own_fixed_point(seen, self, scores, tau))
    }
}

/// GRPO's fixed point where it is not the RLHF solution; `None` too where it is not known in closed form (a scaled group
/// of few answers).
fn own_fixed_point(seen: &Seen<'_>, grpo: &slhf_plan::Grpo, scores: &[f64], tau: f64) -> Option<Vec<f64>> {
    let (reference, kl) = (seen.log_reference(), grpo.own.kl_gradient);
    match (grpo.scale_rewards, grpo.training.gradient) {
        (ScaleRewards::None, Gradient::Exact) if kl == GrpoKl::RewardToGo => None,
        (ScaleRewards::None, Gradient::Exact) => Some(held(reference, scores, (kl, tau))),
        (ScaleRewards::Group, Gradient::Exact) => Some(scaled_policy(reference, scores, (kl, tau))),
        (ScaleRewards::None, Gradient::Sampled) => {
            let k = f64::from(grpo.training.num_generations);
            Some(held(reference, scores, (kl, k * tau / (k - 1.0))))
        }
        (ScaleRewards::Group, Gradient::Sampled) => None,
    }
}
