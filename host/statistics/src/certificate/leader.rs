//! The Leader's gap.

use super::error::{CertificateError, temperature};
use super::value::{ValueBounds, ValueSamples};
use crate::sample::{Interval, Level, Sample};
use crate::sequential::{Horizon, LowerBound, Population, Risk};

/// log(2/0.05): an answer of this probability times 1/M is missed by M samples once in forty times.
const MISSED: f64 = 3.7;

/// What was sampled for one prompt. Every answer of the Leader's side has the preferences of its own independent answers of the Follower's
/// reference.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderPrompt {
    /// M independent answers of the Leader's reference: P(y, y′) of each one's y′.
    pub reference: Vec<Vec<f64>>,
    /// Independent answers of the Leader, likewise.
    pub own: Vec<Vec<f64>>,
    /// `KL(π ‖ π_ref)` along answers of the Leader, in nats.
    pub divergences: Vec<f64>,
}

/// The upper end of the Leader's gap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpperEnd {
    /// So much at most.
    At(f64),
    /// An answer that none of the samples showed could be worth more than all that was seen: nothing can be said from above.
    NotBounded {
        /// So many answers of the Leader's reference a prompt would do.
        samples_needed: f64,
    },
}

/// Bounds of the Leader's gap. All of it is *asymptotic*: prompts are a sample, and Student's t is taken over them.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderCertificate {
    /// The lower end, not below 0.
    pub low: f64,
    /// The upper end.
    pub high: UpperEnd,
    /// What the Leader's objective may reach, `τ_L log E_{π_ref} exp(f/τ_L)`, as its samples guess it: the mean over prompts.
    pub value_estimate: f64,
}

/// Bounds of the Leader's gap: a third of the risk each for f (δ/(2N) for each side of each of N answers), for the mean of `exp(f/τ_L)` under the
/// reference (δ/(2·prompts) for each side of each prompt), and for what the Leader has, `E_π f − τ_L KL`, over prompts.
///
/// From above only where an answer that M samples missed could not be worth more than what was seen, `1 − τ_L log(M/3.7)` below the
/// estimate.
pub fn leader_certificate(
    prompts: &[LeaderPrompt],
    temperature_follower: f64,
    temperature_leader: f64,
    level: Level,
) -> Result<LeaderCertificate, CertificateError> {
    let (tau_f, tau_l) = (temperature(temperature_follower)?, temperature(temperature_leader)?);
    let sampled = prompts.iter().filter(|prompt| prompt.is_sampled()).count();
    if sampled < prompts.len() || prompts.len() < 2 {
        return Err(CertificateError::TooFew { prompts: sampled });
    }
    let third = Risk::of(level).part(3);
    let answers: usize = prompts.iter().map(|prompt| prompt.reference.len() + prompt.own.len()).sum();
    let bounds = |answers_of: &[Vec<f64>]| {
        let of = |reference: &Vec<f64>| ValueSamples { reference, own: &[] }.bounds(tau_f, third.part(answers));
        answers_of.iter().map(of).collect::<Result<Vec<ValueBounds>, _>>()
    };
    let (mut reach, mut has) = (Vec::new(), Vec::new());
    for prompt in prompts {
        reach.push(Reach::of(&bounds(&prompt.reference)?, tau_l, third.part(prompts.len()))?);
        has.push(Has::of(&bounds(&prompt.own)?, &prompt.divergences, tau_l)?);
    }
    let of_third = Level::new(1.0 - third.get()).unwrap_or(level);
    let has_low = over_prompts(has.iter().map(|has| has.low), of_third)?.low;
    let has_high = over_prompts(has.iter().map(|has| has.high), of_third)?.high;
    let mean = |of: fn(&Reach) -> f64| reach.iter().map(of).sum::<f64>() / reach.len() as f64;
    let value_estimate = mean(|reach| reach.estimate);
    let fewest = prompts.iter().map(|prompt| prompt.reference.len()).min().unwrap_or(0);
    let high = if 1.0 - tau_l * (fewest as f64 / MISSED).ln() < value_estimate {
        UpperEnd::At((mean(|reach| reach.high) - has_low).max(0.0))
    } else {
        UpperEnd::NotBounded { samples_needed: (MISSED * ((1.0 - value_estimate) / tau_l).exp()).floor() + 1.0 }
    };
    Ok(LeaderCertificate { low: (mean(|reach| reach.low) - has_high).max(0.0), high, value_estimate })
}

impl LeaderPrompt {
    fn is_sampled(&self) -> bool {
        let all = || self.reference.iter().chain(&self.own);
        !(self.reference.is_empty() || self.own.is_empty() || self.divergences.is_empty())
            && all().all(|one| !one.is_empty())
    }
}

/// `τ_L log E_{π_ref} exp(f/τ_L)` of one prompt.
struct Reach {
    low: f64,
    high: f64,
    estimate: f64,
}

impl Reach {
    /// By betting on `h = (exp(f/τ) − 1) / (exp(1/τ) − 1)`, which lies in [0, 1], with the bounds of f in its place: where they hold they make
    /// each factor of the capital smaller, whatever is staked.
    fn of(values: &[ValueBounds], tau: f64, risk: Risk) -> Result<Self, CertificateError> {
        // In units of exp(1/τ), which may overflow, and in differences from 1: 1 − h = (1 − exp((f − 1)/τ)) / (1 − e^{−1/τ}).
        let range = (-1.0 / tau).exp_m1();
        let unit = |value: f64| (1.0 - ((value - 1.0) / tau).exp_m1() / range).clamp(0.0, 1.0);
        let reached = |unit: f64| (1.0 + tau * (range * (1.0 - unit)).ln_1p()).clamp(0.0, 1.0);
        let bound = |units: &mut dyn Iterator<Item = f64>| {
            let horizon = Horizon::After(values.len());
            LowerBound::of(units, risk.part(2), Population::Unlimited, horizon).map(|bound| bound.bound())
        };
        let low = bound(&mut values.iter().map(|value| unit(value.low)))?;
        let high = 1.0 - bound(&mut values.iter().map(|value| 1.0 - unit(value.high)))?;
        let middle = |value: &ValueBounds| unit(f64::midpoint(value.low, value.high));
        let estimate = reached(values.iter().map(middle).sum::<f64>() / values.len() as f64);
        Ok(Self { low: reached(low), high: reached(high), estimate })
    }
}

/// `E_π f − τ_L KL(π ‖ π_ref)` of one prompt, as its samples say.
struct Has {
    low: f64,
    high: f64,
}

impl Has {
    fn of(values: &[ValueBounds], divergences: &[f64], tau: f64) -> Result<Self, CertificateError> {
        if let Some(divergence) = divergences.iter().copied().find(|divergence| !divergence.is_finite()) {
            return Err(CertificateError::Divergence { divergence });
        }
        let cost = tau * crate::sample::mean(divergences);
        let mean = |of: fn(&ValueBounds) -> f64| values.iter().map(of).sum::<f64>() / values.len() as f64;
        Ok(Self { low: mean(|value| value.low) - cost, high: mean(|value| value.high) - cost })
    }
}

fn over_prompts(values: impl Iterator<Item = f64>, level: Level) -> Result<Interval, CertificateError> {
    let values: Vec<f64> = values.collect();
    let prompts = values.len();
    let interval = Sample::new(values).ok().and_then(|sample| sample.mean_interval(level));
    interval.ok_or(CertificateError::TooFew { prompts })
}
