//! `attribute-committee`: reward models that vote.
//!
//! p(y ≻ y′) is the share of the granted models that score y at least as high as y′: the judge of the paper's `HelpSteer2` experiment
//! (arXiv 2512.16626), with one model an attribute. Where attributes disagree it is intransitive. With `ties = "first"`, as in
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
        if penalty.is_finite() && penalty >= 0.0 {
            Ok(Self { parameters })
        } else {
            Err(format!("parameter 'missing_eos_penalty' is {penalty}, it must be 0 or more").into())
        }
    }
}

/// One model's scores of both responses of a pair.
type Scores = Result<[f64; 2], Failure>;

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
                scores.push(only(name, first).and_then(|first| Ok([first, only(name, second)?])));
            }
            of_members.push(scores);
        }
        let outcome = |(place, pair): (usize, &Comparison)| {
            let of_pair: Result<Vec<[f64; 2]>, Failure> =
                of_members.iter().map(|scores| scores[place].clone()).collect();
            Ok(self.verdict(pair, &names, &of_pair?))
        };
        Ok(batch.iter().enumerate().map(outcome).collect())
    }
}

impl AttributeCommittee {
    fn verdict(&self, pair: &Comparison, names: &[String], scores: &[[f64; 2]]) -> Verdict {
        let penalty = |response: &Response| if response.finished { 0.0 } else { self.parameters.missing_eos_penalty };
        let mut votes = Vec::with_capacity(names.len());
        for (name, [first, second]) in names.iter().zip(scores) {
            let (first, second) = (first - penalty(&pair.first), second - penalty(&pair.second));
            let vote = match (first.total_cmp(&second), self.parameters.ties) {
                (std::cmp::Ordering::Greater, _) | (std::cmp::Ordering::Equal, Ties::First) => 1.0,
                (std::cmp::Ordering::Equal, Ties::Half) => 0.5,
                (std::cmp::Ordering::Less, _) => 0.0,
            };
            votes.push(Attribute::new(name, vote).because(format!("{first:.4} against {second:.4}")));
        }
        let share = votes.iter().map(|vote| vote.value).sum::<f64>() / votes.len() as f64;
        votes.into_iter().fold(Verdict::new(share), Verdict::with)
    }
}

/// A member has one label.
fn only(name: &str, answer: Result<Vec<NamedValue>, Fault>) -> Result<f64, Failure> {
    match answer?.as_slice() {
        [value] => Ok(value.value),
        values => {
            Err(format!("the model '{name}' has {} labels; a member of the committee has one", values.len()).into())
        }
    }
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
        AttributeCommittee::new(Parameters { ties, missing_eos_penalty: 1.0 }).unwrap()
    }

    #[test]
    fn members_vote_and_ties_count_as_it_is_said() {
        let names = ["x", "y", "z", "w"].map(str::to_owned);
        let scores = [[1.0, 0.0], [0.5, 0.5], [0.0, 2.0], [3.0, 1.0]];
        let share = |ties, finished| committee(ties).verdict(&pair(finished), &names, &scores).probability;
        assert_eq!((share(Ties::First, true), share(Ties::Half, true)), (0.75, 0.625));
        // The cut response loses its tie, and ties where it won by as much as the penalty.
        assert_eq!(share(Ties::First, false), 0.5);
    }

    #[test]
    fn a_share_of_ties_is_no_bias_of_position() {
        let names = ["x".to_owned(), "y".to_owned()];
        let of = |scores| committee(Ties::First).verdict(&pair(true), &names, scores).probability;
        assert_eq!(of(&[[1.0, 1.0], [2.0, 0.0]]) + of(&[[1.0, 1.0], [0.0, 2.0]]) - 1.0, 0.5);
    }

    #[test]
    fn a_member_has_one_label() {
        let value = |name: &str| NamedValue { name: name.to_owned(), value: 1.0 };
        assert_eq!(only("x", Ok(vec![value("r")])), Ok(1.0));
        let failure = only("x", Ok(vec![value("r"), value("s")])).unwrap_err();
        assert!(failure.reason.contains("has 2 labels"), "{failure}");
    }
}
