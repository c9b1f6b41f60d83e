//! A judge that asks a model: the experiment grants it one under `[judge.models.NAME]`.
//!
//! This one shows the model both responses and takes its probabilities of the letters A and B, in both orders. Put your own words into
//! `question`.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_sdk::models::{Choice, ChoiceItem, Context, Evidence, Fault, Models};
use slhf_sdk::{Attribute, Comparison, Failure, Manifest, Outcomes, Plugin, PreferenceWith, Verdict, manifest};

/// What an experiment may set under `[judge] parameters`: nothing yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {}

/// The judge.
#[derive(Debug)]
pub struct Judge;

impl Plugin for Judge {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which response a language model says is better, asked in both orders").complementary()
    }

    fn new(_: Parameters) -> Result<Self, Failure> {
        Ok(Self)
    }
}

fn question(comparison: &Comparison) -> ChoiceItem {
    let (prompt, first, second) = (&comparison.prompt, &comparison.first.text, &comparison.second.text);
    ChoiceItem {
        context: Context::asked(format!(
            "Which response to the prompt is better?\n\n[Prompt]\n{prompt}\n\n[Response A]\n{first}\n\n[Response B]\n{second}\n\n\
             Reply with the letter A or the letter B, and nothing else."
        )),
        continuations: vec!["A".to_owned(), "B".to_owned()],
        draw: comparison.draw,
    }
}

impl PreferenceWith<dyn Models> for Judge {
    fn compare_with(&self, batch: &[Comparison], models: &(dyn Models + 'static)) -> Outcomes<Verdict> {
        // Asked once, for the whole batch: a device and a server work on many questions side by side.
        let both_orders = |comparison: &Comparison| [question(comparison), question(&comparison.swapped())];
        let outcomes =
            models.choose(&models.only()?, batch.iter().flat_map(both_orders).collect(), Evidence::LogProbabilities);
        let mut outcomes = outcomes.into_iter();
        let mut next = || outcomes.next().unwrap_or_else(|| Ok(Choice { log_probabilities: Vec::new(), sampled: 0 }));
        Ok(batch.iter().map(|_| verdict(next(), next())).collect())
    }
}

fn verdict(straight: Result<Choice, Fault>, swapped: Result<Choice, Fault>) -> Result<Verdict, Failure> {
    let (straight, swapped) = (straight?.shares(), swapped?.shares());
    let ([as_given, _], [_, in_the_other_order]) = (straight.as_slice(), swapped.as_slice()) else {
        return Err("the model did not look at both letters".into());
    };
    // In the other order the first response has the second letter. Exactly complementary in floating point, too.
    let probability = (0.5 + 0.5 * ((as_given - 0.5) + (in_the_other_order - 0.5))).clamp(0.0, 1.0);
    Ok(Verdict::new(probability)
        .with(Attribute::new("as_given", *as_given))
        .with(Attribute::new("swapped", *in_the_other_order)))
}

slhf_sdk::export_preference!(Judge, with models);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::models::{Answers, Completion, CompletionItem, Embedding, FaultKind, NamedValue};
    use slhf_sdk::{Message, Response};

    /// A model that says A whatever stands there, and cannot read a question about stones.
    struct LikesTheFirst;

    impl Models for LikesTheFirst {
        fn granted(&self) -> Vec<String> {
            vec!["critic".to_owned()]
        }

        fn choose(&self, model: &str, items: Vec<ChoiceItem>, _: Evidence) -> Answers<Choice> {
            assert_eq!(model, "critic");
            let one = |item: ChoiceItem| match item.context {
                Context::Conversation(messages) if messages[0].content.contains("stone") => {
                    Err(Fault { kind: FaultKind::Malformed, reason: "no stones".to_owned() })
                }
                _ => Ok(Choice { log_probabilities: vec![-0.1, -2.0], sampled: 0 }),
            };
            items.into_iter().map(one).collect()
        }

        fn complete(&self, _: &str, _: Vec<CompletionItem>) -> Answers<Completion> {
            Vec::new()
        }

        fn score(&self, _: &str, _: Vec<Vec<Message>>) -> Answers<Vec<NamedValue>> {
            Vec::new()
        }

        fn embed(&self, _: &str, _: Vec<String>) -> Answers<Embedding> {
            Vec::new()
        }
    }

    #[test]
    fn a_preference_for_a_place_cancels() {
        let pair = |prompt| Comparison::new(prompt, Response::new("a"), Response::new("b"));
        let outcomes = Judge.compare_with(&[pair("Say hello"), pair("stone")], &LikesTheFirst as &dyn Models).unwrap();
        let verdict = outcomes[0].as_ref().unwrap();
        assert!((verdict.probability - 0.5).abs() < 1e-15 && verdict.attributes[0].value > 0.8);
        assert_eq!(outcomes[1], Err(Failure::new("no stones")));
    }
}
