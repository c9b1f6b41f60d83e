//! A row of [`crate::pairs`], with a margin and attributes where it has such.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::found::PairRating;
use super::said::{RESPONSES_MAX, SaidPair, SaidRow};
use crate::error::{DataError, Source};
use crate::pairs::{Row, Said};
use crate::prompts::Numbered;

/// Reads it.
pub(super) fn read(source: Source<'_>, (number, mut object): Numbered) -> Result<SaidRow, DataError> {
    let mut take = |key: &str| object.remove(key).filter(|value| !value.is_null());
    let (margin, attributes) = (take("margin"), take("attributes"));
    let numbers = numbers_of(object.get("label"));
    let said = Row { source, number, object }.read()?;
    let wrong = |key: &str, problem: String| source.cell(number, 0, key, problem);
    let margin = match margin {
        None => None,
        Some(value) => {
            let margin = value.as_f64().filter(|margin| margin.is_finite() && *margin >= 0.0);
            let problem = || wrong("margin", format!("{value} stands here; expected a number, not negative"));
            Some(margin.ok_or_else(problem)?)
        }
    };
    let many = said.responses.len();
    if many > RESPONSES_MAX {
        let problem =
            format!("the row has {many} responses, of which all pairs are made; at most {RESPONSES_MAX} are read");
        return Err(wrong("responses", problem));
    }
    let attributes = match attributes {
        None => BTreeMap::new(),
        Some(Value::Object(attributes)) => ratings(attributes, many).map_err(|problem| wrong("attributes", problem))?,
        Some(other) => {
            let problem = format!(
                "{} stands here; expected an object like {{\"name\": [1, 0]}} with a number for each response",
                slhf_json::kind(&other)
            );
            return Err(wrong("attributes", problem));
        }
    };
    let strength = |first: usize, second: usize| match (&numbers, margin) {
        (_, Some(margin)) => margin,
        (Some(numbers), None) => (numbers[first] - numbers[second]).abs(),
        (None, None) => 0.0,
    };
    Ok(SaidRow { pairs: pairs(&said, &attributes, &strength), messages: said.messages })
}

/// Those that the row labels; all where it labels none.
fn pairs(
    said: &Said,
    attributes: &BTreeMap<String, Vec<f64>>,
    strength: &dyn Fn(usize, usize) -> f64,
) -> Vec<SaidPair> {
    let of = |first: usize, second: usize, first_is_better: Option<f64>| SaidPair {
        responses: [first, second].map(|place| said.responses[place].clone()),
        first_is_better,
        strength: strength(first, second),
        ratings: attributes
            .iter()
            .map(|(name, values)| (name.clone(), PairRating::by_value([values[first], values[second]])))
            .collect(),
    };
    if !said.labels.is_empty() {
        return said.labels.iter().map(|label| of(label.first, label.second, Some(label.first_is_better))).collect();
    }
    let many = said.responses.len();
    (0..many)
        .flat_map(|first| (first + 1..many).map(move |second| (first, second)))
        .map(|(a, b)| of(a, b, None))
        .collect()
}

/// A list of numbers.
fn numbers_of(label: Option<&Value>) -> Option<Vec<f64>> {
    label?.as_array()?.iter().map(Value::as_f64).collect()
}

fn ratings(attributes: Map<String, Value>, many: usize) -> Result<BTreeMap<String, Vec<f64>>, String> {
    let mut found = BTreeMap::new();
    for (name, values) in attributes {
        let numbers: Option<Vec<f64>> =
            values.as_array().and_then(|list| list.iter().map(|one| one.as_f64().filter(|n| n.is_finite())).collect());
        match numbers.filter(|numbers| numbers.len() == many) {
            Some(numbers) => _ = found.insert(name, numbers),
            None => {
                return Err(format!("\"{name}\" is {values}; expected a number for each of the {many} responses"));
            }
        }
    }
    Ok(found)
}
