//! RLHF's own reward: a linear Bradley–Terry model of the judge, fit before the first step.
//!
//! The reference answers training prompts twice, in the run's own order of prompts; the judge compares each pair in both orders,
//! so that its label is ½ [p(a ≻ b) + 1 − p(b ≻ a)]; and `r(x, y) = w · φ(x, y)` is fit to the labels by maximum likelihood,
//! P(a ≻ b) = σ(r(x, a) − r(x, b)), with a penalty on w. φ is [`LanguagePolicies::features`]: the reward model is a linear probe
//! of the reference, so that the fit is convex, exact, and the same bits every time.
//!
//! Sources: Bradley & Terry 1952; the pipeline: Christiano et al., arXiv 1706.03741; Ouyang et al., arXiv 2203.02155.
//!
//! Labels say nothing of the level of rewards. It is chosen so that the mean reward of the answers that were fit to is 0: a step's
//! mean reward is then how far its answers are above the reference's.

use serde::{Deserialize, Serialize};

use super::failure::StepError;
use super::settings::Settings;
use super::traits::{Answer, LanguagePolicies, Prompt};

/// `r(x, y) = w · φ(x, y) − origin`, in nats of log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RewardModel {
    weights: Vec<f64>,
    origin: f64,
}

/// One an answer, in order, and the floating-point operations that they took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rewards {
    pub(crate) values: Vec<f64>,
    pub(crate) operations: f64,
}

impl RewardModel {
    pub(crate) fn new(weights: Vec<f64>, origin: f64) -> Self {
        Self { weights, origin }
    }

    /// Every reward is finite.
    pub(crate) fn rewards(
        &self,
        policies: &mut dyn LanguagePolicies,
        settings: &Settings,
        answers: &[(&Prompt, &Answer)],
    ) -> Result<Rewards, StepError> {
        let read = read(policies, settings, answers, Some(self.weights.len()))?;
        let mut values = Vec::with_capacity(answers.len());
        for (vector, (prompt, _)) in read.vectors.iter().zip(answers) {
            let value = self.reward(vector);
            if !value.is_finite() {
                return Err(StepError::Reward { prompt: prompt.id, value });
            }
            values.push(value);
        }
        Ok(Rewards { values, operations: read.operations })
    }

    fn reward(&self, features: &[f32]) -> f64 {
        features.iter().zip(&self.weights).map(|(feature, weight)| f64::from(*feature) * weight).sum::<f64>()
            - self.origin
    }
}

/// Features of answers, all of one length.
pub(crate) struct Read {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) dimension: usize,
    pub(crate) operations: f64,
}

/// Features, micro-batch by micro-batch, each of `dimension` numbers (`None`: of as many as the first).
pub(crate) fn read(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    answers: &[(&Prompt, &Answer)],
    dimension: Option<usize>,
) -> Result<Read, StepError> {
    let mut read = Read { vectors: Vec::with_capacity(answers.len()), dimension: 0, operations: 0.0 };
    for batch in answers.chunks(settings.training.micro_batch_size as usize) {
        let doing = "reading responses for the reward model";
        let found = policies.features(batch).map_err(|source| StepError::Policies { doing, source })?;
        let (count, expected) = (found.vectors.len(), batch.len());
        if count != expected {
            return Err(StepError::Count { what: "vectors of features", found: count, expected });
        }
        read.vectors.extend(found.vectors);
        read.operations += found.operations;
    }
    read.dimension = dimension.or(read.vectors.first().map(Vec::len)).unwrap_or(0);
    match read.vectors.iter().find(|vector| vector.len() != read.dimension) {
        Some(other) => {
            Err(StepError::Count { what: "features of a response", found: other.len(), expected: read.dimension })
        }
        None => Ok(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reward_is_linear_in_the_features_and_has_an_origin() {
        assert_eq!(RewardModel::new(vec![2.0, -1.0], 0.5).reward(&[1.5, 4.0]), -1.5);
    }
}
