//! SPPO, self-play preference optimization (Wu et al., arXiv 2405.00675, equations 4.3 to 4.6): multiplicative weights, each
//! iterate found by a regression.
//!
//! With samples of the last iterate `π_t` and p̂ the mean label of an answer against the others, (here) over 2η:
//!
//! ```text
//! L = 1/(2η) · [ log π(y)/π_t(y) − η (p̂ − ½) ]²
//! ∂L/∂log π(y) = (1/η) log π(y)/π_t(y) − (p̂ − ½)
//! ```
//!
//! The minimum is `π_{t+1} ∝ π_t · exp(η p(· ≻ π_t))` with the partition function taken as the constant exp(η/2), as the paper
//! does. At the first of the `num_iterations` updates π = `π_t`, and the derivative is `½ − p̂`: η says nothing. The *average* of the
//! iterates goes to an unregularised Nash policy at the rate 1/√T; the last one may circle it.

use slhf_plan::{Labels, LanguageTraining, Sppo};

use super::divergence::WeighError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, labelled};
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::sppo_derivative;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SppoLoss {
    /// η
    pub eta: f64,
    /// Updates towards one iterate.
    pub num_iterations: u32,
}

impl SppoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Sppo<LanguageTraining>) -> Self {
        Self { eta: method.eta, num_iterations: method.num_iterations }
    }
}

impl GroupLoss for SppoLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        labelled(verdicts, penalties, Labels::Soft)
    }

    fn needs_whole_groups(&self) -> bool {
        false
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(false)?;
        let derivative = |(moved, outcome): (&f64, &AnswerOutcome)| {
            let distance = moved - self.eta * (outcome.reward - outcome.baseline);
            (sppo_derivative(self.eta, *moved, outcome.reward), distance * distance / (2.0 * self.eta))
        };
        let derivatives: Vec<(f64, f64)> = group.moved().iter().zip(group.outcomes).map(derivative).collect();
        group.weighed(&derivatives, factor)
    }
}
