//! What a finite population leaves open, without any chance: the values that were not drawn yet.

use std::num::NonZeroUsize;

/// Sums are compared to so much a value of the population: rounding must not rule out a mean that is possible.
const ROUNDING: f64 = 1e-12;

/// What values are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Population {
    /// As many as one likes: independent draws, or draws with replacement. All that is needed is that the mean of the next value, given
    /// those before, is always the same.
    Unlimited,
    /// So many values, each drawn once, in random order.
    Finite(NonZeroUsize),
}

impl Population {
    /// The mean of the next value if the mean of all is `mean`: the paper's `μ_t^WoR(m) = (N m − Σ_{i<t} X_i) / (N − t + 1)`, section 5.
    /// Never below 0; `None` where the mean is impossible, because less would be left than nothing.
    pub(super) fn fair_price(self, mean: f64, drawn: usize, sum: f64) -> Option<f64> {
        let Self::Finite(all) = self else { return Some(mean) };
        let all = all.get() as f64;
        let left = all * mean - sum;
        if left < -ROUNDING * all {
            return None;
        }
        // After the last value nothing has a price: what is left of the sum is 0 or the mean is impossible.
        Some(left.max(0.0) / (all - drawn as f64).max(1.0))
    }

    /// The mean that is certain to be reached, if every further value were 0.
    pub(super) fn certain_low(self, sum: f64) -> f64 {
        match self {
            Self::Unlimited => 0.0,
            Self::Finite(all) => sum / all.get() as f64,
        }
    }

    /// How many there are, if that is known.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Unlimited => None,
            Self::Finite(all) => Some(all.get()),
        }
    }
}
