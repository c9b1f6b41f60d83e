//! What EGPO and OMWU share: the gradient of one side of the regularized preference game against a given opponent.
//!
//! Coefficient of y: `Σ_z μ(z) ℓ(y, z) − τ (log π(y) − log π_ref(y))`, μ the opponent. With natural gradients the direction is that,
//! less its mean: a step η gives `π^(1 − η τ) π_ref^(η τ) exp(η ℓμ)`, the closed form of the proximal step. Of a group each `y_i` is
//! labeled against k answers `z_j ~ μ` of the opponent's own, so that the mean of the other `y_j`'s rewards is no function of `y_i` and
//! may be subtracted.

use super::method::Position;
use crate::derivatives::mean_of_others;

pub(super) fn expected(at: &Position<'_>, coefficients: &mut [f64]) {
    for (y, slot) in coefficients.iter_mut().enumerate() {
        *slot = at.won(y) - at.tau * at.log_ratio(y);
    }
}

pub(super) fn of_group(at: &Position<'_>, group: &[usize], coefficients: &mut [f64]) {
    let share = 1.0 / at.opponents.len().max(1) as f64;
    for (slot, &y) in coefficients.iter_mut().zip(group) {
        let won: f64 = at.opponents.iter().map(|&z| at.label(y, z)).sum();
        *slot = share * won - at.tau * at.log_ratio(y);
    }
    let all: f64 = coefficients.iter().sum();
    for slot in coefficients.iter_mut() {
        *slot -= mean_of_others(all, *slot, group.len());
    }
}
