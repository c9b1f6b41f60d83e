//! `recorded`: preferences that people recorded, looked up.
//!
//! Human data as a judge: the rows of the prompts' file hold pairs with their preferences, in the layouts that people have, and a
//! pair of responses is looked up by its texts, in either order. A pair that nobody judged is a failure, never a guess.
//!
//! | the row holds | p(first ≻ second) |
//! | --- | --- |
//! | `chosen`, `rejected` (texts) | 1 and 0 |
//! | `responses` (two texts), `p_second` | 1 − `p_second` for the first of the two |
//! | `preferences`: a list of `{ first, second, probability }` | `probability` |
//!
//! ```toml
//! [judge]
//! plugin = "recorded"
//! on_failure = "skip"
//! ```

use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Verdict, manifest, serde_json, short,
};

/// Parameters of `recorded`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Whether white space at the ends of texts counts; default: no.
    pub exact_whitespace: bool,
}

/// What a row's metadata may hold of preferences; other keys are not looked at.
#[derive(Debug, Default, Deserialize)]
struct Row {
    chosen: Option<serde_json::Value>,
    rejected: Option<serde_json::Value>,
    responses: Option<Vec<String>>,
    p_second: Option<f64>,
    preferences: Option<Vec<Pair>>,
}

/// One pair that was judged.
#[derive(Debug, Deserialize)]
struct Pair {
    first: String,
    second: String,
    probability: f64,
}

/// The judge.
#[derive(Debug)]
pub struct Recorded {
    parameters: Parameters,
}

impl Plugin for Recorded {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("what people preferred, where they were asked").complementary()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        Ok(Self { parameters })
    }
}

impl Preference for Recorded {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let row: Row = serde_json::from_str(&comparison.metadata)
            .map_err(|error| Failure::new(format!("the row's preferences cannot be read: {error}")))?;
        let pairs = pairs(row)?;
        let (first, second) = (&comparison.first.text, &comparison.second.text);
        if self.is_same(first, second) {
            return Ok(Verdict::new(0.5));
        }
        let mut found = Vec::new();
        for pair in &pairs {
            if !(0.0..=1.0).contains(&pair.probability) {
                return Err(
                    format!("a recorded preference is {}; expected a number in [0, 1]", pair.probability).into()
                );
            }
            if self.is_same(&pair.first, first) && self.is_same(&pair.second, second) {
                found.push(pair.probability);
            } else if self.is_same(&pair.first, second) && self.is_same(&pair.second, first) {
                found.push(1.0 - pair.probability);
            }
        }
        if found.is_empty() {
            return Err(format!(
                "nobody judged {} against {}; the row has {} pairs",
                short(first),
                short(second),
                pairs.len()
            )
            .into());
        }
        // About ½, so that both orders add up to 1 in floating point, too.
        let mean = 0.5 + found.iter().map(|probability| probability - 0.5).sum::<f64>() / found.len() as f64;
        let vote = Attribute::new("recorded", mean).because(format!("judged {} times", found.len()));
        Ok(Verdict::new(mean).with(vote))
    }
}

impl Recorded {
    fn is_same(&self, one: &str, other: &str) -> bool {
        if self.parameters.exact_whitespace { one == other } else { one.trim() == other.trim() }
    }
}

/// All pairs of a row, whatever its layout.
fn pairs(row: Row) -> Result<Vec<Pair>, Failure> {
    let mut pairs = row.preferences.unwrap_or_default();
    match (row.chosen, row.rejected) {
        (Some(chosen), Some(rejected)) => {
            pairs.push(Pair { first: text(&chosen)?, second: text(&rejected)?, probability: 1.0 });
        }
        (None, None) => {}
        _ => return Err("the row has one of 'chosen' and 'rejected'; expected both".into()),
    }
    match (row.responses, row.p_second) {
        (Some(responses), Some(p_second)) => match <[String; 2]>::try_from(responses) {
            Ok([first, second]) => pairs.push(Pair { first, second, probability: 1.0 - p_second }),
            Err(responses) => {
                return Err(format!("'p_second' stands beside {} responses; expected two", responses.len()).into());
            }
        },
        (_, None) => {}
        (None, Some(_)) => return Err("'p_second' stands without 'responses'".into()),
    }
    Ok(pairs)
}

/// A response as a text, or as messages whose last one it is.
fn text(value: &serde_json::Value) -> Result<String, Failure> {
    let of_messages = || value.as_array()?.last()?["content"].as_str();
    value
        .as_str()
        .or_else(of_messages)
        .map(str::to_owned)
        .ok_or_else(|| "'chosen' and 'rejected' are texts, or lists of messages".into())
}

slhf_sdk::export_preference!(Recorded);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;

    fn p(metadata: &str, first: &str, second: &str) -> Result<f64, Failure> {
        let judge = Recorded::new(Parameters::default()).unwrap();
        let mut comparison = Comparison::new("Q", Response::new(first), Response::new(second));
        comparison.metadata = metadata.to_owned();
        judge.compare(&comparison).map(|verdict| verdict.probability)
    }

    #[test]
    fn every_layout_is_looked_up_in_both_orders() {
        let check = |metadata: &str, expected: f64| {
            assert_eq!(p(metadata, "a", "b"), Ok(expected), "{metadata}");
            assert_eq!(p(metadata, "b", " a\n"), Ok(1.0 - expected), "{metadata}");
        };
        check(r#"{"chosen": "a", "rejected": "b"}"#, 1.0);
        check(r#"{"chosen": [{"role": "user", "content": "Q"}, {"content": "b"}], "rejected": "a"}"#, 0.0);
        check(r#"{"responses": ["a", "b"], "p_second": 0.25, "other": 1}"#, 0.75);
        check(r#"{"preferences": [{"first": "b", "second": "a", "probability": 0.25}]}"#, 0.75);
        // Judged twice.
        check(r#"{"chosen": "a", "rejected": "b", "responses": ["a", "b"], "p_second": 0.5}"#, 0.75);
    }

    #[test]
    fn what_nobody_judged_is_no_verdict() {
        let check = |metadata: &str, part: &str| {
            let failure = p(metadata, "a", "c").unwrap_err();
            assert!(failure.reason.contains(part), "{failure}");
        };
        check(r#"{"chosen": "a", "rejected": "b"}"#, "nobody judged");
        check("{}", "the row has 0 pairs");
        check(r#"{"chosen": "a"}"#, "expected both");
        check(r#"{"responses": ["a", "b", "c"], "p_second": 0.5}"#, "3 responses");
        check(r#"{"preferences": [{"first": "a", "second": "c", "probability": 1.5}]}"#, "1.5");
        assert_eq!(p("{}", "a", "a"), Ok(0.5));
    }
}
