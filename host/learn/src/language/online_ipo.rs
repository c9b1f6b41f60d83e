//! Online IPO (Calandriello et al., arXiv 2403.08635, sections 3 and 4; IPO: Azar et al., arXiv 2310.12036, equation 17).
//!
//! Of two answers of the current policy with label ℓ, the loss (the published one times β/4, so that its gradient is a policy
//! gradient and stays finite at β = 0) and its derivative are
//!
//! ```text
//! L = β/4 · [ h − (ℓ − ½)/β ]²,                h = log π(y_i)/π_ref(y_i) − log π(y_j)/π_ref(y_j)
//! ∂L/∂log π(y_i) = ½ [ β h − (ℓ − ½) ],        the opposite for y_j
//! ```
//!
//! as the mean over all pairs of a prompt; the samples are not differentiated. In expectation over two answers of π this is
//! self-play's policy gradient with its KL term (the paper's proposition), the size included: a learning rate does what it
//! does with RLOO on verdicts. So the fixed point is
//! `π ∝ π_ref · exp(Pπ / β)`: the regularised Nash policy at τ = β.

use slhf_plan::{Labels, LanguageTraining, OnlineIpo};

use super::divergence::WeighError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, labelled, mean_differences, mean_of_pairs};
use super::stackelberg_gda::WeighedPair;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnlineIpoLoss {
    /// β
    pub beta: f64,
    /// What verdicts say.
    pub labels: Labels,
}

impl OnlineIpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &OnlineIpo<LanguageTraining>) -> Self {
        Self { beta: method.training.beta, labels: method.labels }
    }
}

impl GroupLoss for OnlineIpoLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        labelled(verdicts, penalties, self.labels)
    }

    fn needs_whole_groups(&self) -> bool {
        true
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(false)?;
        let ratios = group.log_ratios();
        let margins: Vec<f64> = ratios.iter().map(|ratio| self.beta * ratio).collect();
        group.weighed(&squares(&margins, &ratios, group.outcomes), factor)
    }
}

/// Derivatives and losses of `w/4 [h − (ℓ − ½)/w]²` over the pairs of a prompt, `h` the difference of two answers' `distances` and
/// w h that of their `margins`. The losses lack the square of the label, a constant that is infinite at w = 0; with three
/// answers or more the mean label stands for the pair's there.
pub(crate) fn squares(margins: &[f64], distances: &[f64], outcomes: &[AnswerOutcome]) -> Vec<(f64, f64)> {
    let wanted: Vec<f64> = outcomes.iter().map(|outcome| outcome.reward - outcome.baseline).collect();
    let differences = mean_differences(margins);
    let costs = mean_of_pairs(margins.len(), |i, j| {
        let h = distances[i] - distances[j];
        0.25 * h * (margins[i] - margins[j]) - 0.5 * h * wanted[i]
    });
    differences.iter().zip(&wanted).zip(costs).map(|((difference, wanted), cost)| (difference - wanted, cost)).collect()
}
