//! The majority relation: who beats whom, by how much.

use crate::numeric::TIE_TOLERANCE;
use crate::preference::PreferenceMatrix;

/// Skew margins of a preference matrix.
#[derive(Debug)]
pub(super) struct Majority {
    actions: usize,
    /// `(P − Pᵀ)/2`, row-major, in [−1/2, 1/2].
    margins: Vec<f64>,
}

impl Majority {
    pub(super) fn of(preferences: &PreferenceMatrix) -> Self {
        Self { actions: preferences.actions(), margins: preferences.margins() }
    }

    pub(super) fn actions(&self) -> usize {
        self.actions
    }

    pub(super) fn row(&self, action: usize) -> &[f64] {
        &self.margins[action * self.actions..(action + 1) * self.actions]
    }

    /// `m(first, second)`: what the first wins beyond one half.
    pub(super) fn margin(&self, first: usize, second: usize) -> f64 {
        self.margins[first * self.actions + second]
    }

    /// Strictly, beyond the tolerance.
    pub(super) fn beats(&self, first: usize, second: usize) -> bool {
        self.margin(first, second) > TIE_TOLERANCE
    }
}
