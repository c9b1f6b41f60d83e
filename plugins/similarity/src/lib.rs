//! `similarity`: how close a response is to a reference, by a model's embedding.
//!
//! The reward is the cosine of the angle between the vectors of the response and of a reference text, in [−1, 1]. The reference
//! is what the row's metadata holds under `reference`, or under another key.
//!
//! ```toml
//! [method.reward]
//! plugin = "similarity"
//! parameters = { reference = "reference" }
//! [method.reward.models.encoder]
//! path = "my-encoder"
//! ```

use serde::Deserialize;
use slhf_sdk::models::{Embedding, Fault, Models};
use slhf_sdk::{Candidate, Failure, JsonSchema, Manifest, Outcomes, Plugin, RewardWith, Score, manifest, serde_json};

/// Parameters of `similarity`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The key of the row's metadata that holds the reference text.
    pub reference: String,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { reference: "reference".to_owned() }
    }
}

/// The reward.
#[derive(Debug)]
pub struct Similarity {
    key: String,
}

impl Plugin for Similarity {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("the cosine of a response's and a reference's embedding")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        if parameters.reference.is_empty() {
            return Err("parameter 'reference' is empty: it names a key of the row's metadata".into());
        }
        Ok(Self { key: parameters.reference })
    }
}

impl RewardWith<dyn Models> for Similarity {
    fn score_with(&self, batch: &[Candidate], models: &(dyn Models + 'static)) -> Outcomes<Score> {
        let model = models.only()?;
        let references: Vec<Result<String, Failure>> =
            batch.iter().map(|candidate| self.reference(candidate)).collect();
        let asked = batch
            .iter()
            .zip(&references)
            .filter_map(|(candidate, reference)| Some([candidate.response.text.clone(), reference.clone().ok()?]));
        let texts: Vec<String> = asked.flatten().collect();
        let count = texts.len();
        let vectors = models.embed(&model, texts);
        if vectors.len() != count {
            return Err(format!("the model '{model}' gave {} vectors of {count} texts", vectors.len()).into());
        }
        let mut vectors = vectors.into_iter();
        let mut next = || match (vectors.next(), vectors.next()) {
            (Some(response), Some(reference)) => cosine(response, reference),
            _ => Err(Failure::new("the model was not asked about this response")),
        };
        Ok(references.into_iter().map(|reference| reference.and_then(|_| next())).collect())
    }
}

impl Similarity {
    fn reference(&self, candidate: &Candidate) -> Result<String, Failure> {
        let metadata: serde_json::Value = serde_json::from_str(&candidate.metadata)
            .map_err(|error| Failure::new(format!("the row's metadata cannot be read: {error}")))?;
        match metadata[&self.key].as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            _ => Err(format!("the row has no text under '{}', which is the reference", self.key).into()),
        }
    }
}

fn cosine(one: Result<Embedding, Fault>, other: Result<Embedding, Fault>) -> Result<Score, Failure> {
    let (one, other) = (one?.vector, other?.vector);
    if one.len() != other.len() {
        return Err(format!("vectors of {} and {} numbers came of two texts", one.len(), other.len()).into());
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let length = (dot(&one, &one) * dot(&other, &other)).sqrt();
    if length == 0.0 || !length.is_finite() {
        return Err("the vector of a text has no direction".into());
    }
    Ok(Score::new((dot(&one, &other) / length).clamp(-1.0, 1.0)))
}

slhf_sdk::export_reward!(Similarity, with models);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn vector(of: &[f64]) -> Embedding {
        Embedding { vector: of.to_vec(), pooling: "mean".to_owned() }
    }

    #[test]
    fn the_cosine_looks_at_directions_alone() {
        let value = |one: &[f64], other: &[f64]| cosine(Ok(vector(one)), Ok(vector(other))).map(|score| score.value);
        assert_eq!(value(&[2.0, 0.0], &[5.0, 0.0]), Ok(1.0));
        assert_eq!(value(&[1.0, 0.0], &[0.0, 3.0]), Ok(0.0));
        assert_eq!(value(&[1.0], &[-4.0]), Ok(-1.0));
        assert!(value(&[0.0], &[1.0]).is_err() && value(&[1.0], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn a_row_without_a_reference_is_a_failure() {
        let similarity = Similarity::new(Parameters::default()).unwrap();
        let candidate = |metadata: &str| {
            let mut candidate = Candidate::new("Q", Response::new("so"));
            candidate.metadata = metadata.to_owned();
            similarity.reference(&candidate)
        };
        assert_eq!(candidate(r#"{"reference": "yes"}"#), Ok("yes".to_owned()));
        assert!(candidate("{}").is_err_and(|failure| failure.reason.contains("'reference'")));
    }
}
