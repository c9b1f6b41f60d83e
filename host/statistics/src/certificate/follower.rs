//! The Follower's gap.

use super::error::{CertificateError, temperature};
use super::value::{OwnAnswer, ValueBounds, ValueSamples};
use crate::sample::{Interval, Level, Sample};
use crate::sequential::{Horizon, Population, Risk, SequentialMean};

/// What was sampled for one pair of a prompt and an answer of the Leader.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerPair {
    /// P(y, y′) of M independent answers of the Follower's reference.
    pub reference: Vec<f64>,
    /// Independent answers of the Follower, as many for every pair.
    pub own: Vec<OwnAnswer>,
    /// `KL(ω ‖ ω_ref)` along answers of the Follower, in nats: sums over tokens of the exact divergence at each.
    pub divergences: Vec<f64>,
}

/// Bounds of the Follower's gap, given the pairs; all at once with the level's probability, asymptotically (the divergence's interval is).
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerCertificate {
    /// Of the gap, not below 0. *Asymptotic.*
    pub gap: Interval,
    /// Of `E_ω P`, the mean over pairs.
    pub preference: Interval,
    /// Of the divergence, the mean over prompts, in nats. *Asymptotic*: Student's t.
    pub divergence: Interval,
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
/// `E_ω P` is bounded by the k-th answers of all pairs together: their means are independent, lie in [0, 1], and have the mean over pairs as
/// their expectation.
pub fn follower_certificate(
    pairs: &[FollowerPair],
    temperature_follower: f64,
    level: Level,
) -> Result<FollowerCertificate, CertificateError> {
    let tau = temperature(temperature_follower)?;
    let sampled = pairs.iter().filter(|pair| pair.is_sampled()).count();
    if sampled < pairs.len() || pairs.len() < 2 {
        return Err(CertificateError::TooFew { prompts: sampled });
    }
    let third = Risk::of(level).part(3);
    let of_third = Level::new(1.0 - third.get()).unwrap_or(level);
    let values = pairs
        .iter()
        .map(|pair| ValueSamples { reference: &pair.reference, own: &pair.own }.bounds(tau, third.part(pairs.len())))
        .collect::<Result<Vec<_>, _>>()?;
    let value = mean_value(&values, of_third);
    let preference = preference(pairs, of_third)?;
    let divergence = divergence(pairs.iter().map(|pair| pair.divergences.as_slice()), of_third)?;
    let low = preference.low + tau * divergence.low - value.high;
    let high = preference.high + tau * divergence.high - value.low;
    let gap = Interval { low: low.max(0.0), high: high.max(0.0), level, n: pairs.len() };
    Ok(FollowerCertificate { gap, preference, divergence, value, values })
}

impl FollowerPair {
    fn is_sampled(&self) -> bool {
        !(self.reference.is_empty() || self.own.is_empty() || self.divergences.is_empty())
    }
}

/// Of the mean over pairs, each bound being right at once with the others.
fn mean_value(values: &[ValueBounds], level: Level) -> Interval {
    let n = values.len();
    let mean = |of: fn(&ValueBounds) -> f64| values.iter().map(of).sum::<f64>() / n as f64;
    Interval { low: mean(|value| value.low), high: mean(|value| value.high), level, n }
}

fn preference(pairs: &[FollowerPair], level: Level) -> Result<Interval, CertificateError> {
    let answers = pairs.iter().map(|pair| pair.own.len()).min().unwrap_or(0);
    let mut seen = SequentialMean::new(level, Population::Unlimited, Horizon::After(answers));
    for answer in 0..answers {
        let sum: f64 = pairs.iter().map(|pair| pair.own[answer].preference).sum();
        seen.add((sum / pairs.len() as f64).clamp(0.0, 1.0))?;
    }
    Ok(seen.interval())
}

/// Student's t over prompts, of the mean along each one's answers; not below 0.
fn divergence<'a>(divergences: impl Iterator<Item = &'a [f64]>, level: Level) -> Result<Interval, CertificateError> {
    let mut means = Vec::new();
    for of_prompt in divergences {
        if let Some(divergence) = of_prompt.iter().copied().find(|divergence| !divergence.is_finite()) {
            return Err(CertificateError::Divergence { divergence });
        }
        means.push(crate::sample::mean(of_prompt));
    }
    let prompts = means.len();
    let interval = Sample::new(means).ok().and_then(|sample| sample.mean_interval(level));
    let interval = interval.ok_or(CertificateError::TooFew { prompts })?;
    Ok(Interval { low: interval.low.max(0.0), high: interval.high.max(0.0), ..interval })
}
