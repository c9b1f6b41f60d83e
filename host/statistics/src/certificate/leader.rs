//! The Leader's gap.

use super::error::{CertificateError, temperature};
use super::tilted::TiltedMean;
use super::upper_end::upper_end;
use super::value::{ValueBounds, ValueSamples};
use crate::sample::{Level, mean};
use crate::sequential::{Risk, SequentialError};

/// log(2/0.05): an answer of this probability times 1/M is missed by M samples once in forty times.
const MISSED: f64 = 3.7;
/// What a bound by betting makes of it: at most this share of the capital is lost with one sample.
const STAKE_MAX: f64 = 0.75;

/// What was sampled for one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderPrompt {
    /// Independent answers of the Leader's reference: P(y, y′) of independent answers y′ of the Follower's reference to each.
    pub reference: Vec<Vec<f64>>,
    /// Independent answers of the Leader; as many for every prompt, two or more.
    pub own: Vec<LeaderAnswer>,
    /// f of an answer of the Leader, as many samples have it ([`ValueBounds::estimate`]): the estimate alone depends on it.
    pub committed: f64,
}

/// An answer y of the Leader, with an answer of the Follower's reference and one of the Follower to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeaderAnswer {
    /// P(y, y′) of the answer of the Follower's reference.
    pub against_reference: f64,
    /// P(y, y′) of the Follower's.
    pub against_follower: f64,
    /// `KL(π ‖ π_ref)` along y, in nats: the sum over tokens of the exact divergence at each.
    pub divergence: f64,
    /// `KL(ω ‖ ω_ref)` along the Follower's, likewise.
    pub follower_divergence: f64,
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

/// Bounds of the Leader's gap, given the prompts. All of it is *asymptotic*: divergences are bounded by Student's t.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderCertificate {
    /// The lower end, not below 0.
    pub low: f64,
    /// The upper end, where it says anything.
    pub high: UpperEnd,
    /// The upper end whether it says anything or not: as if a value of 1 were there wherever samples cannot rule it out.
    pub most: f64,
    /// The gap as the samples have it, within its bounds.
    pub estimate: f64,
    /// What the Leader's objective may reach, `τ_L log E_{π_ref} exp(f/τ_L)`, as its samples guess it: the mean over prompts.
    pub value_estimate: f64,
}

/// Bounds of the Leader's gap, a third of the risk each for
///
/// - f of the reference's answers: δ/(2N) for each side of each of N answers;
/// - what the Leader may reach, `τ_L log E_{π_ref} exp(f/τ_L)`: δ/(2·prompts) for each side of each prompt;
/// - what it has, `E_π f − τ_L KL`, of which no answer's f is needed. From above `f(y) ≤ E_ω P + τ_F KL(ω ‖ ω_ref)` for whatever Follower: the trained one is
///   best at it. From below `E_π f ≥ −τ_F log E_π E_{ω_ref} exp(−P/τ_F)`, prompt by prompt, as −log is convex.
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
    if sampled < prompts.len() || prompts.is_empty() {
        return Err(CertificateError::TooFew { prompts: sampled });
    }
    let third = Risk::of(level).part(3);
    let answers: usize = prompts.iter().map(|prompt| prompt.reference.len()).sum();
    let mut reach = Vec::new();
    for prompt in prompts {
        let of = |reference: &Vec<f64>| ValueSamples { reference, own: &[] }.bounds(tau_f, third.part(answers));
        let values = prompt.reference.iter().map(of).collect::<Result<Vec<ValueBounds>, _>>()?;
        reach.push(Reach::of(&values, tau_l, third.part(prompts.len()))?);
    }
    let has = Has::of(prompts, (tau_f, tau_l), third)?;
    let reached = |of: fn(&Reach) -> f64| reach.iter().map(of).sum::<f64>() / reach.len() as f64;
    let value_estimate = reached(|reach| reach.estimate);
    let fewest = prompts.iter().map(|prompt| prompt.reference.len()).min().unwrap_or(0);
    let low = (reached(|reach| reach.low) - has.high).max(0.0);
    let most = (reached(|reach| reach.high) - has.low).max(low);
    let high = if 1.0 - tau_l * (fewest as f64 / MISSED).ln() < value_estimate {
        UpperEnd::At(most)
    } else {
        // The bounds' own log(1/α), α being what one side of one prompt's bound may be wrong with.
        let missed = -third.part(prompts.len()).part(2).get().ln() / STAKE_MAX;
        UpperEnd::NotBounded { samples_needed: (missed * ((1.0 - value_estimate) / tau_l).exp()).floor() + 1.0 }
    };
    let committed = prompts.iter().map(|prompt| prompt.committed).sum::<f64>() / prompts.len() as f64;
    let estimate = (value_estimate - (committed - has.cost_estimate)).clamp(low, most);
    Ok(LeaderCertificate { low, high, most, estimate, value_estimate })
}

impl LeaderPrompt {
    fn is_sampled(&self) -> bool {
        self.own.len() >= 2 && !self.reference.is_empty() && self.reference.iter().all(|one| !one.is_empty())
    }
}

/// `τ_L log E_{π_ref} exp(f/τ_L)` of one prompt.
struct Reach {
    low: f64,
    high: f64,
    estimate: f64,
}

impl Reach {
    /// With the bounds of f in its place: where they hold they make each factor of the capital smaller, whatever is staked.
    fn of(values: &[ValueBounds], tau: f64, risk: Risk) -> Result<Self, CertificateError> {
        let tilted = TiltedMean { temperature: tau };
        let all = |of: fn(&ValueBounds) -> f64| values.iter().map(of).collect::<Vec<f64>>();
        let low = tilted.low(&all(|value| value.low), risk.part(2))?;
        let high = tilted.high(&all(|value| value.high), risk.part(2))?;
        Ok(Self { low, high, estimate: tilted.estimate(&all(|value| value.estimate)) })
    }
}

/// `E_π f − τ_L KL(π ‖ π_ref)`, the mean over prompts.
struct Has {
    low: f64,
    high: f64,
    /// `τ_L KL(π ‖ π_ref)`.
    cost_estimate: f64,
}

impl Has {
    fn of(prompts: &[LeaderPrompt], (tau_f, tau_l): (f64, f64), risk: Risk) -> Result<Self, CertificateError> {
        let one_side = risk.part(2);
        let attained = rounds(prompts, |answer| {
            answer.against_follower + tau_f * answer.follower_divergence - tau_l * answer.divergence
        })?;
        let costs = rounds(prompts, |answer| tau_l * answer.divergence)?;
        // Two sides: of a one-sided bound with a risk the interval with twice as much is the end.
        let high = upper_end(&attained, one_side)?;
        let cost = upper_end(&costs, one_side.part(2))?;
        let tilted = TiltedMean { temperature: tau_f };
        let mut sum = 0.0;
        for prompt in prompts {
            let gains: Vec<f64> = prompt.own.iter().map(|answer| 1.0 - answer.against_reference).collect();
            if let Some(at) = gains.iter().position(|gain| !(0.0..=1.0).contains(gain)) {
                let (value, expected) = (prompt.own[at].against_reference, "a probability, from 0 to 1");
                return Err(SequentialError::Value { number: at + 1, value, expected }.into());
            }
            sum += 1.0 - tilted.high(&gains, one_side.part(2).part(prompts.len()))?;
        }
        Ok(Self { low: sum / prompts.len() as f64 - cost, high, cost_estimate: mean(&costs) })
    }
}

/// The means over prompts of what their first answers have, their second ones, and so on: independent, and not varying as prompts differ from each
/// other.
fn rounds(prompts: &[LeaderPrompt], of: impl Fn(&LeaderAnswer) -> f64) -> Result<Vec<f64>, CertificateError> {
    let many = prompts.iter().map(|prompt| prompt.own.len()).min().unwrap_or(0);
    let mut means = Vec::with_capacity(many);
    for round in 0..many {
        let sum: f64 = prompts.iter().map(|prompt| of(&prompt.own[round])).sum();
        if !sum.is_finite() {
            return Err(CertificateError::Divergence { divergence: sum });
        }
        means.push(sum / prompts.len() as f64);
    }
    Ok(means)
}
