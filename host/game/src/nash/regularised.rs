//! The fixed point `π ∝ π_ref exp(Aπ/τ)` of a skew-symmetric game, by Newton's method.
//!
//! In logits `z` (π = softmax z) and with `s = 1/τ` the equation is
//! `F(z) = z − log π_ref − s A softmax(z) = 0`. Its Jacobian `J = I − s A S`, with
//! `S = diag π − ππᵀ` positive semidefinite, has eigenvalues `1 − iμ` with real μ (`A S` is similar to
//! the skew matrix `S½ A S½`): it is never singular, and Newton's step always exists. The solutions
//! for all s form one smooth path that starts at `z = log π_ref`, `s = 0`; it is followed with a
//! tangent predictor (`J dz/ds = Aπ`) and Newton's corrector. Plain damped iteration would need
//! steps below τ²: useless on cycles at τ = 0.02.

use crate::linear::LuFactors;
use crate::numeric::{normalise_log, product};

/// A solution whose [`super::NashSolution::residual`] is above this is not converged.
pub(super) const RESIDUAL_TOLERANCE: f64 = 1e-10;

/// Beyond this `1/τ` the policy no longer depends on τ in double precision.
const INVERSE_TEMPERATURE_MAX: f64 = 1e13;

/// Corrections that the corrector may take at one point of the path before the step is halved.
const CORRECTIONS_MAX: usize = 8;

/// Points of the path that are computed before Newton with line search takes over.
const POINTS_MAX: usize = 2_000;

/// Newton steps at the end of the path.
const FINAL_CORRECTIONS_MAX: usize = 200;

/// What was found.
#[derive(Debug)]
pub(super) struct FixedPoint {
    pub(super) log_policy: Vec<f64>,
    /// The largest entry of the last correction of π.
    pub(super) residual: f64,
}

/// Solves for one temperature > 0.
pub(super) fn solve(margins: &[f64], log_reference: &[f64], temperature: f64) -> FixedPoint {
    let target = (1.0 / temperature).min(INVERSE_TEMPERATURE_MAX);
    let path = Path { margins, log_reference };
    let mut logits = path.follow(target);
    let residual = path.polish(&mut logits, target);
    normalise_log(&mut logits);
    FixedPoint { log_policy: logits, residual }
}

/// The problem, without its temperature.
struct Path<'a> {
    margins: &'a [f64],
    log_reference: &'a [f64],
}

/// Everything that is known at one point `z`.
struct Point {
    policy: Vec<f64>,
    /// `Aπ`.
    gains: Vec<f64>,
    /// `F(z)`.
    residual: Vec<f64>,
}

/// `J` of one point, factored on the actions that carry mass: the columns of the others are
/// those of the identity to working precision.
struct Jacobian {
    active: Vec<usize>,
    factors: LuFactors,
}

impl Path<'_> {
    /// From s = 0 to the target, in steps that adapt to how well the predictor does.
    fn follow(&self, target: f64) -> Vec<f64> {
        let mut logits = self.log_reference.to_vec();
        let mut inverse = 0.0;
        // ‖A‖ ≤ 1/2: here the map is a contraction and the reference close to its fixed point.
        let mut step = target.min(1.0);
        for _ in 0..POINTS_MAX {
            // A step that is lost in rounding ends the path too.
            if inverse >= target || step <= 1e-12 * inverse {
                break;
            }
            let next = (inverse + step).min(target);
            match self.advance(&logits, inverse, next) {
                Some((arrived, corrections)) => {
                    logits = arrived;
                    inverse = next;
                    step *= match corrections {
                        0..=3 => 3.0,
                        4..=5 => 1.5,
                        _ => 0.75,
                    };
                }
                None => step /= 4.0,
            }
        }
        logits
    }

    /// One predictor step and its corrections; `None` if they do not converge quickly.
    fn advance(&self, logits: &[f64], from: f64, to: f64) -> Option<(Vec<f64>, usize)> {
        let start = self.point(logits, from);
        let mut tangent = start.gains.clone();
        self.jacobian(&start, from)?.solve(self, &start, from, &mut tangent);
        let mut logits: Vec<f64> = logits.iter().zip(&tangent).map(|(z, t)| z + (to - from) * t).collect();
        // A probability that is off by ε puts other logits off by s ε: what is close depends on s.
        let close_enough = (1e-2 / (1.0 + to)).max(1e-12);
        let mut point = self.point(&logits, to);
        let mut size = f64::INFINITY;
        for corrections in 1..=CORRECTIONS_MAX {
            let correction = self.correction(&point, to)?;
            add(&mut logits, 1.0, &correction);
            let moved = self.point(&logits, to);
            let change = policy_change(&point.policy, &moved.policy, &correction);
            // Corrections must shrink: otherwise the predictor left the region of attraction.
            if !change.is_finite() || change > 0.5 * size {
                return None;
            }
            size = change;
            point = moved;
            if change < close_enough {
                return Some((logits, corrections));
            }
        }
        None
    }

    /// Newton's method with a line search on ‖F‖ until the corrections of π vanish or stop shrinking;
    /// returns the last one's size.
    fn polish(&self, logits: &mut Vec<f64>, inverse: f64) -> f64 {
        let mut last = f64::INFINITY;
        let mut point = self.point(logits, inverse);
        for _ in 0..FINAL_CORRECTIONS_MAX {
            let Some(correction) = self.correction(&point, inverse) else {
                return last;
            };
            let (candidate, moved) = self.line_search(logits, inverse, &point, &correction);
            let change = policy_change(&point.policy, &moved.policy, &correction);
            if change.is_nan() || (change >= 0.5 * last && last < RESIDUAL_TOLERANCE) {
                return last;
            }
            *logits = candidate;
            point = moved;
            last = change;
            if change == 0.0 {
                break;
            }
        }
        last
    }

    /// The longest of the steps 1, ½, ¼ … that makes ‖F‖ smaller; the full step once it is so small
    /// that rounding decides.
    fn line_search(&self, logits: &[f64], inverse: f64, point: &Point, correction: &[f64]) -> (Vec<f64>, Point) {
        let norm = |residual: &[f64]| residual.iter().map(|r| r * r).sum::<f64>();
        let before = norm(&point.residual);
        let mut length = 1.0;
        loop {
            let mut candidate = logits.to_vec();
            add(&mut candidate, length, correction);
            let moved = self.point(&candidate, inverse);
            if norm(&moved.residual) < (1.0 - 0.1 * length) * before
                || policy_change(&point.policy, &moved.policy, correction) < 1e-6
                || length < 1e-6
            {
                return (candidate, moved);
            }
            length /= 2.0;
        }
    }

    fn point(&self, logits: &[f64], inverse: f64) -> Point {
        let mut log_policy = logits.to_vec();
        normalise_log(&mut log_policy);
        let policy = crate::numeric::exponentials(&log_policy);
        let gains = product(self.margins, &policy);
        let residual = logits
            .iter()
            .zip(self.log_reference)
            .zip(&gains)
            .map(|((z, log_ref), gain)| z - log_ref - inverse * gain)
            .collect();
        Point { policy, gains, residual }
    }

    /// Newton's step `−J⁻¹ F`.
    fn correction(&self, point: &Point, inverse: f64) -> Option<Vec<f64>> {
        let mut correction: Vec<f64> = point.residual.iter().map(|r| -r).collect();
        self.jacobian(point, inverse)?.solve(self, point, inverse, &mut correction);
        Some(correction)
    }

    /// `J_ij = δ_ij − s π_j (A_ij − (Aπ)_i)` on the actions whose column differs from the
    /// identity's.
    fn jacobian(&self, point: &Point, inverse: f64) -> Option<Jacobian> {
        let actions = point.policy.len();
        let negligible = 1e-18 / (1.0 + inverse * inverse);
        let active: Vec<usize> = (0..actions).filter(|&action| point.policy[action] > negligible).collect();
        let mut matrix = Vec::with_capacity(active.len() * active.len());
        for &row in &active {
            let margins = &self.margins[row * actions..(row + 1) * actions];
            let gain = point.gains[row];
            matrix.extend(active.iter().map(|&column| {
                let slope = inverse * point.policy[column] * (margins[column] - gain);
                f64::from(u8::from(row == column)) - slope
            }));
        }
        let factors = LuFactors::of(matrix, active.len())?;
        Some(Jacobian { active, factors })
    }
}

impl Jacobian {
    /// Replaces `b` with `J⁻¹ b`: by the factors on the active actions, and for the others from
    /// `x = b + s A (S x)`.
    fn solve(&self, path: &Path<'_>, point: &Point, inverse: f64, b: &mut [f64]) {
        let mut active: Vec<f64> = self.active.iter().map(|&action| b[action]).collect();
        self.factors.solve(&mut active);
        if self.active.len() < b.len() {
            let mean: f64 = self.active.iter().zip(&active).map(|(&action, x)| point.policy[action] * x).sum();
            let mut moved = vec![0.0; b.len()];
            for (&action, x) in self.active.iter().zip(&active) {
                moved[action] = point.policy[action] * (x - mean);
            }
            for (entry, gain) in b.iter_mut().zip(product(path.margins, &moved)) {
                *entry += inverse * gain;
            }
        }
        for (&action, x) in self.active.iter().zip(&active) {
            b[action] = *x;
        }
    }
}

/// The largest change of a probability that a correction of the logits makes or, to first order,
/// should make (`max |S dz|`). Either alone can be blind: the first order to an action whose mass
/// had vanished and comes back, the change itself to a correction that was cut short.
fn policy_change(before: &[f64], after: &[f64], correction: &[f64]) -> f64 {
    let mean: f64 = before.iter().zip(correction).map(|(p, c)| p * c).sum();
    if !mean.is_finite() {
        return f64::NAN;
    }
    let changes = before.iter().zip(after).zip(correction);
    changes.map(|((p, q), c)| (p * (c - mean)).abs().max((p - q).abs())).fold(0.0, f64::max)
}

fn add(logits: &mut [f64], length: f64, correction: &[f64]) {
    for (z, c) in logits.iter_mut().zip(correction) {
        *z += length * c;
    }
}
