//! `swap-average`: a judge without position bias, made of any judge.
//!
//! p'(a ≻ b) = (p(a ≻ b) + 1 − p(b ≻ a)) / 2. Judges that read two texts in order often favour the first (or the
//! second); averaging over both orders removes exactly that, and makes any judge complementary. It costs twice the
//! upstream calls. The verdict's attributes keep both orders' votes for the first response, so that the record shows
//! how biased the upstream was.
//!
//! ```toml
//! [judge]
//! plugin = "swap-average"
//! [judge.upstream]
//! plugin = "attributes"
//! parameters = { … }
//! ```

use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceOver, UpstreamPreference,
    Verdict, manifest,
};

/// `swap-average` has no parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {}

/// The combinator.
#[derive(Debug)]
pub struct SwapAverage;

impl Plugin for SwapAverage {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("what the judge under it prefers when it is asked in both orders").complementary()
    }

    fn new(_parameters: Parameters) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl PreferenceOver<dyn UpstreamPreference> for SwapAverage {
    fn compare_over(&self, batch: &[Comparison], upstream: &(dyn UpstreamPreference + 'static)) -> Outcomes<Verdict> {
        // One question for both orders: each question crosses the sandbox.
        let both: Vec<Comparison> =
            batch.iter().flat_map(|comparison| [comparison.clone(), comparison.swapped()]).collect();
        let asked = both.len();
        let mut answers = upstream.compare(both)?.into_iter();
        if answers.len() != asked {
            return Err(
                format!("the judge under swap-average gave {} verdicts to {asked} comparisons", answers.len()).into()
            );
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        while let (Some(straight), Some(swapped)) = (answers.next(), answers.next()) {
            outcomes.push(average(straight, swapped));
        }
        Ok(outcomes)
    }
}

/// One verdict of two; either order's failure is the pair's.
fn average(straight: Result<Verdict, Failure>, swapped: Result<Verdict, Failure>) -> Result<Verdict, Failure> {
    let straight = straight?.probability;
    let swapped = 1.0 - swapped?.probability;
    // Half of the difference about ½ rather than the mean of the two: exactly complementary in floating point too.
    let probability = 0.5 + 0.5 * ((straight - 0.5) + (swapped - 0.5));
    Ok(Verdict::new(probability.clamp(0.0, 1.0))
        .with(Attribute::new("as_given", straight).because("asked in the order given"))
        .with(Attribute::new("swapped", swapped).because("asked in the other order")))
}

slhf_sdk::export_preference!(SwapAverage, over preference);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn pair(first: &str, second: &str) -> Comparison {
        Comparison::new("Q", Response::new(first), Response::new(second))
    }

    #[test]
    fn a_position_bias_disappears() {
        // Says 0.9 for whatever comes first, and 0.05 more for "a".
        let biased = |comparison: &Comparison| Ok(Verdict::new(if comparison.first.text == "a" { 0.95 } else { 0.9 }));
        let outcomes = SwapAverage.compare_over(&[pair("a", "b"), pair("b", "a"), pair("b", "b")], &biased).unwrap();
        let p: Vec<f64> = outcomes.into_iter().map(|outcome| outcome.unwrap().probability).collect();
        assert!((p[0] - 0.525).abs() < 1e-12 && (p[1] - 0.475).abs() < 1e-12 && (p[2] - 0.5).abs() < 1e-12, "{p:?}");
        assert!((p[0] + p[1] - 1.0).abs() < 1e-15);
    }

    #[test]
    fn both_votes_are_kept() {
        let biased = |_: &Comparison| Ok(Verdict::new(0.75));
        let verdict = SwapAverage.compare_over(&[pair("a", "b")], &biased).unwrap().remove(0).unwrap();
        let votes: Vec<(&str, f64)> = verdict.attributes.iter().map(|vote| (vote.name.as_str(), vote.value)).collect();
        assert_eq!(votes, [("as_given", 0.75), ("swapped", 0.25)]);
    }

    #[test]
    fn a_failure_in_either_order_is_the_pairs_and_nobody_elses() {
        let upstream = |comparison: &Comparison| match comparison.first.text.as_str() {
            "bad" => Err(Failure::new("cannot read bad")),
            _ => Ok(Verdict::new(0.5)),
        };
        let outcomes =
            SwapAverage.compare_over(&[pair("a", "bad"), pair("bad", "a"), pair("a", "b")], &upstream).unwrap();
        assert_eq!(outcomes[0], Err(Failure::new("cannot read bad")));
        assert_eq!(outcomes[1], Err(Failure::new("cannot read bad")));
        assert!(outcomes[2].is_ok());
    }

    #[test]
    fn a_short_answer_is_a_failure_of_the_batch() {
        struct Mute;
        impl UpstreamPreference for Mute {
            fn compare(&self, _batch: Vec<Comparison>) -> Outcomes<Verdict> {
                Ok(Vec::new())
            }
        }
        let failure = SwapAverage.compare_over(&[pair("a", "b")], &Mute).unwrap_err();
        assert_eq!(failure.reason, "the judge under swap-average gave 0 verdicts to 2 comparisons");
    }
}
