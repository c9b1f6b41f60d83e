//! How far the verdicts on one pair differ from draw to draw.

use super::jackknife;
use super::prompt::AuditedPrompt;
use super::settings::Repeats;
use crate::ratio::{Estimate, ratio_of_sums};

/// Of one pair in one order, with other draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Within a pair; a verdict is a probability.
    pub standard_deviation: Estimate,
    /// Of two draws on the same pair, the share that prefer different responses.
    pub flips: Estimate,
}

impl Noise {
    /// `None` where no pair was drawn twice.
    pub(super) fn of(prompts: &[AuditedPrompt], repeats: Repeats) -> Option<Self> {
        if repeats == Repeats::Steady {
            return None;
        }
        let variance = jackknife::ratio(prompts.iter().map(|prompt| {
            let mut sums = [0.0; 2];
            each(prompt, |draws| {
                let mean = draws.iter().sum::<f64>() / draws.len() as f64;
                let squares: f64 = draws.iter().map(|draw| (draw - mean).powi(2)).sum();
                // A judge that says the same has none: rounding is no noise.
                let variance = squares / (draws.len() - 1) as f64;
                sums[0] += if variance < 1e-24 { 0.0 } else { variance };
                sums[1] += 1.0;
            });
            sums
        }))?;
        let flips = prompts.iter().map(|prompt| {
            let mut sums = (0.0, 0.0);
            each(prompt, |draws| {
                for (place, one) in draws.iter().enumerate() {
                    for other in &draws[place + 1..] {
                        sums.0 += f64::from((one - 0.5) * (other - 0.5) < 0.0);
                        sums.1 += 1.0;
                    }
                }
            });
            sums
        });
        let flips: Vec<(f64, f64)> = flips.filter(|(_, pairs)| *pairs > 0.0).collect();
        Some(Self { standard_deviation: root(variance), flips: ratio_of_sums(&flips)? })
    }
}

/// The draws on each pair in each order, where there are two.
fn each(prompt: &AuditedPrompt, mut see: impl FnMut(&[f64])) {
    for pair in prompt.pairs().iter().filter(|pair| pair.draws.len() > 1) {
        for order in 0..2 {
            see(&pair.draws.iter().map(|draw| draw[order]).collect::<Vec<f64>>());
        }
    }
}

fn root(variance: Estimate) -> Estimate {
    let root = |value: f64| value.max(0.0).sqrt();
    let interval = variance.interval.map(|mut interval| {
        (interval.low, interval.high) = (root(interval.low), root(interval.high));
        interval
    });
    Estimate { value: root(variance.value), interval, ..variance }
}
