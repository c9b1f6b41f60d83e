//! The Follower's gap.

use super::error::{CertificateError, temperature};
use super::upper_end::upper_end;
use super::value::{OwnAnswer, ValueBounds, ValueSamples};
use crate::sample::{Interval, Level, mean};
use crate::sequential::{Horizon, LowerBound, Population, Risk, SequentialMean};

/// What was sampled for one pair of a prompt and an answer of the Leader.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerPair {
    /// P(y, y′) of M independent answers of the Follower's reference.
    pub reference: Vec<f64>,
    /// Independent answers of the Follower, as many for every pair.
    pub own: Vec<OwnAnswer>,
    /// `KL(ω ‖ ω_ref)` along answers of the Follower, in nats: sums over tokens of the exact divergence at each. As many for every pair, two or more.
    pub divergences: Vec<f64>,
}

/// Bounds of the Follower's gap, given the pairs; all at once with the level's probability, asymptotically (the divergence's interval is).
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerCertificate {
    /// Of the gap, not below 0. *Asymptotic.*
    pub gap: Interval,
    /// The gap as the samples have it, within its interval.
    pub estimate: f64,
    /// Of `E_ω P`, the mean over pairs.
    pub preference: Interval,
    /// `E_ω P` as the samples have it.
    pub preference_estimate: f64,
    /// Of the divergence, the mean over pairs, in nats. Its upper end is *asymptotic*: Student's t, too low where a rare response of a large
    /// divergence was not sampled. Its lower end needs no more than that divergences are not negative.
    pub divergence: Interval,
    /// The divergence as the samples have it.
    pub divergence_estimate: f64,
    /// Of f, the mean over pairs.
    pub value: Interval,
    /// Of f, pair by pair.
    pub values: Vec<ValueBounds>,
}

impl FollowerCertificate {
    /// So wide that nothing is said: more than half of what P ranges over.
    #[must_use]
    pub fn is_trivial(&self) -> bool {
        self.gap.high - self.gap.low > 0.5
    }
}

/// Bounds of the Follower's gap on these pairs, one a prompt: a third of the risk each for `E_ω P`, the divergence and f; of f's third
/// δ, δ/(2N) for each side of each of N pairs.
///
/// `E_ω P` and the divergence are bounded by the k-th answers of all pairs together: their means are independent, have the mean over pairs as
/// their expectation, and do not vary as pairs differ from each other. Means of preferences lie in [0, 1].
pub fn follower_certificate(
    pairs: &[FollowerPair],
    temperature_follower: f64,
    level: Level,
) -> Result<FollowerCertificate, CertificateError> {
    let tau = temperature(temperature_follower)?;
    let sampled = pairs.iter().filter(|pair| pair.is_sampled()).count();
    if sampled < pairs.len() || pairs.is_empty() {
        return Err(CertificateError::TooFew { prompts: sampled });
    }
    let third = Risk::of(level).part(3);
    let of_third = Level::new(1.0 - third.get()).unwrap_or(level);
    let values = pairs
        .iter()
        .map(|pair| ValueSamples { reference: &pair.reference, own: &pair.own }.bounds(tau, third.part(pairs.len())))
        .collect::<Result<Vec<_>, _>>()?;
    let value = mean_value(&values, of_third);
    let preferences = by_rounds(pairs, |pair| pair.own.iter().map(|answer| answer.preference).collect());
    let preference = preference(&preferences, of_third)?;
    let divergences = by_rounds(pairs, |pair| pair.divergences.clone());
    let divergence = divergence(&divergences, third)?;
    let low = (preference.low + tau * divergence.low - value.high).max(0.0);
    let high = (preference.high + tau * divergence.high - value.low).max(0.0);
    let of_values = values.iter().map(|value| value.estimate).sum::<f64>() / values.len() as f64;
    let estimate = mean(&preferences) + tau * mean(&divergences) - of_values;
    Ok(FollowerCertificate {
        gap: Interval { low, high, level, n: pairs.len() },
        estimate: estimate.clamp(low, high),
        preference,
        preference_estimate: mean(&preferences),
        divergence,
        divergence_estimate: mean(&divergences).max(0.0),
        value,
        values,
    })
}

impl FollowerPair {
    fn is_sampled(&self) -> bool {
        !(self.reference.is_empty() || self.own.is_empty()) && self.divergences.len() >= 2
    }
}

/// Of the mean over pairs, each bound being right at once with the others.
fn mean_value(values: &[ValueBounds], level: Level) -> Interval {
    let n = values.len();
    let mean = |of: fn(&ValueBounds) -> f64| values.iter().map(of).sum::<f64>() / n as f64;
    Interval { low: mean(|value| value.low), high: mean(|value| value.high), level, n }
}

/// The means over pairs of their first numbers, of their second ones, and so on, as far as all have one.
fn by_rounds(pairs: &[FollowerPair], numbers: impl Fn(&FollowerPair) -> Vec<f64>) -> Vec<f64> {
    let all: Vec<Vec<f64>> = pairs.iter().map(numbers).collect();
    let rounds = all.iter().map(Vec::len).min().unwrap_or(0);
    (0..rounds).map(|round| all.iter().map(|numbers| numbers[round]).sum::<f64>() / all.len() as f64).collect()
}

fn preference(rounds: &[f64], level: Level) -> Result<Interval, CertificateError> {
    let mut seen = SequentialMean::new(level, Population::Unlimited, Horizon::After(rounds.len()));
    rounds.iter().try_for_each(|mean| seen.add(mean.clamp(0.0, 1.0)))?;
    Ok(seen.interval())
}

/// From above Student's t with half of the risk; from below betting with the other half, which needs no assumption but the sign (a divergence that rounding
/// made negative counts as 0).
fn divergence(rounds: &[f64], risk: Risk) -> Result<Interval, CertificateError> {
    if let Some(divergence) = rounds.iter().copied().find(|divergence| !divergence.is_finite()) {
        return Err(CertificateError::Divergence { divergence });
    }
    let values = rounds.iter().map(|divergence| divergence.max(0.0));
    let bound = LowerBound::of(values, risk.part(2), Population::Unlimited, Horizon::After(rounds.len()))?;
    let high = upper_end(rounds, risk.part(2))?.max(0.0);
    let level = Level::new(1.0 - risk.get()).map_err(|_| CertificateError::TooFew { prompts: 0 })?;
    Ok(Interval { low: bound.bound().min(high), high, level, n: rounds.len() })
}
