//! A judge on trial: what its verdicts on pairs say of the judge itself.
//!
//! Every pair is asked in both orders, several times with other draws. Prompts are the independent units: what is said of one
//! prompt's pairs goes together. Shares have the interval of shares ([`crate::ratio_of_sums`]); all else is a smooth function of
//! sums over prompts and has the delete-one-prompt jackknife's standard error with Student's t. The jackknife needs no seed, errs on the wide
//! side where few prompts decide (Efron & Stein 1981), and serves means, regressions and κ alike. `tests/audit.rs` holds the coverage.
//!
//! ```
//! use slhf_statistics::{Audit, AuditSettings, AuditedPair, AuditedPrompt};
//!
//! // Whatever stands first gets .1 more.
//! let pair = |p: f64| AuditedPair { first: 0, second: 1, draws: vec![[p + 0.1, 1.0 - p + 0.1]], label: None };
//! let prompts: Result<Vec<_>, _> =
//!     [0.3, 0.5, 0.6].map(|p| AuditedPrompt::new(vec![10.0, 12.0], vec![pair(p)])).into_iter().collect();
//! let audit = Audit::of(&prompts?, AuditSettings::default());
//! assert!((audit.position.expect("pairs").value - 0.2).abs() < 1e-12);
//! # Ok::<(), slhf_statistics::StatisticsError>(())
//! ```

mod agreement;
mod cyclic_part;
mod jackknife;
mod length;
mod noise;
mod prompt;
mod settings;
mod triples;

pub use agreement::{Agreement, Calibration, ReliabilityBin, TwoVerdicts};
pub use cyclic_part::{CYCLIC_PROBABILITY_MAX, CYCLIC_PROBABILITY_MIN, CyclicPart};
pub use length::{LengthBias, LengthGroup};
pub use noise::Noise;
pub use prompt::{AuditedPair, AuditedPrompt};
pub use settings::{AuditSettings, Repeats};
pub use triples::Triples;

use crate::ratio::Estimate;

/// What was found about a judge; each part `None` where its pairs say nothing of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Prompts with a pair.
    pub prompts: usize,
    /// Pairs with a verdict in both orders.
    pub pairs: usize,
    /// Mean of p(a, b) + p(b, a) − 1: above 0 where the first response gains by its place.
    pub position: Option<Estimate>,
    /// What length gains.
    pub length: Option<LengthBias>,
    /// How far the same pair's verdicts differ.
    pub noise: Option<Noise>,
    /// Triples of responses that go around.
    pub triples: Option<Triples>,
    /// What of the preferences no score of single responses can say.
    pub cyclic_part: Option<CyclicPart>,
    /// Against labels.
    pub agreement: Option<Agreement>,
}

impl Audit {
    /// All of it.
    #[must_use]
    pub fn of(prompts: &[AuditedPrompt], settings: AuditSettings) -> Self {
        Self {
            prompts: prompts.iter().filter(|prompt| !prompt.pairs().is_empty()).count(),
            pairs: prompts.iter().map(|prompt| prompt.pairs().len()).sum(),
            position: position(prompts),
            length: LengthBias::of(prompts),
            noise: Noise::of(prompts, settings.repeats),
            triples: Triples::of(prompts, settings),
            cyclic_part: CyclicPart::of(prompts, settings.repeats),
            agreement: Agreement::of(prompts, settings),
        }
    }
}

fn position(prompts: &[AuditedPrompt]) -> Option<Estimate> {
    let sums = |prompt: &AuditedPrompt| {
        let bias: f64 = prompt.pairs().iter().map(AuditedPair::order_bias).sum();
        [bias, prompt.pairs().len() as f64]
    };
    jackknife::ratio(prompts.iter().map(sums))
}
