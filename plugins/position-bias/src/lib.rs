//! `position-bias`: a judge that favours the response it is shown first (or second), to measure what that does.
//!
//! logit p'(a ≻ b) = logit p(a ≻ b) + `coefficient`, for whichever response comes first. Language models as judges have
//! such a bias; `swap-average` over it takes most of it away. Verdicts of exactly 0 or 1 stay as they are. The judge is
//! not complementary: p'(a ≻ b) + p'(b ≻ a) is above 1 with a positive coefficient.
//!
//! ```toml
//! [judge]
//! plugin = "position-bias"
//! parameters = { coefficient = 1.0 }
//! [judge.upstream]
//! plugin = "brevity"
//! ```

use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceOver, UpstreamPreference,
    Verdict, manifest,
};

/// Parameters of `position-bias`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Log-odds that the response in first place gets for it; negative: the one in second place.
    pub coefficient: f64,
}

/// The combinator.
#[derive(Debug)]
pub struct PositionBias {
    coefficient: f64,
}

impl Plugin for PositionBias {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("what the judge under it prefers, with a favour for the response in first place")
    }

    fn new(Parameters { coefficient }: Parameters) -> Result<Self, Failure> {
        if !coefficient.is_finite() {
            return Err(format!("parameter 'coefficient' is {coefficient}, it must be a finite number").into());
        }
        Ok(Self { coefficient })
    }
}

impl PreferenceOver<dyn UpstreamPreference> for PositionBias {
    fn compare_over(&self, batch: &[Comparison], upstream: &(dyn UpstreamPreference + 'static)) -> Outcomes<Verdict> {
        let answers = upstream.compare(batch.to_vec())?;
        if answers.len() != batch.len() {
            let (given, asked) = (answers.len(), batch.len());
            return Err(format!("the judge under position-bias gave {given} verdicts to {asked} comparisons").into());
        }
        Ok(answers.into_iter().map(|answer| Ok(self.favour(answer?.probability))).collect())
    }
}

impl PositionBias {
    fn favour(&self, given: f64) -> Verdict {
        let probability = if given <= 0.0 || given >= 1.0 {
            given
        } else {
            1.0 / (1.0 + (-self.coefficient - (given / (1.0 - given)).ln()).exp())
        };
        Verdict::new(probability).with(Attribute::new("as_given", given).because("what the judge under this one said"))
    }
}

slhf_sdk::export_preference!(PositionBias, over preference);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn asked(coefficient: f64, upstream: f64) -> f64 {
        let plugin = PositionBias::new(Parameters { coefficient }).unwrap();
        let judge = move |_: &Comparison| Ok(Verdict::new(upstream));
        let pair = Comparison::new("Q", Response::new("a"), Response::new("b"));
        plugin.compare_over(&[pair], &judge).unwrap().remove(0).unwrap().probability
    }

    #[test]
    fn the_first_place_is_worth_its_log_odds() {
        assert!((asked(1.0, 0.5) - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
        assert!((asked(-1.0, 0.5) + asked(1.0, 0.5) - 1.0).abs() < 1e-15);
        // Undone by the opposite.
        assert!((asked(-2.0, asked(2.0, 0.3)) - 0.3).abs() < 1e-12);
        // p(a ≻ b) = 0.8 and p(b ≻ a) = 0.2: with a bias both orders sum to more than 1.
        assert!(asked(1.0, 0.8) + asked(1.0, 0.2) > 1.1);
    }

    #[test]
    fn certain_verdicts_and_none_at_all_stay_as_they_are() {
        assert_eq!([asked(5.0, 0.0), asked(-5.0, 1.0), asked(0.0, 0.25)], [0.0, 1.0, 0.25]);
        assert!(PositionBias::new(Parameters { coefficient: f64::NAN }).is_err());
    }
}
