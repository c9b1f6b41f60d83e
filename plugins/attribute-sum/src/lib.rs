//! `attribute-sum`: a reward out of an action's attributes.
//!
//! r(y) = intercept + Σ weight · attribute(y), the attributes being numbers (or `true`/`false`, as 1 and 0) in the
//! response's metadata. A missing attribute is a failure of that response, never 0.
//!
//! ```toml
//! [judge.upstream]
//! plugin = "attribute-sum"
//! parameters = { weights = { helpfulness = 1.0, verbosity = -0.2 } }
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use slhf_sdk::serde_json::{Map, Value};
use slhf_sdk::{Attribute, Candidate, Failure, JsonSchema, Manifest, Plugin, Reward, Score, manifest, short};

/// Parameters of `attribute-sum`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Reward per unit of each attribute; at least one, every weight finite.
    #[schemars(extend("minProperties" = 1))]
    pub weights: BTreeMap<String, f64>,
    /// Reward of a response whose attributes are all 0.
    #[serde(default)]
    pub intercept: f64,
}

/// The reward.
#[derive(Debug)]
pub struct AttributeSum {
    weights: BTreeMap<String, f64>,
    intercept: f64,
}

impl Plugin for AttributeSum {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("a weighted sum of a response's attributes")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { weights, intercept } = parameters;
        if weights.is_empty() {
            return Err("parameter 'weights' is empty: name at least one attribute and its weight".into());
        }
        if let Some((name, weight)) = weights.iter().find(|(_, weight)| !weight.is_finite()) {
            return Err(format!("parameter 'weights.{name}' is {weight}, it must be finite").into());
        }
        if !intercept.is_finite() {
            return Err(format!("parameter 'intercept' is {intercept}, it must be finite").into());
        }
        Ok(Self { weights, intercept })
    }
}

impl Reward for AttributeSum {
    fn score(&self, candidate: &Candidate) -> Result<Score, Failure> {
        let response = &candidate.response;
        let metadata: Map<String, Value> = response.read_metadata()?;
        let mut score = Score::new(self.intercept);
        for (name, weight) in &self.weights {
            let value = match metadata.get(name) {
                Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
                Some(Value::Bool(flag)) => f64::from(u8::from(*flag)),
                Some(other) => {
                    return Err(format!(
                        "attribute '{name}' of response {:?} is {other}, a number was expected",
                        short(&response.text)
                    )
                    .into());
                }
                None => {
                    return Err(format!(
                        "response {:?} has no attribute '{name}' in its metadata",
                        short(&response.text)
                    )
                    .into());
                }
            };
            let reward = weight * value;
            score.value += reward;
            score = score.with(Attribute::new(name, reward));
        }
        Ok(score)
    }
}

slhf_sdk::export_reward!(AttributeSum);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::{Response, parameters};

    fn reward(parameters: &str) -> Result<AttributeSum, Failure> {
        parameters::read(parameters).and_then(AttributeSum::new)
    }

    fn candidate(metadata: &str) -> Candidate {
        Candidate::new("Q", Response::new("answer").with_metadata(metadata))
    }

    #[test]
    fn attributes_are_weighed_and_summed() {
        let reward = reward(r#"{"weights": {"helpful": 2, "long": -0.5}, "intercept": 10}"#).unwrap();
        let score = reward.score(&candidate(r#"{"helpful": 3, "long": true, "other": "x"}"#)).unwrap();
        assert_eq!(score.value, 15.5);
        assert_eq!(score.attributes, [Attribute::new("helpful", 6.0), Attribute::new("long", -0.5)]);
    }

    #[test]
    fn what_is_not_there_is_a_failure() {
        let reward = reward(r#"{"weights": {"helpful": 2}}"#).unwrap();
        let check = |metadata, expected| assert_eq!(reward.score(&candidate(metadata)).unwrap_err().reason, expected);
        check("{}", "response \"answer\" has no attribute 'helpful' in its metadata");
        check(
            r#"{"helpful": "very"}"#,
            "attribute 'helpful' of response \"answer\" is \"very\", a number was expected",
        );
        check(r#"{"helpful": null}"#, "attribute 'helpful' of response \"answer\" is null, a number was expected");
    }

    #[test]
    fn weights_are_needed() {
        let check = |json, expected| assert_eq!(reward(json).unwrap_err().reason, expected);
        check("{}", "the parameters are not right: missing field 'weights'");
        check(r#"{"weights": {}}"#, "parameter 'weights' is empty: name at least one attribute and its weight");
        check(
            r#"{"wieghts": {}}"#,
            "parameter 'wieghts' is unknown, did you mean 'weights'? (known here: weights, intercept)",
        );
    }
}
