//! `general-preference`: preferences out of a general-preference head, cycles included.
//!
//! The granted model gives every response a vector v of 2k values. p(y ≻ y′) = σ(⟨R v(y), v(y′)⟩ / τ), where R is block-diagonal
//! with blocks ((0, −1), (1, 0)) (arXiv 2410.02197): skew-symmetric, so that p(y ≻ y′) + p(y′ ≻ y) = 1, and intransitive
//! where the vectors turn. `kind = "reward-model"` with `head = "general_preference"` trains such a model.
//!
//! ```toml
//! [judge]
//! plugin = "general-preference"
//! [judge.models.gpm]
//! path = "my-general-preference-model"
//! ```

use serde::Deserialize;
use slhf_sdk::models::{Fault, Models, NamedValue};
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Message, Outcomes, Plugin, PreferenceWith, Verdict, manifest,
};

/// Parameters of `general-preference`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// τ, above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub temperature: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

/// The judge.
#[derive(Debug)]
pub struct GeneralPreference {
    temperature: f64,
}

impl Plugin for GeneralPreference {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which response a general-preference head prefers").complementary().length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        if parameters.temperature.is_finite() && parameters.temperature > 0.0 {
            Ok(Self { temperature: parameters.temperature })
        } else {
            Err(format!("parameter 'temperature' is {}, it must be above 0", parameters.temperature).into())
        }
    }
}

impl PreferenceWith<dyn Models> for GeneralPreference {
    fn compare_with(&self, batch: &[Comparison], models: &(dyn Models + 'static)) -> Outcomes<Verdict> {
        let model = models.only()?;
        let conversations: Vec<Vec<Message>> = batch
            .iter()
            .flat_map(|pair| [pair.conversation_with(&pair.first), pair.conversation_with(&pair.second)])
            .collect();
        let asked = conversations.len();
        let answers = models.score(&model, conversations);
        if answers.len() != asked {
            return Err(format!("the model '{model}' gave {} vectors to {asked} responses", answers.len()).into());
        }
        let mut answers = answers.into_iter();
        let mut outcomes = Vec::with_capacity(batch.len());
        while let (Some(first), Some(second)) = (answers.next(), answers.next()) {
            outcomes.push(self.verdict(first, second));
        }
        Ok(outcomes)
    }
}

impl GeneralPreference {
    fn verdict(
        &self,
        first: Result<Vec<NamedValue>, Fault>,
        second: Result<Vec<NamedValue>, Fault>,
    ) -> Result<Verdict, Failure> {
        let (first, second) = (first?, second?);
        if first.len() != second.len() || first.len() % 2 == 1 || first.is_empty() {
            let found = first.len();
            return Err(format!("the model's head has {found} values; a general preference has an even number").into());
        }
        let score = skew_product(&first, &second);
        let probability = 1.0 / (1.0 + (-score / self.temperature).exp());
        let vote = Attribute::new("probability", probability).because(format!("score {score:.4}"));
        Ok(Verdict::new(probability).with(vote))
    }
}

/// ⟨R v, v′⟩: antisymmetric in floating point, too, since each term only changes its sign.
fn skew_product(first: &[NamedValue], second: &[NamedValue]) -> f64 {
    let blocks = first.chunks_exact(2).zip(second.chunks_exact(2));
    blocks.map(|(v, w)| v[0].value * w[1].value - v[1].value * w[0].value).sum()
}

slhf_sdk::export_preference!(GeneralPreference, with models);

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(of: &[f64]) -> Vec<NamedValue> {
        let value = |(index, value): (usize, &f64)| NamedValue { name: format!("v{index}"), value: *value };
        of.iter().enumerate().map(value).collect()
    }

    fn turned(degrees: f64) -> Vec<f64> {
        let angle = degrees.to_radians();
        vec![2.0 * angle.cos(), 2.0 * angle.sin()]
    }

    #[test]
    fn vectors_that_turn_are_a_cycle() {
        let judge = GeneralPreference::new(Parameters::default()).unwrap();
        let p = |one: f64, other: f64| {
            judge.verdict(Ok(vector(&turned(one))), Ok(vector(&turned(other)))).unwrap().probability
        };
        for (one, other) in [(0.0, 120.0), (120.0, 240.0), (240.0, 0.0)] {
            assert!(p(one, other) > 0.9, "{one} {other}: {}", p(one, other));
            assert!((p(one, other) + p(other, one) - 1.0).abs() < 1e-15);
        }
        assert_eq!(p(30.0, 30.0), 0.5);
    }

    #[test]
    fn a_head_of_one_value_is_refused() {
        let judge = GeneralPreference::new(Parameters::default()).unwrap();
        assert!(
            judge
                .verdict(Ok(vector(&[1.0])), Ok(vector(&[1.0])))
                .is_err_and(|failure| failure.reason.contains("1 values"))
        );
        assert!(GeneralPreference::new(Parameters { temperature: 0.0 }).is_err());
    }
}
