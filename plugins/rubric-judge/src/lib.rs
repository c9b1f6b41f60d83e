//! `rubric-judge`: a language model that judges by several criteria.
//!
//! Every criterion is a question of its own about the pair, asked in both orders; all of them go to the model in one call. The
//! verdict is the mean of the criteria's votes by their weights, and each vote is an attribute.
//!
//! ```toml
//! [judge]
//! plugin = "rubric-judge"
//! [[judge.parameters.criteria]]
//! name = "correct"
//! question = "Prefer the response whose statements are true."
//! weight = 2.0
//! [[judge.parameters.criteria]]
//! name = "brief"
//! question = "Prefer the response that says it in fewer words."
//! [judge.models.critic]
//! path = "smollm2-135m-instruct"
//! ```

use model_judges::{Answer, Orders, Question, TEMPLATE, ask};
use serde::Deserialize;
use slhf_sdk::models::{Evidence, Models};
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceWith, Verdict, manifest,
};

/// One criterion.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its name, which its votes are recorded under.
    pub name: String,
    /// What makes a response better by it, in words.
    pub question: String,
    /// Its weight, above 0; default: 1.
    #[serde(default = "one")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

/// Parameters of `rubric-judge`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The criteria, at least one.
    #[schemars(length(min = 1, max = 32))]
    pub criteria: Vec<Criterion>,
    /// The question, with `{{prompt}}`, `{{first}}`, `{{second}}` and `{{criteria}}`; it asks for the letter A or B.
    #[serde(default = "usual_template")]
    pub template: String,
    /// Answers that are sampled where the model's server gives no log-probabilities; 0: such a server is refused.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub frequency_of: u32,
}

fn usual_template() -> String {
    TEMPLATE.to_owned()
}

/// The judge.
#[derive(Debug)]
pub struct RubricJudge {
    criteria: Vec<Criterion>,
    questions: Vec<Question>,
}

impl Plugin for RubricJudge {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which response a language model says is better by each of several criteria, and by all of them")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { criteria, template, frequency_of } = parameters;
        if criteria.is_empty() {
            return Err("parameter 'criteria' is empty: name at least one".into());
        }
        for (index, criterion) in criteria.iter().enumerate() {
            if !(criterion.weight.is_finite() && criterion.weight > 0.0) {
                return Err(format!(
                    "parameter 'criteria[{index}].weight' is {}, it must be above 0",
                    criterion.weight
                )
                .into());
            }
            if criterion.question.trim().is_empty() || criterion.name.trim().is_empty() {
                return Err(format!("parameter 'criteria[{index}]' has no name or no question").into());
            }
            if criteria[..index].iter().any(|earlier| earlier.name == criterion.name) {
                return Err(format!("parameter 'criteria' names '{}' twice", criterion.name).into());
            }
        }
        let evidence = match frequency_of {
            0 => Evidence::LogProbabilities,
            times => Evidence::FrequencyOf(times),
        };
        let question = |criterion: &Criterion| Question {
            template: template.clone(),
            criteria: criterion.question.clone(),
            evidence,
            orders: Orders::Both,
        };
        let questions: Vec<Question> = criteria.iter().map(question).collect();
        questions.iter().try_for_each(Question::check)?;
        Ok(Self { criteria, questions })
    }
}

impl PreferenceWith<dyn Models> for RubricJudge {
    fn compare_with(&self, batch: &[Comparison], models: &(dyn Models + 'static)) -> Outcomes<Verdict> {
        let model = models.only()?;
        let answers = ask(models, &model, batch, &self.questions)?;
        Ok(answers.into_iter().map(|answers| self.verdict(answers)).collect())
    }
}

impl RubricJudge {
    /// A criterion without an answer leaves the pair without a verdict.
    fn verdict(&self, answers: Vec<Result<Answer, Failure>>) -> Result<Verdict, Failure> {
        let total: f64 = self.criteria.iter().map(|criterion| criterion.weight).sum();
        let mut sum = 0.0;
        let mut votes = Vec::with_capacity(answers.len());
        for (criterion, answer) in self.criteria.iter().zip(answers) {
            let answer = answer.map_err(|failure| Failure::new(format!("{}: {}", criterion.name, failure.reason)))?;
            let vote = answer.probability();
            // About ½, so that both orders of a pair add up to 1 in floating point, too.
            sum += criterion.weight * (vote - 0.5);
            let swapped =
                answer.swapped.map_or_else(String::new, |swapped| format!(", {swapped:.3} in the other order"));
            let orders = format!("{:.3} as given{swapped}", answer.as_given);
            votes.push(Attribute::new(&criterion.name, vote).because(orders));
        }
        let verdict = Verdict::new((0.5 + sum / total).clamp(0.0, 1.0));
        Ok(votes.into_iter().fold(verdict, Verdict::with))
    }
}

slhf_sdk::export_preference!(RubricJudge, with models);

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(name: &str, weight: f64) -> Criterion {
        Criterion { name: name.to_owned(), question: "Better?".to_owned(), weight }
    }

    fn judge(criteria: Vec<Criterion>) -> Result<RubricJudge, Failure> {
        RubricJudge::new(Parameters { criteria, template: usual_template(), frequency_of: 0 })
    }

    fn answer(as_given: f64, swapped: f64) -> Answer {
        Answer { as_given, swapped: Some(swapped), label_mass: 1.0 }
    }

    #[test]
    fn votes_are_weighed_and_kept() {
        let judge = judge(vec![criterion("a", 3.0), criterion("b", 1.0)]).unwrap();
        let verdict = judge.verdict(vec![Ok(answer(1.0, 0.5)), Ok(answer(0.0, 0.0))]).unwrap();
        assert!((verdict.probability - 0.75 * 0.75).abs() < 1e-12);
        let votes: Vec<(&str, f64)> = verdict.attributes.iter().map(|vote| (vote.name.as_str(), vote.value)).collect();
        assert_eq!(votes, [("a", 0.75), ("b", 0.0)]);
        let missing = judge.verdict(vec![Ok(answer(1.0, 1.0)), Err("it is silent".into())]);
        assert_eq!(missing, Err(Failure::new("b: it is silent")));
    }

    #[test]
    fn bad_criteria_are_refused() {
        for (criteria, part) in [
            (vec![], "at least one"),
            (vec![criterion("a", 0.0)], "criteria[0].weight"),
            (vec![criterion("a", 1.0), criterion("a", 1.0)], "'a' twice"),
            (vec![criterion(" ", 1.0)], "no name"),
        ] {
            let failure = judge(criteria).unwrap_err();
            assert!(failure.reason.contains(part), "{failure}");
        }
    }
}
