//! The equilibrium of a skew-symmetric game whose players are held by another divergence than KL(π ‖ `π_ref`): where
//! `(Aπ)_i − τ [(1 − w) r_i − w e^(−r_i)] = λ` for every i, with `r = log(π/π_ref)` and `Σ π = 1`.
//!
//! Newton's method in (r, λ) with a line search. In `π δr` the Jacobian's symmetric part is `−τ diag(φ′(r)/π)` on distributions, φ′ > 0: it is
//! never singular, and the only root is the equilibrium. High temperatures are easy (r is near 0 there), so that the solution at each of
//! a falling sequence of temperatures begins at the one before. Under a forward share no probability falls exponentially, and
//! nothing underflows.

use crate::held::Divergence;
use crate::linear::LuFactors;
use crate::numeric::{exponentials, normalise_log, product};

use super::regularised::FixedPoint;

/// Where the sequence begins: margins are at most ½, and at this temperature the reference nearly is the equilibrium.
const TEMPERATURE_START: f64 = 4.0;
/// Newton steps at one temperature; a dozen are usual.
const CORRECTIONS_MAX: usize = 400;
/// A correction below which rounding decides.
const CORRECTION_MIN: f64 = 1e-15;

/// Solves for one temperature > 0 and a forward share > 0.
pub(super) fn solve(margins: &[f64], log_reference: &[f64], temperature: f64, held: Divergence) -> FixedPoint {
    let mut problem = Problem { margins, log_reference, temperature: TEMPERATURE_START.max(temperature), held };
    let mut at = Place { log_ratios: vec![0.0; log_reference.len()], level: 0.0 };
    let residual = loop {
        let residual = problem.correct(&mut at);
        if problem.temperature <= temperature {
            break residual;
        }
        problem.temperature = (0.5 * problem.temperature).max(temperature);
    };
    let mut log_policy: Vec<f64> = log_reference.iter().zip(&at.log_ratios).map(|(log, ratio)| log + ratio).collect();
    normalise_log(&mut log_policy);
    FixedPoint { log_policy, residual }
}

struct Problem<'a> {
    margins: &'a [f64],
    log_reference: &'a [f64],
    temperature: f64,
    held: Divergence,
}

/// (r, λ), λ without the constant w τ.
#[derive(Clone)]
struct Place {
    log_ratios: Vec<f64>,
    level: f64,
}

/// What is known at a place.
struct Point {
    policy: Vec<f64>,
    /// n equations, and that of the sum.
    residual: Vec<f64>,
}

impl Problem<'_> {
    /// The last correction's largest change of a probability.
    fn correct(&self, at: &mut Place) -> f64 {
        let mut last = f64::INFINITY;
        let mut point = self.point(at);
        for _ in 0..CORRECTIONS_MAX {
            let Some(correction) = self.correction(at, &point) else { return last };
            let change = point.policy.iter().zip(&correction).map(|(p, c)| (p * c).abs()).fold(0.0, f64::max);
            let Some((moved, found)) = self.shorter(at, &point, &correction) else { return last.min(change) };
            (*at, point, last) = (moved, found, change);
            if change < CORRECTION_MIN {
                break;
            }
        }
        last
    }

    fn point(&self, at: &Place) -> Point {
        let logarithms: Vec<f64> =
            self.log_reference.iter().zip(&at.log_ratios).map(|(log, ratio)| log + ratio).collect();
        let policy = exponentials(&logarithms);
        let gains = product(self.margins, &policy);
        let entries = gains.iter().zip(&at.log_ratios);
        let mut residual: Vec<f64> =
            entries.map(|(gain, ratio)| gain - self.temperature * self.held.slope(*ratio) - at.level).collect();
        residual.push(policy.iter().sum::<f64>() - 1.0);
        Point { policy, residual }
    }

    /// Newton's step in (r, λ).
    fn correction(&self, at: &Place, point: &Point) -> Option<Vec<f64>> {
        let n = point.policy.len();
        let mut matrix = Vec::with_capacity((n + 1) * (n + 1));
        for (row, margins) in self.margins.chunks_exact(n).enumerate() {
            let start = matrix.len();
            matrix.extend(margins.iter().zip(&point.policy).map(|(margin, p)| margin * p));
            matrix[start + row] -= self.temperature * self.held.rise(at.log_ratios[row]);
            matrix.push(-1.0);
        }
        matrix.extend(&point.policy);
        matrix.push(0.0);
        let mut correction: Vec<f64> = point.residual.iter().map(|residual| -residual).collect();
        LuFactors::of(matrix, n + 1)?.solve(&mut correction);
        correction.iter().all(|value| value.is_finite()).then_some(correction)
    }

    /// The longest of the steps 1, ½, ¼ … that makes the residual smaller; `None`: none does, and rounding decides.
    fn shorter(&self, at: &Place, point: &Point, correction: &[f64]) -> Option<(Place, Point)> {
        // Gains are to be right relative to the temperature, as the sum is to 1: or the sum alone would decide at a low one.
        let gains = point.policy.len();
        let norm = |point: &Point| {
            let of_gains = point.residual[..gains].iter().map(|residual| (residual / self.temperature).powi(2));
            of_gains.sum::<f64>() + point.residual[gains].powi(2)
        };
        let before = norm(point);
        let mut length = 1.0;
        while length > 1e-10 {
            let n = at.log_ratios.len();
            let moved = Place {
                log_ratios: at.log_ratios.iter().zip(correction).map(|(r, c)| r + length * c).collect(),
                level: at.level + length * correction[n],
            };
            let found = self.point(&moved);
            if norm(&found) < (1.0 - 0.1 * length) * before {
                return Some((moved, found));
            }
            length /= 2.0;
        }
        None
    }
}
