//! `reward-model`: the value of a reward model's head.
//!
//! The model is one that the experiment grants: a Hugging Face folder with a sequence-classification head, or what
//! `kind = "reward-model"` trained. A head of several labels gives several values; `label` says which is the reward, and all are
//! attributes.
//!
//! ```toml
//! [method.reward]
//! plugin = "reward-model"
//! [method.reward.models.rm]
//! path = "my-reward-model"
//! ```

use serde::Deserialize;
use slhf_sdk::models::{Models, NamedValue};
use slhf_sdk::{Attribute, Candidate, Failure, JsonSchema, Manifest, Outcomes, Plugin, RewardWith, Score, manifest};

/// Parameters of `reward-model`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The label whose value is the reward; absent: the only one.
    pub label: Option<String>,
    /// What is taken off the reward of a response that the length limit cut; default: 0.
    #[schemars(range(min = 0))]
    pub missing_eos_penalty: f64,
}

/// The reward.
#[derive(Debug)]
pub struct RewardModel {
    parameters: Parameters,
}

impl Plugin for RewardModel {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("the value of a reward model's head").length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let penalty = parameters.missing_eos_penalty;
        if penalty.is_finite() && penalty >= 0.0 {
            Ok(Self { parameters })
        } else {
            Err(format!("parameter 'missing_eos_penalty' is {penalty}, it must be 0 or more").into())
        }
    }
}

impl RewardWith<dyn Models> for RewardModel {
    fn score_with(&self, batch: &[Candidate], models: &(dyn Models + 'static)) -> Outcomes<Score> {
        let model = models.only()?;
        let answers = models.score(&model, batch.iter().map(Candidate::conversation).collect());
        if answers.len() != batch.len() {
            return Err(
                format!("the model '{model}' gave {} scores to {} responses", answers.len(), batch.len()).into()
            );
        }
        let outcome =
            |(candidate, answer): (&Candidate, Result<Vec<NamedValue>, _>)| self.score_of(candidate, &answer?);
        Ok(batch.iter().zip(answers).map(outcome).collect())
    }
}

impl RewardModel {
    fn score_of(&self, candidate: &Candidate, values: &[NamedValue]) -> Result<Score, Failure> {
        let reward = match (&self.parameters.label, values) {
            (Some(label), values) => values.iter().find(|value| value.name == *label),
            (None, [value]) => Some(value),
            (None, _) => None,
        };
        let Some(reward) = reward else {
            let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
            return Err(format!("parameter 'label' names none of the model's labels: {}", names.join(", ")).into());
        };
        let penalty = if candidate.response.finished { 0.0 } else { self.parameters.missing_eos_penalty };
        let score = Score::new(reward.value - penalty);
        Ok(values.iter().fold(score, |score, value| score.with(Attribute::new(&value.name, value.value))))
    }
}

slhf_sdk::export_reward!(RewardModel, with models);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn reward(label: Option<&str>) -> RewardModel {
        let parameters = Parameters { label: label.map(str::to_owned), missing_eos_penalty: 1.0 };
        RewardModel::new(parameters).unwrap()
    }

    fn candidate(finished: bool) -> Candidate {
        let mut response = Response::new("so");
        response.finished = finished;
        Candidate::new("Q", response)
    }

    fn values(of: &[(&str, f64)]) -> Vec<NamedValue> {
        of.iter().map(|(name, value)| NamedValue { name: (*name).to_owned(), value: *value }).collect()
    }

    #[test]
    fn the_label_that_is_asked_for_is_the_reward() {
        let both = values(&[("helpful", 2.0), ("correct", -1.0)]);
        assert_eq!(reward(Some("correct")).score_of(&candidate(true), &both).unwrap().value, -1.0);
        assert_eq!(reward(None).score_of(&candidate(false), &values(&[("r", 2.0)])).unwrap().value, 1.0);
        let failure = reward(None).score_of(&candidate(true), &both).unwrap_err();
        assert!(failure.reason.contains("helpful, correct"), "{failure}");
    }

    #[test]
    fn the_response_ends_the_conversation() {
        let messages = candidate(true).conversation();
        let told: Vec<(&str, &str)> = messages.iter().map(|one| (one.role.as_str(), one.content.as_str())).collect();
        assert_eq!(told, [("user", "Q"), ("assistant", "so")]);
    }

    #[test]
    fn a_negative_penalty_is_refused() {
        let bad = RewardModel::new(Parameters { label: None, missing_eos_penalty: -1.0 });
        assert!(bad.is_err_and(|failure| failure.reason.contains("missing_eos_penalty")));
    }
}
