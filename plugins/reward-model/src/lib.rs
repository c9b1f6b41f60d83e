//! `reward-model`: the value of a reward model's head.
//!
//! The model is one that the experiment grants: a Hugging Face folder with a sequence-classification head, or what
//! `kind = "reward-model"` trained. A head of several labels gives several values; `label` says which is the reward, and all are
//! attributes. `of = "mean"` takes the mean of all values of all granted models: one reward out of a committee.
//!
//! ```toml
//! [method.reward]
//! plugin = "reward-model"
//! [method.reward.models.rm]
//! path = "my-reward-model"
//! ```

use serde::Deserialize;
use slhf_sdk::models::{Fault, Models, NamedValue};
use slhf_sdk::{Attribute, Candidate, Failure, JsonSchema, Manifest, Outcomes, Plugin, RewardWith, Score, manifest};

/// Which values are the reward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The one of `label`, or the only one.
    #[default]
    One,
    /// The mean of all.
    Mean,
}

/// Parameters of `reward-model`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The label whose value is the reward; absent: the only one.
    pub label: Option<String>,
    /// Which values are the reward; default: one.
    pub of: Of,
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
        if parameters.of == Of::Mean && parameters.label.is_some() {
            Err("parameter 'label' names one value, but parameter 'of' is \"mean\": remove one of them".into())
        } else if penalty.is_finite() && penalty >= 0.0 {
            Ok(Self { parameters })
        } else {
            Err(format!("parameter 'missing_eos_penalty' is {penalty}, it must be 0 or more").into())
        }
    }
}

impl RewardWith<dyn Models> for RewardModel {
    fn score_with(&self, batch: &[Candidate], models: &(dyn Models + 'static)) -> Outcomes<Score> {
        let names = match self.parameters.of {
            Of::One => vec![models.only()?],
            Of::Mean => models.granted(),
        };
        if names.is_empty() {
            return Err("no model was granted: add a table models.NAME for each reward model".into());
        }
        let mut values: Vec<Values> = vec![Ok(Vec::new()); batch.len()];
        for model in &names {
            let answers = models.score(model, batch.iter().map(Candidate::conversation).collect());
            if answers.len() != batch.len() {
                return Err(
                    format!("the model '{model}' gave {} scores to {} responses", answers.len(), batch.len()).into()
                );
            }
            for (values, answer) in values.iter_mut().zip(answers) {
                add(values, answer, (model, names.len()));
            }
        }
        let outcome = |(candidate, values): (&Candidate, Values)| self.score_of(candidate, &values?);
        Ok(batch.iter().zip(values).map(outcome).collect())
    }
}

/// All values of one response, or why there are none.
type Values = Result<Vec<NamedValue>, Failure>;

/// Adds what one of several models says; their values are told apart by the model's name.
fn add(values: &mut Values, answer: Result<Vec<NamedValue>, Fault>, (model, models): (&str, usize)) {
    match (values.as_mut(), answer) {
        (Err(_), _) => {}
        (Ok(_), Err(fault)) => *values = Err(fault.into()),
        (Ok(all), Ok(found)) => {
            let is_alone = found.len() == 1;
            let named = |value: NamedValue| match (models, is_alone) {
                (1, _) => value,
                (_, true) => NamedValue { name: model.to_owned(), ..value },
                (_, false) => NamedValue { name: format!("{model}/{}", value.name), ..value },
            };
            all.extend(found.into_iter().map(named));
        }
    }
}

impl RewardModel {
    fn score_of(&self, candidate: &Candidate, values: &[NamedValue]) -> Result<Score, Failure> {
        let reward = match (self.parameters.of, &self.parameters.label, values) {
            (Of::Mean, _, []) => None,
            (Of::Mean, ..) => Some(values.iter().map(|value| value.value).sum::<f64>() / values.len() as f64),
            (Of::One, Some(label), values) => values.iter().find(|value| value.name == *label).map(|value| value.value),
            (Of::One, None, [value]) => Some(value.value),
            (Of::One, None, _) => None,
        };
        let Some(reward) = reward else {
            let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
            return Err(format!("parameter 'label' names none of the model's labels: {}", names.join(", ")).into());
        };
        let penalty = if candidate.response.finished { 0.0 } else { self.parameters.missing_eos_penalty };
        let score = Score::new(reward - penalty);
        Ok(values.iter().fold(score, |score, value| score.with(Attribute::new(&value.name, value.value))))
    }
}

slhf_sdk::export_reward!(RewardModel, with models);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn reward(label: Option<&str>) -> RewardModel {
        let parameters = Parameters { label: label.map(str::to_owned), of: Of::One, missing_eos_penalty: 1.0 };
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
    fn the_mean_is_of_all_values_of_all_models() {
        let mean = |penalty| {
            RewardModel::new(Parameters { of: Of::Mean, missing_eos_penalty: penalty, ..Parameters::default() })
                .unwrap()
        };
        let mut all: Values = Ok(Vec::new());
        add(&mut all, Ok(values(&[("helpful", 2.0), ("correct", -1.0)])), ("first", 2));
        add(&mut all, Ok(values(&[("reward", 5.0)])), ("second", 2));
        let all = all.unwrap();
        let names: Vec<&str> = all.iter().map(|value| value.name.as_str()).collect();
        assert_eq!(names, ["first/helpful", "first/correct", "second"]);
        assert_eq!(mean(0.0).score_of(&candidate(true), &all).unwrap().value, 2.0);
        assert_eq!(mean(0.5).score_of(&candidate(false), &all).unwrap().value, 1.5);
        assert!(mean(0.0).score_of(&candidate(true), &[]).is_err());
        let both = Parameters { of: Of::Mean, label: Some("helpful".to_owned()), ..Parameters::default() };
        assert!(RewardModel::new(both).is_err_and(|failure| failure.reason.contains("remove one")));
    }

    #[test]
    fn the_response_ends_the_conversation() {
        let messages = candidate(true).conversation();
        let told: Vec<(&str, &str)> = messages.iter().map(|one| (one.role.as_str(), one.content.as_str())).collect();
        assert_eq!(told, [("user", "Q"), ("assistant", "so")]);
    }

    #[test]
    fn a_negative_penalty_is_refused() {
        let bad = RewardModel::new(Parameters { missing_eos_penalty: -1.0, ..Parameters::default() });
        assert!(bad.is_err_and(|failure| failure.reason.contains("missing_eos_penalty")));
    }
}
