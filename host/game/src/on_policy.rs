//! The Bradley–Terry fit of a policy to verdicts among *its own* answers: what online DPO converges to.
//!
//! With `π ∝ π_ref exp(s / β)` it asks, for every action y that the policy plays,
//! `Σ_z π(z) [ℓ(y, z) − σ(s_y − s_z)] = 0`: the scores that explain the labels best are those that the policy itself is made of
//! (Guo et al., arXiv 2402.04792, with the DPO loss of arXiv 2305.18290). Unlike the RLHF solution the pairs are weighed by
//! the policy, so the two agree only where a Bradley–Terry model is right. One such point is found, by Newton's method with
//! continuation from β = ∞, where π is the reference and the problem is concave; nobody has shown that it is the only one.

use crate::bradley_terry::logistic;
use crate::linear::LuFactors;
use crate::numeric::{exponentials, maximum, normalise_log};
use crate::preference::PreferenceMatrix;
use crate::reference::Distribution;

/// What online DPO converges to.
#[derive(Debug, Clone, PartialEq)]
pub struct OnPolicyFit {
    /// s, with the first action's at 0; nats.
    pub scores: Vec<f64>,
    /// `π ∝ π_ref exp(s / β)`, as log-probabilities.
    pub log_policy: Vec<f64>,
    /// The largest `|Σ_z π(z) [ℓ(y, z) − σ(s_y − s_z)]|`.
    pub residual: f64,
}

/// A larger residual is no solution.
const RESIDUAL_MAX: f64 = 1e-10;
/// Newton steps at one β.
const NEWTON_STEPS_MAX: usize = 60;
/// The least advance of the continuation, in log(1/β).
const ADVANCE_MIN: f64 = 1e-4;
/// Scores beyond this are on their way to infinity: labels that no finite score explains.
const SCORE_MAX: f64 = 30.0;

struct Problem<'a> {
    labels: &'a [f64],
    log_reference: &'a [f64],
}

/// π and the residuals at one point.
struct At {
    policy: Vec<f64>,
    residuals: Vec<f64>,
}

impl OnPolicyFit {
    /// The fixed point for labels `ℓ(y, z)` with `ℓ(y, z) + ℓ(z, y) = 1` (they are symmetrised) at temperature β > 0. `None`
    /// where none was found: labels that are sure have scores without bound.
    ///
    /// # Panics
    /// If the reference is over another number of actions.
    #[must_use]
    pub fn of(labels: &PreferenceMatrix, reference: &Distribution, temperature: f64) -> Option<Self> {
        let n = labels.actions();
        assert_eq!(reference.actions(), n, "one probability an action");
        let symmetrised = labels.symmetrised();
        let problem = Problem { labels: symmetrised.entries(), log_reference: reference.log_probabilities() };
        let hot = 1e3_f64.max(temperature);
        let mut scores = problem.newton(vec![0.0; n], hot)?;
        let (mut reached, mut advance) = (0.0, 0.5);
        let distance = (hot / temperature).ln();
        while reached < distance {
            let next = (reached + advance).min(distance);
            // The exact temperature at the end, not the rounded product of steps.
            let beta = if next < distance { hot * (-next).exp() } else { temperature };
            match problem.newton(scores.clone(), beta) {
                Some(found) => (scores, reached, advance) = (found, next, advance * 1.5),
                None if advance < ADVANCE_MIN => return None,
                None => advance *= 0.5,
            }
        }
        let at = problem.at(&scores, temperature);
        let residual = largest(&at.residuals);
        let log_policy = problem.log_policy(&scores, temperature);
        (residual <= RESIDUAL_MAX).then_some(Self { scores, log_policy, residual })
    }
}

impl Problem<'_> {
    fn log_policy(&self, scores: &[f64], beta: f64) -> Vec<f64> {
        let best = maximum(scores);
        let mut logits: Vec<f64> =
            scores.iter().zip(self.log_reference).map(|(score, log_ref)| log_ref + (score - best) / beta).collect();
        normalise_log(&mut logits);
        logits
    }

    fn at(&self, scores: &[f64], beta: f64) -> At {
        let policy = exponentials(&self.log_policy(scores, beta));
        let n = policy.len();
        let residual = |y: usize| {
            let row = &self.labels[y * n..(y + 1) * n];
            let terms = row.iter().zip(scores).zip(&policy);
            terms.map(|((label, score), p)| p * (label - logistic(scores[y] - score))).sum()
        };
        At { residuals: (0..n).map(residual).collect(), policy }
    }

    /// Newton's method with steps halved until the residual falls; `None` if it does not get there.
    fn newton(&self, mut scores: Vec<f64>, beta: f64) -> Option<Vec<f64>> {
        let mut at = self.at(&scores, beta);
        for _ in 0..NEWTON_STEPS_MAX {
            let size = largest(&at.residuals);
            if size <= 1e-15 {
                return Some(scores);
            }
            let step = self.step(&scores, &at, beta)?;
            let mut length = 1.0;
            let (moved, next) = loop {
                let moved: Vec<f64> = scores.iter().zip(&step).map(|(score, change)| score + length * change).collect();
                let next = self.at(&moved, beta);
                if largest(&next.residuals) < size {
                    break (moved, next);
                }
                if length < 1e-3 {
                    // Rounding is all that is left, or there is nothing to be found this way.
                    return (size <= RESIDUAL_MAX).then_some(scores);
                }
                length /= 2.0;
            };
            if largest(&moved) > SCORE_MAX {
                return None;
            }
            (scores, at) = (moved, next);
        }
        (largest(&at.residuals) <= RESIDUAL_MAX).then_some(scores)
    }

    /// Minus the inverse Jacobian times the residuals, without the first equation (they sum to 0 under π) and the first
    /// score (only differences count).
    fn step(&self, scores: &[f64], at: &At, beta: f64) -> Option<Vec<f64>> {
        let n = scores.len();
        let order = n - 1;
        let mut jacobian = vec![0.0; order * order];
        for y in 1..n {
            let mut own = 0.0;
            for u in 0..n {
                let explained = logistic(scores[y] - scores[u]);
                let slope = at.policy[u] * explained * (1.0 - explained);
                own += slope;
                if u > 0 {
                    let left_over = self.labels[y * n + u] - explained - at.residuals[y];
                    jacobian[(y - 1) * order + u - 1] += slope + at.policy[u] * left_over / beta;
                }
            }
            jacobian[(y - 1) * order + y - 1] -= own;
        }
        let mut step: Vec<f64> = at.residuals[1..].iter().map(|residual| -residual).collect();
        LuFactors::of(jacobian, order)?.solve(&mut step);
        let mut whole = Vec::with_capacity(n);
        whole.push(0.0);
        whole.extend(step);
        whole.iter().all(|change| change.is_finite()).then_some(whole)
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}
