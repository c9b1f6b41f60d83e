//! INPO, iterative Nash policy optimization (Zhang et al., arXiv 2407.00617, section 3, equations 9 to 11): online mirror
//! descent in the regularised preference game, each iterate found by a regression on pairs.
//!
//! With samples of the last iterate `π_t`, label ℓ, τ = β, and (here) times η/4, as the mean over all pairs of a prompt:
//!
//! ```text
//! h = Δ log π − (τ/η) Δ log π_ref − (1 − τ/η) Δ log π_t,       Δ f = f(y_i) − f(y_j)
//! L = η/4 · [ h − (ℓ − ½)/η ]²
//! ∂L/∂log π(y_i) = ½ [ η h − (ℓ − ½) ],                        the opposite for y_j
//! ```
//!
//! The minimum is `π_{t+1} ∝ π_t^(1 − τ/η) · π_ref^(τ/η) · exp(Pπ_t / η)`, whose fixed point is the regularised Nash policy at
//! τ, reached by the last iterate. At the first of the `num_iterations` updates π = `π_t`, and the derivative is
//! online IPO's, and η says nothing.

use slhf_plan::{Inpo, Labels, LanguageTraining};

use super::divergence::WeighError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, labelled};
use super::online_ipo::squares;
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::inpo_margin;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InpoLoss {
    /// τ
    pub beta: f64,
    /// η ≥ τ
    pub eta: f64,
    /// Updates towards one iterate.
    pub num_iterations: u32,
    /// What verdicts say.
    pub labels: Labels,
}

impl InpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Inpo<LanguageTraining>) -> Self {
        Self {
            beta: method.training.beta,
            eta: method.eta,
            num_iterations: method.num_iterations,
            labels: method.labels,
        }
    }
}

impl GroupLoss for InpoLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        labelled(verdicts, penalties, self.labels)
    }

    fn needs_whole_groups(&self) -> bool {
        true
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(false)?;
        let margin = |(moved, ratio): (&f64, &f64)| inpo_margin(self.eta, self.beta, *moved, *ratio);
        let margins: Vec<f64> = group.moved().iter().zip(&group.log_ratios()).map(margin).collect();
        let distances: Vec<f64> = margins.iter().map(|margin| margin / self.eta).collect();
        group.weighed(&squares(&margins, &distances, group.outcomes), factor)
    }
}
