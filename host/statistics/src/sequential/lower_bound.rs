//! The lower bound of a mean, from values of which only their sign is known.

use super::bets::{Horizon, PlugIn};
use super::certain::Population;
use super::error::SequentialError;
use crate::sample::Level;

/// The share of the capital that may be lost with one value: the paper's c, for which it names 1/2 and 3/4. Values near 0 or 1 are found
/// out the sooner, the greater it is.
const STAKE_MAX: f64 = 0.75;
/// Bounds are bisected to this part of the largest value.
const RESOLUTION: f64 = 1e-10;
/// So many factors are multiplied before a logarithm is taken. A factor is at least 1 − c and at most 1 + c X/μ: where bounds are bisected X/μ is
/// at most 1e10, so that a product stays below 1e160.
const PER_LOGARITHM: usize = 16;

/// The chance that a bound is ever wrong, in (0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Risk(f64);

impl Risk {
    /// Checks that it lies between 0 and 1, both excluded.
    pub fn new(risk: f64) -> Result<Self, SequentialError> {
        if risk > 0.0 && risk < 1.0 { Ok(Self(risk)) } else { Err(SequentialError::Risk { risk }) }
    }

    /// What is left to 1 by a level of confidence.
    #[must_use]
    pub fn of(level: Level) -> Self {
        // The smallest that 1 − level can be.
        Self((1.0 - level.get()).max(f64::EPSILON / 2.0))
    }

    /// One of `parts` equal parts: where one of so many bounds may be wrong with the whole risk.
    #[must_use]
    pub fn part(self, parts: usize) -> Self {
        Self((self.0 / parts.max(1) as f64).max(f64::MIN_POSITIVE))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Draw {
    value: f64,
    /// λ̇, not yet cut.
    bet: f64,
    /// Of all values before this one.
    sum_before: f64,
}

/// A lower bound of the mean of values that are never negative, valid at every moment at once: with a probability of at least 1 − risk it
/// never exceeds the mean, whenever one looks and whyever one stops.
///
/// The capital against a candidate m is `K⁺_t(m) = Π_{i≤t} (1 + λ_i(m) (X_i − μ_i(m)))` with `λ_i(m) = min(λ̇_i, c/μ_i(m))` and `μ_i(m)` = m, or
/// the mean of what is left of a finite population (Theorem 3, section 5 for draws without replacement). It needs X ≥ 0 alone: a factor is
/// at least 1 − c whatever the values are, so that the capital is never negative. Values in [0, 1] have an upper bound, too: that of 1 − X.
///
/// **Why bisection is right.** A factor is continuous in μ: 1 + λ̇ (X − μ) where λ̇ ≤ c/μ, and 1 − c + c X/μ beyond. Neither part increases in μ
/// (X ≥ 0), and μ increases in m. So every factor, their product, and the greatest product so far decrease in m or stay: the candidates
/// that are out form an interval from 0 on, whose end is bisected. (With both sides the larger of two such capitals is quasi-convex in
/// m, and what is left is an interval.) The end that is known to be out is the bound, so that rounding makes it lower.
#[derive(Debug, Clone)]
pub struct LowerBound {
    risk: Risk,
    population: Population,
    plug_in: PlugIn,
    draws: Vec<Draw>,
    sum: f64,
    largest: f64,
}

impl LowerBound {
    /// Before any value: 0.
    #[must_use]
    pub fn new(risk: Risk, population: Population, horizon: Horizon) -> Self {
        let plug_in = PlugIn::new(horizon, -risk.get().ln());
        Self { risk, population, plug_in, draws: Vec::new(), sum: 0.0, largest: 0.0 }
    }

    /// All values at once.
    pub fn of(
        values: impl IntoIterator<Item = f64>,
        risk: Risk,
        population: Population,
        horizon: Horizon,
    ) -> Result<Self, SequentialError> {
        let mut bound = Self::new(risk, population, horizon);
        values.into_iter().try_for_each(|value| bound.add(value))?;
        Ok(bound)
    }

    /// The next value, finite and not negative.
    pub fn add(&mut self, value: f64) -> Result<(), SequentialError> {
        if !(value >= 0.0 && value.is_finite()) {
            let expected = "a finite number that is not negative";
            return Err(SequentialError::Value { number: self.draws.len() + 1, value, expected });
        }
        if let Some(population) = self.population.size().filter(|size| self.draws.len() >= *size) {
            return Err(SequentialError::Exhausted { population });
        }
        self.draws.push(Draw { value, bet: self.plug_in.next(), sum_before: self.sum });
        self.plug_in.add(value);
        self.sum += value;
        self.largest = self.largest.max(value);
        Ok(())
    }

    /// Values so far.
    #[must_use]
    pub fn n(&self) -> usize {
        self.draws.len()
    }

    /// The bound, in the units of the values: the greatest of all moments so far (the paper's running intersection).
    #[must_use]
    pub fn bound(&self) -> f64 {
        // At the largest value no factor exceeds 1: it is never out.
        let (mut out, mut open) = (self.certain(), self.largest);
        while open - out > RESOLUTION * self.largest {
            let middle = out + (open - out) / 2.0;
            if self.excludes(middle) {
                out = middle;
            } else {
                open = middle;
            }
        }
        out
    }

    /// Whether a candidate and all below it are out, at this moment or an earlier one.
    #[must_use]
    pub fn excludes(&self, mean: f64) -> bool {
        self.log_capitals(mean).1 >= -self.risk.get().ln()
    }

    /// The capital against `mean` now, `K⁺_t`: an e-value of "the mean is `mean` or less". Its expectation is at most 1 under that, at any
    /// stopping time. Infinite where a finite population makes that impossible.
    #[must_use]
    pub fn e_value(&self, mean: f64) -> f64 {
        self.log_capitals(mean).0.exp()
    }

    /// What the mean cannot be below, without any chance.
    pub(super) fn certain(&self) -> f64 {
        self.population.certain_low(self.sum)
    }

    /// The logarithms of the capital: now, and at its greatest.
    fn log_capitals(&self, mean: f64) -> (f64, f64) {
        let (mut now, mut greatest, mut product) = (0.0_f64, 0.0_f64, 1.0);
        let mut highest = 1.0_f64;
        for (drawn, draw) in self.draws.iter().enumerate() {
            let Some(price) = self.population.fair_price(mean, drawn, draw.sum_before) else {
                return (f64::INFINITY, f64::INFINITY);
            };
            product *= factor(draw, price);
            highest = highest.max(product);
            if drawn % PER_LOGARITHM == PER_LOGARITHM - 1 {
                greatest = greatest.max(now + highest.ln());
                now += product.ln();
                (product, highest) = (1.0, 1.0);
            }
        }
        if self.population.fair_price(mean, self.draws.len(), self.sum).is_none() {
            return (f64::INFINITY, f64::INFINITY);
        }
        greatest = greatest.max(now + highest.ln());
        (now + product.ln(), greatest)
    }
}

/// 1 + λ (X − μ) with λ cut at c/μ.
fn factor(draw: &Draw, price: f64) -> f64 {
    if draw.bet * price <= STAKE_MAX {
        1.0 + draw.bet * (draw.value - price)
    } else {
        1.0 - STAKE_MAX + STAKE_MAX * draw.value / price
    }
}
