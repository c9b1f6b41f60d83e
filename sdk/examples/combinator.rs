//! A combinator: a judge made of another judge, which the experiment names under `[judge.upstream]`.
//!
//! This one draws every verdict towards a half, as an annotator does who sometimes guesses.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, Manifest, Outcomes, Plugin, PreferenceOver, UpstreamPreference, Verdict, manifest,
};

/// What an experiment may set under `[judge] parameters`. Doc comments become descriptions in the plugin's schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How often the annotator guesses; within [0, 1].
    #[schemars(range(min = 0, max = 1))]
    pub guess_rate: f64,
}

/// The combinator.
#[derive(Debug)]
pub struct Guesser {
    guess_rate: f64,
}

impl Plugin for Guesser {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("what an annotator who sometimes guesses says of the preferences of the judge under it")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { guess_rate } = parameters;
        if (0.0..=1.0).contains(&guess_rate) {
            Ok(Self { guess_rate })
        } else {
            Err(format!("parameter 'guess_rate' is {guess_rate}, it must be within [0, 1]").into())
        }
    }
}

impl PreferenceOver<dyn UpstreamPreference> for Guesser {
    fn compare_over(&self, batch: &[Comparison], upstream: &(dyn UpstreamPreference + 'static)) -> Outcomes<Verdict> {
        // Ask once, for the whole batch: each question crosses the sandbox.
        let verdicts = upstream.compare(batch.to_vec())?;
        Ok(verdicts.into_iter().map(|verdict| verdict.map(|verdict| self.guess(&verdict))).collect())
    }
}

impl Guesser {
    fn guess(&self, upstream: &Verdict) -> Verdict {
        let probability = 0.5 + (1.0 - self.guess_rate) * (upstream.probability - 0.5);
        Verdict::new(probability).with(Attribute::new("without_guesses", upstream.probability))
    }
}

slhf_sdk::export_preference!(Guesser, over preference);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    #[test]
    fn verdicts_are_drawn_towards_a_half() {
        // In a test the judge under a combinator is a closure.
        let upstream = |comparison: &Comparison| match comparison.first.text.as_str() {
            "bad" => Err(Failure::new("cannot read bad")),
            _ => Ok(Verdict::new(0.9)),
        };
        let pair = |first| Comparison::new("Q", Response::new(first), Response::new("b"));
        let guesser = Guesser::new(Parameters { guess_rate: 0.5 }).unwrap();
        let outcomes = guesser.compare_over(&[pair("a"), pair("bad")], &upstream).unwrap();
        assert!((outcomes[0].as_ref().unwrap().probability - 0.7).abs() < 1e-15);
        assert_eq!(outcomes[1], Err(Failure::new("cannot read bad")));
    }
}
