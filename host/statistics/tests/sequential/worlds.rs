//! Values whose mean is known.

use std::num::NonZeroUsize;

use slhf_random::SplitMix64;
use slhf_statistics::{Horizon, Level, Population, SequentialMean, draw_order};

/// Where values come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum World {
    /// 0 or 1, with this share of ones.
    Bernoulli(f64),
    /// 0, ½ or 1 with these probabilities of the last two.
    Halves(f64, f64),
    /// `Beta(a, b)` of whole a and b.
    Beta(u32, u32),
}

impl World {
    pub(crate) const ALL: [Self; 8] = [
        Self::Bernoulli(0.5),
        Self::Bernoulli(0.7),
        Self::Bernoulli(0.9),
        Self::Bernoulli(0.99),
        Self::Halves(0.5, 0.25),
        Self::Halves(0.2, 0.6),
        Self::Beta(2, 2),
        Self::Beta(10, 1),
    ];

    pub(crate) fn mean(self) -> f64 {
        match self {
            Self::Bernoulli(p) => p,
            Self::Halves(half, one) => 0.5 * half + one,
            Self::Beta(a, b) => f64::from(a) / f64::from(a + b),
        }
    }

    pub(crate) fn draw(self, draws: &mut SplitMix64) -> f64 {
        match self {
            Self::Bernoulli(p) => f64::from(u8::from(draws.uniform() < p)),
            Self::Halves(half, one) => match draws.uniform() {
                u if u < one => 1.0,
                u if u < one + half => 0.5,
                _ => 0.0,
            },
            Self::Beta(a, b) => {
                let mut gamma = |shape: u32| (0..shape).map(|_| -draws.uniform().ln()).sum::<f64>();
                let (first, second) = (gamma(a), gamma(b));
                first / (first + second)
            }
        }
    }

    /// A population of `size`, in the order in which it is drawn.
    pub(crate) fn population(self, size: usize, draws: &mut SplitMix64) -> Vec<f64> {
        let values: Vec<f64> = (0..size).map(|_| self.draw(draws)).collect();
        draw_order(size, draws.bits()).into_iter().map(|at| values[at]).collect()
    }
}

pub(crate) fn finite(size: usize) -> Population {
    Population::Finite(NonZeroUsize::new(size).expect("values"))
}

/// At 95 %, looked at all the time.
pub(crate) fn open(population: Population) -> SequentialMean {
    SequentialMean::new(Level::PERCENT_95, population, Horizon::Open)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
