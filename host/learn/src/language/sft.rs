//! Supervised fine-tuning on preferred answers: the likelihood of the winner of two answers of the *reference*.
//!
//! With label ℓ of a pair, `L = −ℓ log π(y_i) − (1 − ℓ) log π(y_j)`, as the mean over all pairs of a prompt; what is
//! trained on never depends on the policy. The minimum is the exact distribution of winners,
//! `π(y) = π_ref(y) · 2 Σ_z π_ref(z) ℓ(y, z)`.

use slhf_plan::{Labels, LanguageTraining, Sft};

use super::divergence::WeighError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, labelled, log_probability};
use super::stackelberg_gda::WeighedPair;
use super::traits::PolicyName;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SftLoss {
    /// What verdicts say.
    pub labels: Labels,
}

impl SftLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Sft<LanguageTraining>) -> Self {
        Self { labels: method.labels }
    }
}

impl GroupLoss for SftLoss {
    fn sampler(&self) -> PolicyName {
        PolicyName::Reference
    }

    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        labelled(verdicts, penalties, self.labels)
    }

    fn needs_whole_groups(&self) -> bool {
        false
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(false)?;
        // Mean labels of k answers sum to k/2: twice as much of each makes the weights of an answer 1 on average.
        let derivative = |(outcome, scores): (&AnswerOutcome, &slhf_plan::PairScores)| {
            let weight = 2.0 * outcome.reward;
            (-weight, -weight * log_probability(&scores.leader))
        };
        let derivatives: Vec<(f64, f64)> = group.outcomes.iter().zip(group.scores).map(derivative).collect();
        group.weighed(&derivatives, factor)
    }
}
