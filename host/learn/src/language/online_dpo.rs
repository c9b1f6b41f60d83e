//! Online DPO (Guo et al., arXiv 2402.04792; DPO: Rafailov et al., arXiv 2305.18290, equation 7) with the judge as annotator.
//!
//! Of two answers of the current policy with label ℓ = P(`y_i` wins),
//!
//! ```text
//! L = −ℓ log σ(β h) − (1 − ℓ) log σ(−β h),     h = log π(y_i)/π_ref(y_i) − log π(y_j)/π_ref(y_j)
//! ∂L/∂log π(y_i) = −β [ℓ − σ(β h)],            the opposite for y_j
//! ```
//!
//! as the mean over all pairs of a prompt, the published loss whole. With samples of π itself the fixed point is the Bradley–Terry fit to the
//! verdicts *among its own answers*: in general neither the RLHF solution nor a Nash policy.

use slhf_plan::{Labels, LanguageTraining, OnlineDpo};

use super::divergence::WeighError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, labelled, mean_of_pairs};
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::{dpo_derivative, softplus_of_minus};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnlineDpoLoss {
    /// β
    pub beta: f64,
    /// What verdicts say.
    pub labels: Labels,
}

impl OnlineDpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &OnlineDpo<LanguageTraining>) -> Self {
        Self { beta: method.training.beta, labels: method.labels }
    }
}

impl GroupLoss for OnlineDpoLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        labelled(verdicts, penalties, self.labels)
    }

    fn needs_whole_groups(&self) -> bool {
        true
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(false)?;
        let (ratios, beta) = (group.log_ratios(), self.beta);
        // Linear in the label: the mean of the derivatives over the others is the mean label's and theirs.
        let expected = mean_of_pairs(ratios.len(), |i, j| dpo_derivative(beta, ratios[i] - ratios[j], 0.0));
        // −ℓ log σ(z) − (1 − ℓ) log σ(−z) = −log σ(z) + (1 − ℓ) z. With three answers or more the mean label stands for the
        // pair's: the reported loss, not the derivative, is then approximate.
        let costs = mean_of_pairs(ratios.len(), |i, j| {
            let z = beta * (ratios[i] - ratios[j]);
            softplus_of_minus(z) + (1.0 - group.outcomes[i].reward) * z
        });
        let derivative = |i: usize| (expected[i] - 2.0 * beta * group.outcomes[i].reward, costs[i]);
        let derivatives: Vec<(f64, f64)> = (0..ratios.len()).map(derivative).collect();
        group.weighed(&derivatives, factor)
    }
}
