//! `llm-judge`: a language model that chooses the better of two responses.
//!
//! The model is shown both responses under the labels A and B, and its probabilities of the two labels, given that it says one of
//! them, are the verdict. Every pair is asked in both orders, and the verdict is their mean: a preference for a position cancels.
//! The attributes keep both orders' votes, so that the record shows how large it was. What the labels together have of the
//! model's probability is said where it is small: then the model would rather say something else.
//!
//! ```toml
//! [judge]
//! plugin = "llm-judge"
//! parameters = { criteria = "Prefer the response that is correct." }
//! [judge.models.critic]
//! path = "smollm2-135m-instruct"
//! ```

use model_judges::{Answer, Orders, Question, TEMPLATE, ask};
use serde::Deserialize;
use slhf_sdk::models::{Evidence, Models};
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceWith, Verdict, manifest,
};

/// Below this share of the model's probability, the labels are hardly what it would say.
const LABEL_MASS_LOW: f64 = 0.5;

/// Parameters of `llm-judge`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// What makes a response better, in words; empty: the model's own idea.
    pub criteria: String,
    /// The question, with `{{prompt}}`, `{{first}}`, `{{second}}` and `{{criteria}}`; it asks for the letter A or B.
    pub template: String,
    /// Answers that are sampled where the model's server gives no log-probabilities; 0: such a server is refused.
    #[schemars(range(max = 1000))]
    pub frequency_of: u32,
    /// In which orders a pair is shown; default: in both.
    pub orders: Orders,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { criteria: String::new(), template: TEMPLATE.to_owned(), frequency_of: 0, orders: Orders::default() }
    }
}

/// The judge.
#[derive(Debug)]
pub struct LlmJudge {
    question: Question,
}

impl Plugin for LlmJudge {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which response a language model says is better")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { criteria, template, frequency_of, orders } = parameters;
        let evidence = match frequency_of {
            0 => Evidence::LogProbabilities,
            times => Evidence::FrequencyOf(times),
        };
        let question = Question { template, criteria, evidence, orders };
        question.check()?;
        Ok(Self { question })
    }
}

impl PreferenceWith<dyn Models> for LlmJudge {
    fn compare_with(&self, batch: &[Comparison], models: &(dyn Models + 'static)) -> Outcomes<Verdict> {
        let model = models.only()?;
        let answers = ask(models, &model, batch, std::slice::from_ref(&self.question))?;
        let missing = || Err(Failure::new("the model was not asked about this pair"));
        Ok(answers
            .into_iter()
            .map(|mut of_pair| of_pair.pop().unwrap_or_else(missing).map(|answer| verdict(&answer)))
            .collect())
    }
}

fn verdict(answer: &Answer) -> Verdict {
    let hint = if answer.label_mass < LABEL_MASS_LOW {
        format!("; A and B have only {:.3} of the model's probability", answer.label_mass)
    } else {
        String::new()
    };
    let verdict = Verdict::new(answer.probability())
        .with(Attribute::new("as_given", answer.as_given).because(format!("asked in the order given{hint}")));
    match answer.swapped {
        Some(swapped) => verdict.with(Attribute::new("swapped", swapped).because("asked in the other order")),
        None => verdict,
    }
}

slhf_sdk::export_preference!(LlmJudge, with models);

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::Response;
    use slhf_sdk::models::{
        Answers, Choice, ChoiceItem, Completion, CompletionItem, Context, Embedding, Fault, FaultKind, NamedValue,
    };

    /// Likes the longer response, and A a little more than B.
    struct Model;

    impl Models for Model {
        fn granted(&self) -> Vec<String> {
            vec!["critic".to_owned()]
        }

        fn choose(&self, model: &str, items: Vec<ChoiceItem>, _: Evidence) -> Answers<Choice> {
            assert_eq!(model, "critic");
            let one = |item: ChoiceItem| {
                let Context::Conversation(messages) = item.context else { return Err(fault("not a conversation")) };
                let text = &messages[0].content;
                let part = |from: &str, to: &str| text.split(from).nth(1).and_then(|rest| rest.split(to).next());
                let (Some(a), Some(b)) = (part("[Response A]\n", "\n\n["), part("[Response B]\n", "\n\nWhich")) else {
                    return Err(fault("no responses"));
                };
                if a.contains("unreadable") || b.contains("unreadable") {
                    return Err(fault("unreadable"));
                }
                let longer = a.len() as f64 - b.len() as f64;
                Ok(Choice { log_probabilities: vec![longer + 0.5, 0.0], sampled: 0 })
            };
            items.into_iter().map(one).collect()
        }

        fn complete(&self, _: &str, _: Vec<CompletionItem>) -> Answers<Completion> {
            Vec::new()
        }

        fn score(&self, _: &str, _: Vec<Vec<slhf_sdk::Message>>) -> Answers<Vec<NamedValue>> {
            Vec::new()
        }

        fn embed(&self, _: &str, _: Vec<String>) -> Answers<Embedding> {
            Vec::new()
        }
    }

    fn fault(reason: &str) -> Fault {
        Fault { kind: FaultKind::Malformed, reason: reason.to_owned() }
    }

    fn pair(first: &str, second: &str) -> Comparison {
        Comparison::new("Q", Response::new(first), Response::new(second))
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn a_preference_for_a_position_cancels_and_is_kept_to_be_seen() {
        let judge = LlmJudge::new(Parameters::default()).unwrap();
        let batch = [pair("aa", "a"), pair("a", "aa"), pair("a", "b"), pair("unreadable", "a")];
        let outcomes = judge.compare_with(&batch, &Model as &dyn Models).unwrap();
        let of = |at: usize| outcomes[at].as_ref().unwrap();
        let expected = 0.5 * (sigmoid(1.5) + 1.0 - sigmoid(-0.5));
        assert!((of(0).probability - expected).abs() < 1e-12);
        assert!((of(0).probability + of(1).probability - 1.0).abs() < 1e-15);
        assert!((of(2).probability - 0.5).abs() < 1e-12);
        let votes: Vec<f64> = of(2).attributes.iter().map(|vote| vote.value).collect();
        assert!((votes[0] - sigmoid(0.5)).abs() < 1e-12 && (votes[1] - sigmoid(-0.5)).abs() < 1e-12, "{votes:?}");
        assert_eq!(outcomes[3], Err(Failure::new("unreadable")));
    }

    #[test]
    fn in_one_order_the_preference_for_a_position_is_part_of_the_verdict() {
        let judge = LlmJudge::new(Parameters { orders: Orders::AsGiven, ..Parameters::default() }).unwrap();
        let outcomes = judge.compare_with(&[pair("a", "b"), pair("b", "a")], &Model as &dyn Models).unwrap();
        for outcome in outcomes {
            let verdict = outcome.unwrap();
            assert!((verdict.probability - sigmoid(0.5)).abs() < 1e-12);
            assert_eq!(verdict.attributes.len(), 1);
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        let bad = LlmJudge::new(Parameters { template: "{{first}}".to_owned(), ..Parameters::default() });
        assert!(bad.is_err_and(|failure| failure.reason.contains("{{second}}")));
    }
}
