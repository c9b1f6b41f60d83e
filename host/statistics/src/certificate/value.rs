//! The value of committing to an answer, f(y), from samples.

use super::error::CertificateError;
use super::tilted::TiltedMean;
use crate::sequential::{Horizon, LowerBound, Population, Risk};

/// Weights are cut here: a smaller one makes the bound lower, and no sum overflows.
const WEIGHT_MAX: f64 = 1e100;

/// An answer of the Follower itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnAnswer {
    /// P(y, y′), the probability that the Leader's answer is preferred to it.
    pub preference: f64,
    /// log `ω_ref(y′ | x, y)` − log ω(y′ | x, y), in nats.
    pub log_weight: f64,
}

/// What was sampled for one pair (x, y).
#[derive(Debug, Clone, Copy)]
pub struct ValueSamples<'a> {
    /// P(y, y′) of independent answers y′ of the Follower's reference.
    pub reference: &'a [f64],
    /// Independent answers of the Follower; empty where none were sampled.
    pub own: &'a [OwnAnswer],
}

/// Bounds of f(y), within [0, 1], as P is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueBounds {
    /// f is not below, but for half of the risk.
    pub low: f64,
    /// f is not above, but for half of the risk.
    pub high: f64,
    /// f of the reference's answers as if they were all there are: too high on average, by much where good answers are rarer than one in their number.
    pub estimate: f64,
}

impl ValueSamples<'_> {
    /// Bounds of `f(y) = −τ log E_{ω_ref} exp(−P/τ)`, both right at once but for `risk`. With v = 1 − P it is `1 − τ log E exp(v/τ)`.
    ///
    /// From above the better of two, each with half of what is left: answers of the reference; and the Follower's own, whose
    /// `w exp(−P/τ)` with `w = ω_ref/ω` have the same expectation. Of these nothing but their sign is known, and a lower bound needs no more;
    /// near the Follower's best answer, ω ∝ `ω_ref` exp(−P/τ), they are all alike, and the bound is close.
    pub fn bounds(&self, temperature: f64, risk: Risk) -> Result<ValueBounds, CertificateError> {
        let tau = super::error::temperature(temperature)?;
        check(self.reference.iter().copied().chain(self.own.iter().map(|answer| answer.preference)))?;
        let tilted = TiltedMean { temperature: tau };
        let gains: Vec<f64> = self.reference.iter().map(|preference| 1.0 - preference).collect();
        let one_side = risk.part(2);
        let low = 1.0 - tilted.high(&gains, one_side)?;
        let by_two = if self.own.is_empty() { one_side } else { one_side.part(2) };
        let mut high = 1.0 - tilted.low(&gains, by_two)?;
        if !self.own.is_empty() {
            high = high.min((-tau * self.own_mean(tau, by_two)?.ln()).max(0.0));
        }
        // Where they cross one of them is wrong, and what is certain is said.
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        Ok(ValueBounds { low, high, estimate: 1.0 - tilted.estimate(&gains) })
    }

    /// The lower bound of E exp(−P/τ) by the Follower's own answers.
    fn own_mean(&self, tau: f64, risk: Risk) -> Result<f64, CertificateError> {
        // Bets are made for values of about 1. The unit comes from the reference's answers, which these do not depend on.
        let sum: f64 = self.reference.iter().map(|preference| (-preference / tau).exp()).sum();
        let unit = if sum > 0.0 { (sum / self.reference.len() as f64).max(f64::MIN_POSITIVE) } else { 1.0 };
        let mut bound = LowerBound::new(risk, Population::Unlimited, Horizon::After(self.own.len()));
        for answer in self.own {
            if answer.log_weight.is_nan() {
                return Err(CertificateError::LogWeight { log_weight: answer.log_weight });
            }
            // One logarithm: a weight may overflow where the product does not.
            let value = (answer.log_weight - answer.preference / tau - unit.ln()).exp();
            if value.is_nan() {
                return Err(CertificateError::LogWeight { log_weight: answer.log_weight });
            }
            bound.add(value.min(WEIGHT_MAX))?;
        }
        Ok(bound.bound() * unit)
    }
}

/// All probabilities.
fn check(preferences: impl Iterator<Item = f64>) -> Result<(), CertificateError> {
    for (at, value) in preferences.enumerate() {
        if !(0.0..=1.0).contains(&value) {
            let expected = "a probability, from 0 to 1";
            return Err(crate::SequentialError::Value { number: at + 1, value, expected }.into());
        }
    }
    Ok(())
}
