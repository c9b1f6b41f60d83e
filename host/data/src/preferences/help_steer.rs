//! `HelpSteer2`: two consecutive rows share a prompt, and each has ratings, one or several annotators'.

use std::collections::BTreeMap;

use serde_json::Value;
use slhf_plan::{Message, PromptLayout};
use slhf_random::{Place, Purpose, uniforms};

use super::found::{PairRating, PreferenceReading};
use super::said::{SaidPair, SaidRow};
use crate::error::{DataError, Source};
use crate::prompts::{Numbered, prompt};

/// The attributes that every row is rated by.
const ATTRIBUTES: [&str; 5] = ["helpfulness", "correctness", "coherence", "complexity", "verbosity"];
/// Of these less is better.
const LESS_IS_BETTER: [&str; 2] = ["complexity", "verbosity"];
/// What decides a pair where nobody says.
const USUAL: &str = "helpfulness";

/// A row.
#[derive(Clone, Debug)]
pub(super) struct RatedResponse {
    pub(super) messages: Vec<Message>,
    response: String,
    ratings: BTreeMap<&'static str, Rating>,
}

/// What annotators gave.
#[derive(Clone, Copy, Debug)]
struct Rating {
    mean: f64,
    deviation: f64,
}

impl Rating {
    fn of(numbers: &[f64]) -> Self {
        let many = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / many;
        let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / many;
        Self { mean, deviation: variance.sqrt() }
    }
}

/// Reads a row.
pub(super) fn read(source: Source<'_>, (number, mut object): Numbered) -> Result<RatedResponse, DataError> {
    let wrong = |key: &str, problem: String| source.cell(number, 0, key, problem);
    let response = match object.get("response") {
        Some(Value::String(text)) => text.clone(),
        _ => return Err(wrong("response", "there is no text here; expected the response".to_owned())),
    };
    let mut ratings = BTreeMap::new();
    for name in ATTRIBUTES {
        let Some(value) = object.remove(name).filter(|value| !value.is_null()) else { continue };
        let list = match &value {
            Value::Array(list) => list.iter().map(Value::as_f64).collect(),
            other => other.as_f64().map(|number| vec![number]),
        };
        match list.filter(|list| !list.is_empty() && list.iter().all(|number| number.is_finite())) {
            Some(numbers) => _ = ratings.insert(name, Rating::of(&numbers)),
            None => return Err(wrong(name, format!("{value} stands here; expected a number, or a list of them"))),
        }
    }
    let row = prompt(source, PromptLayout::HelpSteer2, (number, object))?;
    Ok(RatedResponse { messages: row.messages, response, ratings })
}

/// What two rows say together; `number` is the second one's.
pub(super) fn pair(
    source: Source<'_>,
    (number, first, second): (usize, RatedResponse, RatedResponse),
    reading: &PreferenceReading,
) -> Result<SaidRow, DataError> {
    let mut ratings = BTreeMap::new();
    for (place, name) in (0..).zip(ATTRIBUTES) {
        if let (Some(one), Some(other)) = (first.ratings.get(name), second.ratings.get(name)) {
            let draw = Place { purpose: Purpose::PreferenceTies, step: number as u64, round: place };
            let [uniform, _] = uniforms(reading.seed, draw, 0);
            let first_is_better =
                if is_better([*one, *other], LESS_IS_BETTER.contains(&name), uniform) { 1.0 } else { 0.0 };
            ratings.insert(name.to_owned(), PairRating { values: [one.mean, other.mean], first_is_better });
        }
    }
    let named = reading.attribute.as_deref();
    let decides = named.unwrap_or(USUAL);
    let rating = match (ratings.get(decides), named) {
        (Some(rating), _) => Some(*rating),
        (None, Some(name)) => {
            let known: Vec<&str> = ratings.keys().map(String::as_str).collect();
            let problem = format!("has no rating \"{name}\", which data.attribute names; it has {}", known.join(", "));
            return Err(source.row(number, problem));
        }
        (None, None) => None,
    };
    let said = SaidPair {
        responses: [first.response, second.response],
        first_is_better: rating.map(|rating| rating.first_is_better),
        strength: rating.map_or(0.0, |rating| (rating.values[0] - rating.values[1]).abs()),
        ratings,
    };
    Ok(SaidRow { messages: first.messages, pairs: vec![said] })
}

/// Whether the first is better: by its mean, by how far annotators agree, or by the draw.
fn is_better([first, second]: [Rating; 2], less_is_better: bool, uniform: f64) -> bool {
    if first.mean != second.mean {
        return (first.mean > second.mean) != less_is_better;
    }
    if first.deviation != second.deviation {
        return first.deviation < second.deviation;
    }
    uniform < 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_decides_then_the_deviation_then_a_draw() {
        let rating = |numbers: &[f64]| Rating::of(numbers);
        let check = |first: &[f64], second: &[f64], less: bool, uniform: f64, expected: bool| {
            assert_eq!(is_better([rating(first), rating(second)], less, uniform), expected, "{first:?} {second:?}");
        };
        check(&[4.0, 4.0], &[3.0, 4.0], false, 0.9, true);
        check(&[4.0, 4.0], &[3.0, 4.0], true, 0.1, false);
        check(&[3.0, 3.0], &[2.0, 4.0], false, 0.9, true);
        check(&[2.0, 4.0], &[3.0, 3.0], true, 0.1, false);
        check(&[3.0], &[3.0], false, 0.4, true);
        check(&[3.0], &[3.0], true, 0.6, false);
    }
}
