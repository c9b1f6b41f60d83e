//! `attributes`: a majority vote over several attributes of each response.
//!
//! Each attribute votes for the response that has more of it (or less, where `prefer = "lower"`); a tie counts half to
//! each side. Where attributes disagree, such a committee is intransitive: three restaurants, ranked by price, distance
//! and taste, can beat each other in a circle. The verdict lists every attribute's vote.
//!
//! Attributes are numbers (or `true`/`false`, as 1 and 0) in the responses' metadata. A missing attribute is a failure
//! of that comparison, never half a vote. With `measure` an attribute is measured of the text itself, so that answers of
//! a language model have attributes too; with `scale` its vote grows with the difference, p = σ(difference / scale),
//! instead of being the whole vote for whoever has more.
//!
//! ```toml
//! [judge]
//! plugin = "attributes"
//! [[judge.parameters.attributes]]
//! name = "taste"
//! [[judge.parameters.attributes]]
//! name = "price"
//! prefer = "lower"
//! weight = 2.0
//! [[judge.parameters.attributes]]
//! name = "brevity"
//! measure = "words"
//! prefer = "lower"
//! scale = 3.0
//! ```

mod measure;

use serde::Deserialize;
use slhf_sdk::serde_json::{Map, Value};
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Response, Verdict, manifest, short,
};

pub use measure::Measure;

use measure::Measured;

/// Parameters of `attributes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The attributes that vote; at least one.
    #[schemars(length(min = 1))]
    pub attributes: Vec<Criterion>,
    /// What becomes of the votes.
    #[serde(default)]
    pub rule: Rule,
}

/// An attribute that votes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its key in the responses' metadata; only a name where `measure` is given.
    pub name: String,
    /// What is measured of the response's text instead.
    pub measure: Option<Measure>,
    /// Which response it votes for.
    #[serde(default)]
    pub prefer: Direction,
    /// How many votes it has; above 0.
    #[serde(default = "one_vote")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub weight: f64,
    /// Values that differ by this much or less are a tie; in the attribute's unit, at least 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub tie_margin: f64,
    /// Difference at which 1/(1 + 1/e) ≈ 0.731 of its votes go to the better response, in the attribute's unit, above 0.
    /// Without it all of them do, at any difference.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scale: Option<f64>,
}

/// Which response an attribute votes for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The one that has more.
    #[default]
    Higher,
    /// The one that has less.
    Lower,
}

/// What becomes of the votes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// More than half of the votes: 1; less: 0; exactly half: 0.5.
    #[default]
    Majority,
    /// The share of the votes.
    Share,
}

const fn one_vote() -> f64 {
    1.0
}

/// The judge.
#[derive(Debug)]
pub struct Attributes {
    criteria: Vec<Criterion>,
    rule: Rule,
    votes: f64,
}

impl Plugin for Attributes {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which response the majority of its attributes favours").complementary()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { attributes, rule } = parameters;
        if attributes.is_empty() {
            return Err("parameter 'attributes' is empty: name at least one attribute".into());
        }
        for (index, criterion) in attributes.iter().enumerate() {
            let Criterion { name, weight, tie_margin, scale, .. } = criterion;
            if let Some(scale) = scale.filter(|scale| !(scale.is_finite() && *scale > 0.0)) {
                return Err(
                    format!("parameter 'attributes[{index}].scale' ('{name}') is {scale}, it must be above 0").into()
                );
            }
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(format!(
                    "parameter 'attributes[{index}].weight' ('{name}') is {weight}, it must be above 0"
                )
                .into());
            }
            if !(tie_margin.is_finite() && *tie_margin >= 0.0) {
                return Err(format!(
                    "parameter 'attributes[{index}].tie_margin' ('{name}') is {tie_margin}, it must be at least 0"
                )
                .into());
            }
            if attributes[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(format!(
                    "parameter 'attributes[{index}].name' is '{name}' a second time: give it more weight instead"
                )
                .into());
            }
        }
        let votes = attributes.iter().map(|criterion| criterion.weight).sum();
        Ok(Self { criteria: attributes, rule, votes })
    }
}

impl Preference for Attributes {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let prompt = slhf_sdk::text::content_stems(asked(comparison));
        let first = Values { response: &comparison.first, prompt: &prompt };
        let second = Values { response: &comparison.second, prompt: &prompt };
        let (mut for_first, mut for_second) = (0.0, 0.0);
        let mut attributes = Vec::with_capacity(self.criteria.len());
        for criterion in &self.criteria {
            let (left, right) = (first.of(criterion)?, second.of(criterion)?);
            let vote = criterion.vote(left.value, right.value);
            for_first += criterion.weight * vote;
            for_second += criterion.weight * (1.0 - vote);
            let reason = format!("{} against {}", left.shown, right.shown);
            attributes.push(Attribute::new(&criterion.name, vote).because(reason));
        }
        Ok(Verdict { probability: self.decide(for_first, for_second), attributes })
    }
}

impl Attributes {
    fn decide(&self, for_first: f64, for_second: f64) -> f64 {
        match self.rule {
            // Both sums are compared rather than one with half of all: 0.1 + 0.2 against 0.3 stays what it looks like
            // from either side.
            Rule::Majority if (for_first - for_second).abs() <= 1e-12 * self.votes => 0.5,
            Rule::Majority if for_first > for_second => 1.0,
            Rule::Majority => 0.0,
            Rule::Share => 0.5 + 0.5 * (for_first - for_second) / self.votes,
        }
        .clamp(0.0, 1.0)
    }
}

impl Criterion {
    /// 1 for the first response, 0 for the second, ½ for a tie.
    fn vote(&self, first: f64, second: f64) -> f64 {
        let advantage = match self.prefer {
            Direction::Higher => first - second,
            Direction::Lower => second - first,
        };
        if advantage.abs() <= self.tie_margin {
            0.5
        } else if let Some(scale) = self.scale {
            sigmoid(advantage / scale)
        } else if advantage > 0.0 {
            1.0
        } else {
            0.0
        }
    }
}

/// The attributes of one response to a prompt with these content words.
struct Values<'pair> {
    response: &'pair Response,
    prompt: &'pair [String],
}

impl Values<'_> {
    fn of(&self, criterion: &Criterion) -> Result<Measured, Failure> {
        match criterion.measure {
            Some(measure) => Ok(measure.of(self.prompt, self.response)),
            None => self.stated(&criterion.name).map(Measured::plain),
        }
    }

    fn stated(&self, name: &str) -> Result<f64, Failure> {
        let metadata: Map<String, Value> = self.response.read_metadata()?;
        let text = || short(&self.response.text);
        match metadata.get(name) {
            Some(Value::Number(number)) => Ok(number.as_f64().unwrap_or(f64::NAN)),
            Some(Value::Bool(flag)) => Ok(f64::from(u8::from(*flag))),
            Some(other) => {
                Err(format!("attribute '{name}' of response {:?} is {other}, a number was expected", text()).into())
            }
            None => Err(format!("response {:?} has no attribute '{name}' in its metadata", text()).into()),
        }
    }
}

/// What the responses answer: the last thing the user said.
fn asked(comparison: &Comparison) -> &str {
    let last = comparison.messages.iter().rev().find(|message| message.role == "user");
    last.map_or(&comparison.prompt, |message| &message.content)
}

/// 1 / (1 + e^−x), without overflow, and with σ(x) + σ(−x) = 1 to the last bit.
fn sigmoid(x: f64) -> f64 {
    let upper = 1.0 / (1.0 + (-x.abs()).exp());
    if x >= 0.0 { upper } else { 1.0 - upper }
}

slhf_sdk::export_preference!(Attributes);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::parameters;

    fn judge(parameters: &str) -> Result<Attributes, Failure> {
        parameters::read(parameters).and_then(Attributes::new)
    }

    fn pair(first: &str, second: &str) -> Comparison {
        Comparison::new("Q", Response::new("A").with_metadata(first), Response::new("B").with_metadata(second))
    }

    fn probability(parameters: &str, first: &str, second: &str) -> f64 {
        let judge = judge(parameters).unwrap();
        let straight = judge.compare(&pair(first, second)).unwrap().probability;
        let swapped = judge.compare(&pair(second, first)).unwrap().probability;
        assert_eq!(straight + swapped, 1.0, "complementary");
        straight
    }

    const THREE: &str = r#"{"attributes": [{"name": "x"}, {"name": "y"}, {"name": "z"}]}"#;

    #[test]
    fn a_committee_can_be_intransitive() {
        let (a, b, c) = (r#"{"x":3,"y":1,"z":2}"#, r#"{"x":2,"y":3,"z":1}"#, r#"{"x":1,"y":2,"z":3}"#);
        for (winner, loser) in [(a, b), (b, c), (c, a)] {
            assert_eq!(probability(THREE, winner, loser), 1.0);
        }
        let share = THREE.replace("]}", r#"], "rule": "share"}"#);
        assert!((probability(&share, a, b) - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn ties_count_half_to_each_side() {
        assert_eq!(probability(THREE, r#"{"x":1,"y":1,"z":1}"#, r#"{"x":1,"y":1,"z":1}"#), 0.5);
        assert_eq!(probability(THREE, r#"{"x":1,"y":2,"z":1}"#, r#"{"x":1,"y":1,"z":1}"#), 1.0);
        assert_eq!(probability(THREE, r#"{"x":1,"y":2,"z":1}"#, r#"{"x":1,"y":1,"z":2}"#), 0.5);
        let margin = r#"{"attributes": [{"name": "x", "tie_margin": 0.5}]}"#;
        assert_eq!(probability(margin, r#"{"x":1.5}"#, r#"{"x":1}"#), 0.5);
        assert_eq!(probability(margin, r#"{"x":1.6}"#, r#"{"x":1}"#), 1.0);
    }

    #[test]
    fn direction_and_weight_count() {
        let parameters = r#"{"attributes": [{"name": "taste"}, {"name": "price", "prefer": "lower", "weight": 2}]}"#;
        assert_eq!(probability(parameters, r#"{"taste":1,"price":5}"#, r#"{"taste":9,"price":6}"#), 1.0);
        // 0.1 + 0.2 against 0.3: a tie, although the sums differ in floating point.
        let tenths = r#"{"attributes": [{"name": "x", "weight": 0.1}, {"name": "y", "weight": 0.2}, {"name": "z", "weight": 0.3}]}"#;
        assert_eq!(probability(tenths, r#"{"x":1,"y":1,"z":0}"#, r#"{"x":0,"y":0,"z":1}"#), 0.5);
    }

    #[test]
    fn the_verdict_lists_every_vote() {
        let verdict =
            judge(THREE).unwrap().compare(&pair(r#"{"x":3,"y":1,"z":true}"#, r#"{"x":2,"y":1,"z":1}"#)).unwrap();
        let votes: Vec<(&str, f64, &str)> =
            verdict.attributes.iter().map(|vote| (vote.name.as_str(), vote.value, vote.reason.as_str())).collect();
        assert_eq!(votes, [("x", 1.0, "3 against 2"), ("y", 0.5, "1 against 1"), ("z", 0.5, "1 against 1")]);
    }

    #[test]
    fn a_missing_attribute_is_a_failure() {
        let check = |second, expected| {
            let judge = judge(r#"{"attributes": [{"name": "x"}]}"#).unwrap();
            assert_eq!(judge.compare(&pair(r#"{"x":1}"#, second)).unwrap_err().reason, expected);
        };
        check("{}", "response \"B\" has no attribute 'x' in its metadata");
        check(r#"{"x":"high"}"#, "attribute 'x' of response \"B\" is \"high\", a number was expected");
        check(
            "[]",
            "the metadata of response \"B\" cannot be read: invalid type: sequence, expected a map at line 1 column 0",
        );
    }

    #[test]
    fn a_scale_makes_votes_grow_with_the_difference() {
        let parameters = r#"{"attributes": [{"name": "x", "scale": 2}], "rule": "share"}"#;
        let found = probability(parameters, r#"{"x":4}"#, r#"{"x":2}"#);
        assert!((found - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
        assert_eq!(probability(parameters, r#"{"x":4}"#, r#"{"x":4}"#), 0.5);
    }

    /// Three answers that beat each other in a circle: brevity, coverage and detail each rank them another way.
    #[test]
    fn texts_have_attributes_without_metadata() {
        let parameters = r#"{"attributes": [
            {"name": "brevity", "measure": "words", "prefer": "lower"},
            {"name": "coverage", "measure": "coverage"},
            {"name": "detail", "measure": "own_words"}]}"#;
        let judge = judge(parameters).unwrap();
        let prompt = "Why do autumn leaves change colour?";
        let (brief, faithful, detailed) = (
            "Their green chlorophyll drains.",
            "Autumn leaves change colour because chlorophyll fades.",
            "When autumn days grow short the green pigment breaks down, so yellow and orange pigments show through.",
        );
        let wins = |first: &str, second: &str| {
            let pair = Comparison::new(prompt, Response::new(first), Response::new(second));
            judge.compare(&pair).unwrap().probability
        };
        assert_eq!([wins(brief, faithful), wins(faithful, detailed), wins(detailed, brief)], [1.0; 3]);
        let verdict = judge.compare(&Comparison::new(prompt, Response::new(faithful), Response::new(brief))).unwrap();
        let votes: Vec<(&str, f64, &str)> =
            verdict.attributes.iter().map(|vote| (vote.name.as_str(), vote.value, vote.reason.as_str())).collect();
        assert_eq!(
            votes,
            [
                ("brevity", 0.0, "7 words against 4 words"),
                ("coverage", 1.0, "4 of 4 content words against 0 of 4 content words"),
                ("detail", 0.0, "2 own words against 3 own words"),
            ]
        );
    }

    #[test]
    fn bad_parameters_are_named() {
        let check = |json, expected| assert_eq!(judge(json).unwrap_err().reason, expected);
        check(r#"{"attributes": []}"#, "parameter 'attributes' is empty: name at least one attribute");
        check(
            r#"{"attributes": [{"name": "x", "weight": 0}]}"#,
            "parameter 'attributes[0].weight' ('x') is 0, it must be above 0",
        );
        check(
            r#"{"attributes": [{"name": "x"}, {"name": "x"}]}"#,
            "parameter 'attributes[1].name' is 'x' a second time: give it more weight instead",
        );
        check(
            r#"{"attributes": [{"name": "x", "prefer": "more"}]}"#,
            "parameter 'attributes[0].prefer' is not right: unknown variant 'more', expected 'higher' or 'lower'",
        );
        check(
            r#"{"attributes": [{"name": "x", "direction": "lower"}]}"#,
            "parameter 'direction' in 'attributes[0]' is unknown (known here: name, measure, prefer, weight, tie_margin, scale)",
        );
        check(
            r#"{"attributes": [{"name": "x", "scale": 0}]}"#,
            "parameter 'attributes[0].scale' ('x') is 0, it must be above 0",
        );
    }
}
