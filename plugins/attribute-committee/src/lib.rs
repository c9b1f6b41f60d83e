//! `attribute-committee`: reward models that vote.
//!
//! p(y ≻ y′) is the share of members that score y at least as high as y′: the granted models, or the labels of a model that has
//! several. With `weights` it is their weighted share. It is the judge of the paper's `HelpSteer2` experiment
//! (arXiv 2512.16626), with one model, or one head of one model, an attribute. Where attributes disagree it is intransitive. With `ties = "first"`, as in
//! the paper, a tie counts for the first response: p(y ≻ y′) + p(y′ ≻ y) − 1 is the share of ties, without any preference for a
//! position; with `"half"` it counts for each half.
//!
//! ```toml
//! [judge]
//! plugin = "attribute-committee"
//! [judge.models.correctness]
//! path = "rm-correctness"
//! [judge.models.verbosity]
//! path = "rm-verbosity"
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use slhf_sdk::models::{Fault, Models, NamedValue};
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Message, Outcomes, Plugin, PreferenceWith, Response, Verdict,
    manifest,
};

/// What a tie counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// For the first response: "at least as high".
    #[default]
    First,
    /// For each response half.
    Half,
}

/// Parameters of `attribute-committee`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// What a tie counts for.
    pub ties: Ties,
    /// What is taken off every score of a response that the length limit cut; the paper: 1.
    #[schemars(range(min = 0))]
    pub missing_eos_penalty: f64,
    /// How many votes a member has, by its name, above 0; 1 where it is not named.
    pub weights: BTreeMap<String, f64>,
}

/// The judge.
#[derive(Debug)]
pub struct AttributeCommittee {
    parameters: Parameters,
}

impl Plugin for AttributeCommittee {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("the share of several reward models that score the first response at least as high")
            .length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let penalty = parameters.missing_eos_penalty;
        if !(penalty.is_finite() && penalty >= 0.0) {
            return Err(format!("parameter 'missing_eos_penalty' is {penalty}, it must be 0 or more").into());
        }
        match parameters.weights.iter().find(|(_, weight)| !(weight.is_finite() && **weight > 0.0)) {
            Some((name, weight)) => Err(format!("parameter 'weights.{name}' is {weight}, it must be above 0").into()),
            None => Ok(Self { parameters }),
        }
    }
}

/// One model's scores of both responses of a pair, a label each.
type Scores = Result<Vec<[NamedValue; 2]>, Failure>;

/// A vote of the committee, before it is counted.
type Member = (String, [f64; 2]);

impl PreferenceWith<dyn Models> for AttributeCommittee {
    fn compare_with(&self, batch: &[Comparison], models: &(dyn Models + 'static)) -> Outcomes<Verdict> {
        let names = models.granted();
        if names.is_empty() {
            return Err("no model was granted: add a table [judge.models.NAME] for each member of the committee".into());
        }
        let conversations: Vec<Vec<Message>> = batch
            .iter()
            .flat_map(|pair| [pair.conversation_with(&pair.first), pair.conversation_with(&pair.second)])
            .collect();
        let mut of_members: Vec<Vec<Scores>> = Vec::with_capacity(names.len());
        for name in &names {
            let answers = models.score(name, conversations.clone());
            if answers.len() != conversations.len() {
                let (found, asked) = (answers.len(), conversations.len());
                return Err(format!("the model '{name}' gave {found} scores to {asked} responses").into());
            }
            let mut answers = answers.into_iter();
            let mut scores = Vec::with_capacity(batch.len());
            while let (Some(first), Some(second)) = (answers.next(), answers.next()) {
                scores.push(both(name, first, second));
            }
            of_members.push(scores);
        }
        let outcome = |(place, pair): (usize, &Comparison)| {
            let mut members = Vec::new();
            for (name, scores) in names.iter().zip(&of_members) {
                members.extend(members_of(name, scores[place].clone()?, names.len()));
            }
            self.check_weights(&members)?;
            Ok(self.verdict(pair, members))
        };
        Ok(batch.iter().enumerate().map(outcome).collect())
    }
}

impl AttributeCommittee {
    /// A weight of nobody is a slip.
    fn check_weights(&self, members: &[Member]) -> Result<(), Failure> {
        let is_member = |name: &String| members.iter().any(|(member, _)| member == name);
        let Some(name) = self.parameters.weights.keys().find(|name| !is_member(name)) else { return Ok(()) };
        let known: Vec<&str> = members.iter().map(|(member, _)| member.as_str()).collect();
        Err(format!("parameter 'weights.{name}' is of no member (members: {})", known.join(", ")).into())
    }

    fn verdict(&self, pair: &Comparison, members: Vec<Member>) -> Verdict {
        let penalty = |response: &Response| if response.finished { 0.0 } else { self.parameters.missing_eos_penalty };
        let mut votes = Vec::with_capacity(members.len());
        let (mut won, mut all) = (0.0, 0.0);
        for (name, [first, second]) in members {
            let (first, second) = (first - penalty(&pair.first), second - penalty(&pair.second));
            let vote = match (first.total_cmp(&second), self.parameters.ties) {
                (std::cmp::Ordering::Greater, _) | (std::cmp::Ordering::Equal, Ties::First) => 1.0,
                (std::cmp::Ordering::Equal, Ties::Half) => 0.5,
                (std::cmp::Ordering::Less, _) => 0.0,
            };
            let weight = self.parameters.weights.get(&name).copied().unwrap_or(1.0);
            won += weight * vote;
            all += weight;
            votes.push(Attribute::new(&name, vote).because(format!("{first:.4} against {second:.4}")));
        }
        votes.into_iter().fold(Verdict::new(won / all), Verdict::with)
    }
}

/// Both responses' values of each label of a model.
fn both(
    name: &str,
    first: Result<Vec<NamedValue>, Fault>,
    second: Result<Vec<NamedValue>, Fault>,
) -> Result<Vec<[NamedValue; 2]>, Failure> {
    let (first, second) = (first?, second?);
    if first.is_empty() || first.len() != second.len() {
        let (one, other) = (first.len(), second.len());
        return Err(format!(
            "the model '{name}' gave {one} and {other} values; expected as many of both, at least one"
        )
        .into());
    }
    Ok(first.into_iter().zip(second).map(|(first, second)| [first, second]).collect())
}

/// A model with one label is a member under its own name; each label of a model with several is one.
fn members_of(model: &str, values: Vec<[NamedValue; 2]>, models: usize) -> Vec<Member> {
    let labels = values.len();
    let name = |label: &str| match (labels, models) {
        (1, _) => model.to_owned(),
        (_, 1) => label.to_owned(),
        _ => format!("{model}/{label}"),
    };
    values.into_iter().map(|[first, second]| (name(&first.name), [first.value, second.value])).collect()
}

slhf_sdk::export_preference!(AttributeCommittee, with models);

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(finished: bool) -> Comparison {
        let mut first = Response::new("a");
        first.finished = finished;
        Comparison::new("Q", first, Response::new("b"))
    }

    fn committee(ties: Ties) -> AttributeCommittee {
        AttributeCommittee::new(Parameters { ties, missing_eos_penalty: 1.0, weights: BTreeMap::new() }).unwrap()
    }

    #[test]
    fn members_vote_and_ties_count_as_it_is_said() {
        let scores = [("x", [1.0, 0.0]), ("y", [0.5, 0.5]), ("z", [0.0, 2.0]), ("w", [3.0, 1.0])];
        let members = || scores.map(|(name, scores)| (name.to_owned(), scores)).to_vec();
        let share = |ties, finished| committee(ties).verdict(&pair(finished), members()).probability;
        assert_eq!((share(Ties::First, true), share(Ties::Half, true)), (0.75, 0.625));
        // The cut response loses its tie, and ties where it won by as much as the penalty.
        assert_eq!(share(Ties::First, false), 0.5);
    }

    #[test]
    fn a_weighted_committee_is_the_weighted_mean_of_its_members() {
        let of = |weights: &[(&str, f64)]| {
            let weights = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
            AttributeCommittee::new(Parameters { ties: Ties::Half, weights, ..Parameters::default() })
        };
        let members = || {
            [("x", [1.0, 0.0]), ("y", [0.5, 0.5]), ("z", [0.0, 2.0])]
                .map(|(name, scores)| (name.to_owned(), scores))
                .to_vec()
        };
        let weighted = of(&[("x", 3.0), ("z", 0.5)]).unwrap();
        weighted.check_weights(&members()).unwrap();
        assert_eq!(weighted.verdict(&pair(true), members()).probability, (3.0 + 0.5) / 4.5);
        assert_eq!(of(&[]).unwrap().verdict(&pair(true), members()).probability, 0.5);
        let slip = of(&[("w", 2.0)]).unwrap().check_weights(&members()).unwrap_err();
        assert!(slip.reason.contains("parameter 'weights.w' is of no member (members: x, y, z)"), "{slip}");
        let nothing = of(&[("x", 0.0)]).unwrap_err();
        assert!(nothing.reason.contains("parameter 'weights.x' is 0, it must be above 0"), "{nothing}");
    }

    #[test]
    fn a_share_of_ties_is_no_bias_of_position() {
        let of = |x, y| {
            let members = vec![("x".to_owned(), x), ("y".to_owned(), y)];
            committee(Ties::First).verdict(&pair(true), members).probability
        };
        assert_eq!(of([1.0, 1.0], [2.0, 0.0]) + of([1.0, 1.0], [0.0, 2.0]) - 1.0, 0.5);
    }

    #[test]
    fn each_label_of_a_model_is_a_member() {
        let value = |name: &str, value: f64| NamedValue { name: name.to_owned(), value };
        let labels = || [[value("r", 1.0), value("r", 0.0)], [value("s", 2.0), value("s", 3.0)]].to_vec();
        let names = |models| members_of("x", labels(), models).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(1), ["r", "s"]);
        assert_eq!(names(2), ["x/r", "x/s"]);
        assert_eq!(members_of("x", labels()[..1].to_vec(), 2), [("x".to_owned(), [1.0, 0.0])]);
        let failure = both("x", Ok(vec![value("r", 1.0)]), Ok(Vec::new())).unwrap_err();
        assert!(failure.reason.contains("gave 1 and 0 values"), "{failure}");
    }
}
