//! `τ log E exp(v/τ)` of values v in [0, 1], from samples: what both players' values are made of.

use crate::sequential::{Horizon, LowerBound, Population, Risk, SequentialError};

/// Where values are cut for the lower bound. Each takes an equal part of its risk.
const CAPS: [f64; 8] = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0];

/// `τ log E exp(v/τ)` of independent values v in [0, 1].
#[derive(Debug, Clone, Copy)]
pub(super) struct TiltedMean {
    /// τ: finite, above 0.
    pub(super) temperature: f64,
}

impl TiltedMean {
    /// It is not below this, but for `risk`. The values may be lower bounds of the true ones.
    ///
    /// By betting, for each cap c, that `(exp((min(v, c) − c)/τ) − e^{−c/τ}) / (1 − e^{−c/τ})`, which lies in [0, 1], has a large mean. Cutting v makes what is
    /// bounded smaller, never larger. At a low temperature it is what makes the bound close: without it 1 stands for a value that no sample had, and what the
    /// samples had is next to nothing beside it.
    pub(super) fn low(self, values: &[f64], risk: Risk) -> Result<f64, SequentialError> {
        let mut best: f64 = 0.0;
        for cap in CAPS {
            let unit = Unit { temperature: self.temperature, cap };
            let bound = bound(values.iter().map(|value| unit.of(*value)), values.len(), risk.part(CAPS.len()))?;
            best = best.max(unit.value(bound));
        }
        Ok(best.clamp(0.0, 1.0))
    }

    /// It is not above this, but for `risk`. The values may be upper bounds of the true ones.
    ///
    /// By betting that `(exp(v/τ) − 1) / (exp(1/τ) − 1)` has a small mean. A value of 1 that no sample had may be there nevertheless.
    pub(super) fn high(self, values: &[f64], risk: Risk) -> Result<f64, SequentialError> {
        let unit = self.whole();
        let bound = bound(values.iter().map(|value| 1.0 - unit.of(*value)), values.len(), risk)?;
        Ok(unit.value(1.0 - bound).clamp(0.0, 1.0))
    }

    /// As the sample has it. Exponents are counted from the largest value, so that nothing is lost at a low temperature; 0 without a value.
    pub(super) fn estimate(self, values: &[f64]) -> f64 {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let excess = |value: &f64| ((value - largest) / self.temperature).exp_m1();
        let mean = values.iter().map(excess).sum::<f64>() / values.len().max(1) as f64;
        if values.is_empty() { 0.0 } else { (largest + self.temperature * mean.ln_1p()).clamp(0.0, 1.0) }
    }

    fn whole(self) -> Unit {
        Unit { temperature: self.temperature, cap: 1.0 }
    }
}

/// Values of [0, c] as numbers in [0, 1] whose mean says what `τ log E exp(v/τ)` is.
#[derive(Debug, Clone, Copy)]
struct Unit {
    temperature: f64,
    cap: f64,
}

impl Unit {
    /// `e^{−c/τ} − 1`. In units of exp(c/τ), which may overflow, and in differences from 1, which a large temperature makes small.
    fn range(self) -> f64 {
        (-self.cap / self.temperature).exp_m1()
    }

    fn of(self, value: f64) -> f64 {
        (1.0 - ((value.min(self.cap) - self.cap) / self.temperature).exp_m1() / self.range()).clamp(0.0, 1.0)
    }

    /// `τ log E exp(v/τ)` where the mean is `mean`.
    fn value(self, mean: f64) -> f64 {
        self.cap + self.temperature * (self.range() * (1.0 - mean)).ln_1p()
    }
}

fn bound(values: impl Iterator<Item = f64>, many: usize, risk: Risk) -> Result<f64, SequentialError> {
    LowerBound::of(values, risk, Population::Unlimited, Horizon::After(many)).map(|bound| bound.bound())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_estimated_as_its_definition_says() {
        let values = [0.0, 0.2, 0.9, 0.4];
        assert_eq!(TiltedMean { temperature: 0.1 }.estimate(&[]), 0.0);
        // Far below the largest value that there could be, at which exp(v/τ) is nothing beside exp(1/τ).
        for temperature in [0.02, 0.01, 0.001, 1e-6] {
            let (values, found) = ([0.2, 0.1, 0.2, 0.05], |values: &[f64]| TiltedMean { temperature }.estimate(values));
            let expected =
                0.2 + temperature * (0.5 + 0.25 * (-0.1 / temperature).exp() + 0.25 * (-0.15 / temperature).exp()).ln();
            assert!((found(&values) - expected).abs() < 1e-12, "{temperature}: {} is not {expected}", found(&values));
        }
        for temperature in [0.05, 0.3, 1.0, 20.0] {
            let sum: f64 = values.iter().map(|value: &f64| (value / temperature).exp()).sum();
            let expected = temperature * (sum / 4.0).ln();
            let found = TiltedMean { temperature }.estimate(&values);
            assert!((found - expected).abs() < 1e-12, "{temperature}: {found} is not {expected}");
        }
    }

    /// What is never above a half is bounded closely where 1 would be worth e^{10} times as much.
    #[test]
    fn a_low_temperature_is_bounded_from_below_as_well() {
        let values: Vec<f64> = (0..200).map(|index| 0.3 + 0.001 * f64::from(index)).collect();
        let tilted = TiltedMean { temperature: 0.05 };
        let risk = Risk::new(0.01).expect("a risk");
        let low = tilted.low(&values, risk).expect("values");
        let estimate = tilted.estimate(&values);
        assert!(low < estimate && estimate - low < 0.05, "{low} {estimate}");
    }
}
