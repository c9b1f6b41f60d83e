//! `bradley-terry`: preferences out of any reward plugin.
//!
//! p(a ≻ b) = σ((r(a) − r(b)) / scale), Bradley & Terry 1952. Transitive by construction: whatever cycles a committee
//! has, a difference of rewards cannot show them.
//!
//! ```toml
//! [judge]
//! plugin = "bradley-terry"
//! parameters = { scale = 2.0 }
//! [judge.upstream]
//! plugin = "attribute-sum"
//! parameters = { … }
//! ```

use serde::Deserialize;
use slhf_sdk::{
    Attribute, Candidate, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceOver, Score,
    UpstreamReward, Verdict, manifest,
};

/// Parameters of `bradley-terry`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Difference of rewards at which the better one wins with probability 1/(1 + 1/e) ≈ 0.731; above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scale: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { scale: 1.0 }
    }
}

/// The combinator.
#[derive(Debug)]
pub struct BradleyTerry {
    scale: f64,
}

impl Plugin for BradleyTerry {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which response the reward model under it scores higher, as a Bradley-Terry probability")
            .complementary()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        if parameters.scale.is_finite() && parameters.scale > 0.0 {
            Ok(Self { scale: parameters.scale })
        } else {
            Err(format!("parameter 'scale' is {}, it must be above 0", parameters.scale).into())
        }
    }
}

impl PreferenceOver<dyn UpstreamReward> for BradleyTerry {
    fn compare_over(&self, batch: &[Comparison], upstream: &(dyn UpstreamReward + 'static)) -> Outcomes<Verdict> {
        let candidates: Vec<Candidate> =
            batch.iter().flat_map(|comparison| [comparison.first_candidate(), comparison.second_candidate()]).collect();
        let asked = candidates.len();
        let mut scores = upstream.score(candidates)?.into_iter();
        if scores.len() != asked {
            return Err(format!(
                "the reward model under bradley-terry gave {} scores to {asked} responses",
                scores.len()
            )
            .into());
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        while let (Some(first), Some(second)) = (scores.next(), scores.next()) {
            outcomes.push(self.verdict(first, second));
        }
        Ok(outcomes)
    }
}

impl BradleyTerry {
    fn verdict(&self, first: Result<Score, Failure>, second: Result<Score, Failure>) -> Result<Verdict, Failure> {
        let (first, second) = (first?.value, second?.value);
        // Attributes of a verdict are votes; the rewards themselves go into the reason.
        let probability = sigmoid((first - second) / self.scale);
        Ok(Verdict::new(probability)
            .with(Attribute::new("reward", probability).because(format!("rewards {first} and {second}"))))
    }
}

/// 1 / (1 + e^−x), without overflow, and with σ(x) + σ(−x) = 1 to the last bit.
fn sigmoid(x: f64) -> f64 {
    let upper = 1.0 / (1.0 + (-x.abs()).exp());
    if x >= 0.0 { upper } else { 1.0 - upper }
}

slhf_sdk::export_preference!(BradleyTerry, over reward);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn length(candidate: &Candidate) -> Result<Score, Failure> {
        match candidate.response.text.as_str() {
            "bad" => Err(Failure::new("cannot read bad")),
            text => Ok(Score::new(text.len() as f64)),
        }
    }

    fn judge(first: &str, second: &str, scale: f64) -> Result<Verdict, Failure> {
        let comparison = Comparison::new("Q", Response::new(first), Response::new(second));
        BradleyTerry::new(Parameters { scale }).unwrap().compare_over(&[comparison], &length).unwrap().remove(0)
    }

    #[test]
    fn differences_become_probabilities() {
        let check = |first, second, scale, expected: f64| {
            let p = judge(first, second, scale).unwrap().probability;
            assert!((p - expected).abs() < 1e-15, "{first} {second}: {p}, expected {expected}");
        };
        check("aa", "bb", 1.0, 0.5);
        check("aaa", "bb", 1.0, 1.0 / (1.0 + (-1.0_f64).exp()));
        check("aaa", "b", 2.0, 1.0 / (1.0 + (-1.0_f64).exp()));
        check("b", "aaa", 2.0, 1.0 - 1.0 / (1.0 + (-1.0_f64).exp()));
    }

    #[test]
    fn extremes_saturate_and_complement_exactly() {
        for x in [0.0, 1e-300, 0.3, 36.0, 800.0, f64::MAX, f64::INFINITY] {
            assert_eq!(sigmoid(x) + sigmoid(-x), 1.0, "{x}");
        }
        assert_eq!(sigmoid(-1e4), 0.0);
    }

    #[test]
    fn the_reason_tells_the_rewards() {
        let verdict = judge("aaa", "b", 1.0).unwrap();
        assert_eq!(verdict.attributes[0].reason, "rewards 3 and 1");
    }

    #[test]
    fn a_failed_score_fails_its_comparison() {
        assert_eq!(judge("a", "bad", 1.0).unwrap_err().reason, "cannot read bad");
    }

    #[test]
    fn the_scale_must_be_above_zero() {
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let failure = BradleyTerry::new(Parameters { scale }).unwrap_err();
            assert_eq!(failure.reason, format!("parameter 'scale' is {scale}, it must be above 0"));
        }
    }
}
