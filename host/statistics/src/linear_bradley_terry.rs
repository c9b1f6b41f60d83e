//! Bradley–Terry scores that are a linear function of features: logistic regression on differences, without an intercept,
//! with an L2 penalty, by maximum likelihood on soft labels.
//!
//! Sources: Bradley & Terry 1952; as a reward model of what people prefer, Christiano et al., arXiv 1706.03741, equation 1. The
//! minimiser: Newton's method whose linear systems conjugate gradients solve as exactly as the step deserves (Nocedal & Wright,
//! *Numerical Optimization*, algorithm 7.1), so that nothing of size dimension × dimension is ever made.

use crate::feature_comparisons::{ComparisonsError, FeatureComparisons, add_scaled, dot};
use crate::logistic::{cross_entropy, sigmoid};

/// Length of the gradient at which a fit stands, in units of the root mean square length of a difference: the gradient at w = 0
/// is at most half of that.
pub const GRADIENT_TOLERANCE: f64 = 1e-10;

/// Newton steps at most; strictly convex as the loss is, a dozen is what it takes.
const NEWTON_STEPS_MAX: u32 = 200;
/// Halvings of one step at most.
const HALVINGS_MAX: u32 = 60;
/// The least share of its first-order promise that a step has to keep (Armijo).
const SUFFICIENT_DECREASE: f64 = 1e-4;
/// A promised decrease of the loss that its own rounding hides; slopes decide from there on.
const HIDDEN_DECREASE: f64 = 1e-10;
/// The largest residual of a linear system, relative to its right-hand side.
const RESIDUAL_MAX: f64 = 0.1;

/// λ of the penalty λ · ½ |w|² on a mean loss: finite and above 0, so that there is always one best w, and a finite one.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Penalty(f64);

impl Penalty {
    /// Refuses what is not finite or not above 0.
    pub fn new(value: f64) -> Result<Self, ComparisonsError> {
        if value.is_finite() && value > 0.0 { Ok(Self(value)) } else { Err(ComparisonsError::Penalty { value }) }
    }

    /// λ
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// The minimiser of `(1/n) Σ_i H(t_i, σ(w · d_i)) + λ/2 |w|²`, H the cross-entropy of the label `t_i` in nats, `d_i` the
/// difference of the pair's features.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearBradleyTerry {
    /// w, `[dimension]`: nats of log-odds a unit of a feature.
    pub weights: Vec<f64>,
    /// Length of the gradient at w; see [`GRADIENT_TOLERANCE`].
    pub gradient: f64,
    /// Newton steps that it took.
    pub steps: u32,
}

impl LinearBradleyTerry {
    /// Of all pairs.
    #[must_use]
    pub fn fit(comparisons: &FeatureComparisons, penalty: Penalty) -> Self {
        let all: Vec<usize> = (0..comparisons.pairs()).collect();
        Self::fit_some(comparisons, &all, penalty, vec![0.0; comparisons.dimension()])
    }

    /// Of the pairs `rows` (one at least), starting from `start`, on which the result depends by rounding alone.
    pub(crate) fn fit_some(
        comparisons: &FeatureComparisons,
        rows: &[usize],
        penalty: Penalty,
        start: Vec<f64>,
    ) -> Self {
        let objective = Objective { comparisons, rows, penalty: penalty.0 };
        let tolerance = GRADIENT_TOLERANCE * comparisons.mean_square().sqrt();
        let mut weights = start;
        let mut gradient = objective.gradient(&weights);
        let first = length(&gradient);
        let mut steps = 0;
        while length(&gradient) > tolerance && steps < NEWTON_STEPS_MAX {
            // Looser far away, where a more exact direction would be no better.
            let residual = RESIDUAL_MAX.min(length(&gradient) / first);
            let step = objective.newton_step(&weights, &gradient, residual);
            let Some(moved) = objective.descend(&weights, &step, &gradient) else { break };
            weights = moved;
            gradient = objective.gradient(&weights);
            steps += 1;
        }
        Self { weights, gradient: length(&gradient), steps }
    }
}

fn length(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// What is minimised.
struct Objective<'a> {
    comparisons: &'a FeatureComparisons,
    rows: &'a [usize],
    penalty: f64,
}

impl Objective<'_> {
    fn share(&self) -> f64 {
        1.0 / self.rows.len().max(1) as f64
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let losses = self
            .rows
            .iter()
            .map(|&pair| cross_entropy(self.comparisons.log_odds(pair, weights), self.comparisons.labels()[pair]));
        losses.sum::<f64>() * self.share() + 0.5 * self.penalty * dot(weights, weights)
    }

    fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        let mut gradient: Vec<f64> = weights.iter().map(|weight| self.penalty * weight).collect();
        for &pair in self.rows {
            let excess = sigmoid(self.comparisons.log_odds(pair, weights)) - self.comparisons.labels()[pair];
            add_scaled(&mut gradient, self.share() * excess, self.comparisons.difference(pair));
        }
        gradient
    }

    /// σ (1 − σ) of every pair, over n: the weights of the Hessian's outer products.
    fn curvatures(&self, weights: &[f64]) -> Vec<f64> {
        let curvature = |&pair: &usize| {
            let z = self.comparisons.log_odds(pair, weights);
            self.share() * sigmoid(z) * sigmoid(-z)
        };
        self.rows.iter().map(curvature).collect()
    }

    /// The Hessian times a vector.
    fn hessian_times(&self, curvatures: &[f64], vector: &[f64]) -> Vec<f64> {
        let mut product: Vec<f64> = vector.iter().map(|value| self.penalty * value).collect();
        for (&pair, curvature) in self.rows.iter().zip(curvatures) {
            let along = self.comparisons.log_odds(pair, vector);
            add_scaled(&mut product, curvature * along, self.comparisons.difference(pair));
        }
        product
    }

    /// Solves Hessian · step = −gradient by conjugate gradients, to a residual of so much of the gradient.
    fn newton_step(&self, weights: &[f64], gradient: &[f64], residual: f64) -> Vec<f64> {
        let curvatures = self.curvatures(weights);
        let mut step = vec![0.0; weights.len()];
        let mut rest: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
        let mut direction = rest.clone();
        let mut square = dot(&rest, &rest);
        let enough = residual * residual * square;
        // The Hessian has as many different eigenvalues as pairs or features, and λ: the rest is for rounding.
        let most = 2 * self.rows.len().min(weights.len()) + 10;
        for _ in 0..most {
            if square <= enough {
                break;
            }
            let product = self.hessian_times(&curvatures, &direction);
            let curvature = dot(&direction, &product);
            add_scaled(&mut step, square / curvature, &direction);
            add_scaled(&mut rest, -square / curvature, &product);
            let next = dot(&rest, &rest);
            for (direction, rest) in direction.iter_mut().zip(&rest) {
                *direction = rest + next / square * *direction;
            }
            square = next;
        }
        step
    }

    /// The longest of the steps 1, ½, ¼ … that lowers the loss enough; `None` where rounding leaves none.
    fn descend(&self, weights: &[f64], step: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
        let slope_before = dot(gradient, step);
        if slope_before >= 0.0 {
            return None;
        }
        let before = self.value(weights);
        let mut share = 1.0;
        for _ in 0..HALVINGS_MAX {
            let mut moved = weights.to_vec();
            add_scaled(&mut moved, share, step);
            let slope = dot(&self.gradient(&moved), step);
            let promised = -share * slope_before;
            // A convex loss that still falls at the end has fallen all the way.
            let falls = slope <= 0.0;
            let is_hidden = promised <= HIDDEN_DECREASE && slope <= -0.5 * slope_before;
            if falls || is_hidden || self.value(&moved) <= before - SUFFICIENT_DECREASE * promised {
                return Some(moved);
            }
            share *= 0.5;
        }
        None
    }
}
