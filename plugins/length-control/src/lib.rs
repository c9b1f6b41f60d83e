//! `length-control`: takes the price of length out of a judge, or puts one in.
//!
//! The correction is `AlpacaEval` 2.0's (Dubois et al., arXiv 2404.04475) as a judge: with Δ the difference in characters,
//! first less second,
//!
//! logit p'(a ≻ b) = logit p(a ≻ b) − `coefficient` · tanh(Δ / `scale_characters`).
//!
//! A judge that pays `coefficient` nats for an answer that is much longer pays nothing for it any more. A negative
//! coefficient is a dial for the bias itself: `length-control` of 2 over `length-control` of −2 over a judge is that
//! judge. Verdicts of exactly 0 or 1 stay as they are. Where the judge under it is complementary, this one is too.
//!
//! ```toml
//! [judge]
//! plugin = "length-control"
//! parameters = { coefficient = 2.0, scale_characters = 100.0 }
//! [judge.upstream]
//! plugin = "attributes"
//! parameters = { … }
//! ```

use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceOver, UpstreamPreference,
    Verdict, manifest,
};

/// Parameters of `length-control`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Log-odds that the judge under this one pays for a much longer answer, and that are taken away; negative: added.
    pub coefficient: f64,
    /// Characters of difference that earn tanh(1) = 0.76 of it; above 0.
    #[serde(default = "hundred")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scale_characters: f64,
}

fn hundred() -> f64 {
    100.0
}

/// The combinator.
#[derive(Debug)]
pub struct LengthControl {
    parameters: Parameters,
}

impl Plugin for LengthControl {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("what the judge under it prefers, with the price of length taken out").length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { coefficient, scale_characters } = parameters;
        if !coefficient.is_finite() {
            return Err(format!("parameter 'coefficient' is {coefficient}, it must be a finite number").into());
        }
        if !(scale_characters.is_finite() && scale_characters > 0.0) {
            return Err(format!("parameter 'scale_characters' is {scale_characters}, it must be above 0").into());
        }
        Ok(Self { parameters })
    }
}

impl PreferenceOver<dyn UpstreamPreference> for LengthControl {
    fn compare_over(&self, batch: &[Comparison], upstream: &(dyn UpstreamPreference + 'static)) -> Outcomes<Verdict> {
        let answers = upstream.compare(batch.to_vec())?;
        if answers.len() != batch.len() {
            let (given, asked) = (answers.len(), batch.len());
            return Err(format!("the judge under length-control gave {given} verdicts to {asked} comparisons").into());
        }
        Ok(batch
            .iter()
            .zip(answers)
            .map(|(comparison, answer)| Ok(self.controlled(comparison, answer?.probability)))
            .collect())
    }
}

impl LengthControl {
    fn controlled(&self, comparison: &Comparison, given: f64) -> Verdict {
        let characters = |text: &str| text.chars().count() as f64;
        let difference = characters(&comparison.first.text) - characters(&comparison.second.text);
        let price = self.parameters.coefficient * (difference / self.parameters.scale_characters).tanh();
        let probability =
            if given <= 0.0 || given >= 1.0 { given } else { logistic((given / (1.0 - given)).ln() - price) };
        Verdict::new(probability)
            .with(Attribute::new("as_given", given).because("what the judge under this one said"))
            .with(
                Attribute::new("length", logistic(-price))
                    .because(format!("{difference} characters more than the other")),
            )
    }
}

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

slhf_sdk::export_preference!(LengthControl, over preference);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn pair(first: &str, second: &str) -> Comparison {
        Comparison::new("Q", Response::new(first), Response::new(second))
    }

    fn control(coefficient: f64) -> LengthControl {
        LengthControl::new(Parameters { coefficient, scale_characters: 10.0 }).unwrap()
    }

    fn asked(plugin: &LengthControl, comparison: Comparison, upstream: f64) -> f64 {
        let judge = move |_: &Comparison| Ok(Verdict::new(upstream));
        plugin.compare_over(&[comparison], &judge).unwrap().remove(0).unwrap().probability
    }

    #[test]
    fn the_price_is_the_published_form() {
        // Ten characters more at a scale of ten: tanh(1) of the coefficient.
        let found = asked(&control(2.0), pair("aaaaaaaaaaaa", "bb"), 0.5);
        assert!((found - logistic(-2.0 * 1.0_f64.tanh())).abs() < 1e-15);
        assert_eq!(asked(&control(2.0), pair("aa", "bb"), 0.7), logistic((0.7_f64 / 0.3).ln()));
        assert_eq!(asked(&control(2.0), pair("aaaaaaaaaaaa", "b"), 1.0), 1.0);
    }

    #[test]
    fn what_was_added_is_taken_away() {
        for (first, second, p) in [("short", "a good deal longer", 0.3), ("ä", "", 0.9), ("same", "same", 0.5)] {
            let biased = asked(&control(-1.5), pair(first, second), p);
            let back = asked(&control(1.5), pair(first, second), biased);
            assert!((back - p).abs() < 1e-12, "{first} {second}: {back} is not {p}");
        }
    }

    #[test]
    fn it_stays_complementary() {
        let there = asked(&control(-2.0), pair("long answer", "brief"), 0.6);
        let back = asked(&control(-2.0), pair("brief", "long answer"), 0.4);
        assert!((there + back - 1.0).abs() < 1e-12 && there > 0.6);
    }

    #[test]
    fn parameters_that_mean_nothing_are_refused() {
        let refused = |coefficient, scale_characters| {
            LengthControl::new(Parameters { coefficient, scale_characters }).unwrap_err().to_string()
        };
        assert!(refused(f64::NAN, 1.0).contains("'coefficient' is NaN"));
        assert!(refused(1.0, 0.0).contains("'scale_characters' is 0"));
    }
}
