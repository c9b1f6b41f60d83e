//! What judges that ask a language model share: the text of a question, and the answer in both orders.

use serde::Deserialize;
use slhf_sdk::models::{Choice, ChoiceItem, Context, Evidence, Fault, Models};
use slhf_sdk::{Comparison, Failure, JsonSchema};

/// The labels of the two responses, the first one first.
pub const LABELS: [&str; 2] = ["A", "B"];

/// The text around two responses, in which `{{prompt}}`, `{{first}}`, `{{second}}` and `{{criteria}}` are replaced.
pub const TEMPLATE: &str = "Compare two responses to the same prompt. {{criteria}}\n\n\
    [Prompt]\n{{prompt}}\n\n[Response A]\n{{first}}\n\n[Response B]\n{{second}}\n\n\
    Which response is better? Reply with the letter A or the letter B, and nothing else.";

/// In which orders a pair is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orders {
    /// In both; the verdict is their mean, in which a preference for a position cancels.
    #[default]
    Both,
    /// As it is given, for half of the cost: a preference for a position is part of the verdict.
    AsGiven,
}

/// How the question is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// See [`TEMPLATE`].
    pub template: String,
    /// What takes the place of `{{criteria}}`.
    pub criteria: String,
    /// What the choice may rest on.
    pub evidence: Evidence,
    /// How often it is asked.
    pub orders: Orders,
}

/// What a model said of one pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The share of the first response's label, asked in the order given.
    pub as_given: f64,
    /// The share of the first response's label, asked in the other order, if it was.
    pub swapped: Option<f64>,
    /// What the labels together have of the model's probability, the smaller of the orders; 1 for frequencies.
    pub label_mass: f64,
}

impl Answer {
    /// The mean of the orders: of both, exactly complementary in floating point, too.
    pub fn probability(&self) -> f64 {
        match self.swapped {
            Some(swapped) => (0.5 + 0.5 * ((self.as_given - 0.5) + (swapped - 0.5))).clamp(0.0, 1.0),
            None => self.as_given.clamp(0.0, 1.0),
        }
    }
}

impl Question {
    /// Checks the template.
    pub fn check(&self) -> Result<(), Failure> {
        for place in ["{{first}}", "{{second}}"] {
            if !self.template.contains(place) {
                return Err(format!("parameter 'template' has no {place}: it says where that response stands").into());
            }
        }
        if !self.criteria.is_empty() && !self.template.contains("{{criteria}}") {
            return Err("parameter 'criteria' is given, but 'template' has no {{criteria}}".into());
        }
        Ok(())
    }

    /// The questions about a pair: in the order given, and in the other one where both are asked.
    fn items(&self, comparison: &Comparison) -> Vec<ChoiceItem> {
        let item = |comparison: &Comparison, order: u64| ChoiceItem {
            context: Context::asked(self.text(comparison)),
            continuations: LABELS.map(str::to_owned).to_vec(),
            draw: comparison.draw.rotate_left(17) ^ order,
        };
        match self.orders {
            Orders::Both => vec![item(comparison, 0), item(&comparison.swapped(), 1)],
            Orders::AsGiven => vec![item(comparison, 0)],
        }
    }

    /// The question in words.
    pub fn text(&self, comparison: &Comparison) -> String {
        let prompt = conversation(comparison);
        let places = [
            ("{{prompt}}", prompt.as_str()),
            ("{{first}}", &comparison.first.text),
            ("{{second}}", &comparison.second.text),
            ("{{criteria}}", &self.criteria),
        ];
        fill(&self.template, &places)
    }
}

/// Asks all questions about all pairs at once: `[pair][question]`.
pub fn ask(
    models: &dyn Models,
    model: &str,
    batch: &[Comparison],
    questions: &[Question],
) -> Result<Vec<Vec<Result<Answer, Failure>>>, Failure> {
    let evidence = questions.first().map_or(Evidence::LogProbabilities, |question| question.evidence);
    let items: Vec<ChoiceItem> =
        batch.iter().flat_map(|comparison| questions.iter().flat_map(|question| question.items(comparison))).collect();
    let asked = items.len();
    let answers = models.choose(model, items, evidence);
    if answers.len() != asked {
        return Err(format!("the model '{model}' gave {} outcomes to {asked} questions", answers.len()).into());
    }
    let mut answers = answers.into_iter();
    let mut next = |question: &Question| {
        let as_given = answers.next()?;
        let swapped = match question.orders {
            Orders::Both => Some(answers.next()?),
            Orders::AsGiven => None,
        };
        Some(of_orders(as_given, swapped))
    };
    let of_pair = |_: &Comparison| questions.iter().filter_map(&mut next).collect();
    Ok(batch.iter().map(of_pair).collect())
}

fn of_orders(straight: Result<Choice, Fault>, swapped: Option<Result<Choice, Fault>>) -> Result<Answer, Failure> {
    let (straight, swapped) = (straight?, swapped.transpose()?);
    let first = |choice: &Choice| match choice.shares()[..] {
        [first, second] if first.is_finite() && second.is_finite() => Ok([first, second]),
        _ => Err(Failure::new("the model gave neither label any probability")),
    };
    let mass = |choice: &Choice| match choice.sampled {
        0 => choice.log_probabilities.iter().map(|value| value.exp()).sum::<f64>().min(1.0),
        _ => 1.0,
    };
    let label_mass = swapped.as_ref().map_or(1.0, mass).min(mass(&straight));
    // In the other order the first response has the second label.
    let swapped = swapped.as_ref().map(|choice| first(choice).map(|[_, second]| second)).transpose()?;
    Ok(Answer { as_given: first(&straight)?[0], swapped, label_mass })
}

/// The prompt as it was asked: of several turns, each with who said it.
fn conversation(comparison: &Comparison) -> String {
    match comparison.messages.as_slice() {
        [] | [_] => comparison.prompt.clone(),
        messages => {
            let turn = |message: &slhf_sdk::Message| format!("{}: {}", message.role, message.content);
            messages.iter().map(turn).collect::<Vec<_>>().join("\n\n")
        }
    }
}

/// Replaces every place once: what is put in is not looked at again, whatever it holds.
fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        if let Some((place, value)) = places.iter().find(|(place, _)| from.starts_with(place)) {
            text.push_str(value);
            rest = &from[place.len()..];
        } else {
            text.push_str("{{");
            rest = &from[2..];
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_sdk::{Message, Response};

    fn question(template: &str, criteria: &str) -> Question {
        let (template, criteria) = (template.to_owned(), criteria.to_owned());
        Question { template, criteria, evidence: Evidence::LogProbabilities, orders: Orders::Both }
    }

    #[test]
    fn what_a_response_says_is_no_template() {
        let comparison = Comparison::new("{{first}}", Response::new("{{second}}{{"), Response::new("b"));
        let text = question("{{prompt}}|{{first}}|{{second}}|{{other}}|{{criteria}}", "c").text(&comparison);
        assert_eq!(text, "{{first}}|{{second}}{{|b|{{other}}|c");
    }

    #[test]
    fn a_conversation_is_told_with_its_speakers() {
        let mut comparison = Comparison::new("Why?", Response::new("a"), Response::new("b"));
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        comparison.messages = vec![message("user", "Rain?"), message("assistant", "Falls."), message("user", "Why?")];
        assert_eq!(question("{{prompt}}", "").text(&comparison), "user: Rain?\n\nassistant: Falls.\n\nuser: Why?");
    }

    #[test]
    fn a_template_names_both_responses_and_the_criteria_that_are_given() {
        assert!(question(TEMPLATE, "Be brief.").check().is_ok());
        assert!(question("{{first}}", "").check().is_err_and(|failure| failure.reason.contains("{{second}}")));
        assert!(question("{{first}}{{second}}", "x").check().is_err_and(|failure| failure.reason.contains("criteria")));
    }
}
