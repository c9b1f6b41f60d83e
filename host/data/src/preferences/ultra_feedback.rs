//! `UltraFeedback`: an instruction with completions of several models, each rated.

use std::collections::BTreeMap;

use serde_json::Value;
use slhf_plan::PromptLayout;

use super::found::PairRating;
use super::said::{RESPONSES_MAX, SaidPair, SaidRow};
use crate::error::{DataError, Source};
use crate::prompts::{Numbered, prompt};

/// What decides a pair where nobody says, the first that both have.
const USUAL: [&str; 2] = ["overall_score", "fine-grained_score"];

/// A response with its ratings.
struct Completion {
    response: String,
    ratings: BTreeMap<String, f64>,
}

/// Reads a row: all pairs of its completions.
pub(super) fn read(
    source: Source<'_>,
    (number, object): Numbered,
    attribute: Option<&str>,
) -> Result<SaidRow, DataError> {
    let wrong = |problem: String| source.cell(number, 0, "completions", problem);
    let Some(Value::Array(list)) = object.get("completions") else {
        return Err(wrong("there is no list here; expected one object a completion".to_owned()));
    };
    if list.len() > RESPONSES_MAX {
        let problem =
            format!("{} stand here, of which all pairs are made; at most {RESPONSES_MAX} are read", list.len());
        return Err(wrong(problem));
    }
    let completions =
        list.iter().zip(1..).map(completion).collect::<Result<Vec<Completion>, String>>().map_err(wrong)?;
    let row = prompt(source, PromptLayout::UltraFeedback, (number, object))?;
    let mut pairs = Vec::new();
    for (place, first) in completions.iter().enumerate() {
        for second in &completions[place + 1..] {
            pairs.push(pair(first, second, attribute).map_err(wrong)?);
        }
    }
    Ok(SaidRow { messages: row.messages, pairs })
}

fn completion((value, place): (&Value, usize)) -> Result<Completion, String> {
    let Some(response) = value.get("response").and_then(Value::as_str) else {
        return Err(format!("completion {place} has no text \"response\""));
    };
    let mut ratings = BTreeMap::new();
    for name in USUAL {
        if let Some(number) = value.get(name).and_then(number) {
            ratings.insert(name.to_owned(), number);
        }
    }
    if let Some(Value::Object(annotations)) = value.get("annotations") {
        for (name, annotation) in annotations {
            // "N/A" is no rating.
            if let Some(rating) = annotation.get("Rating").or(Some(annotation)).and_then(number) {
                ratings.insert(name.clone(), rating);
            }
        }
    }
    Ok(Completion { response: response.to_owned(), ratings })
}

/// A finite number, also where it is written as a text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    Some(number).filter(|number: &f64| number.is_finite())
}

fn pair(first: &Completion, second: &Completion, attribute: Option<&str>) -> Result<SaidPair, String> {
    let both = |name: &str| Some([*first.ratings.get(name)?, *second.ratings.get(name)?]);
    let decides = match attribute {
        Some(name) => {
            let known: Vec<&str> = first.ratings.keys().map(String::as_str).collect();
            let missing = || {
                format!(
                    "not both of two have a rating \"{name}\", which data.attribute names; the first has {}",
                    known.join(", ")
                )
            };
            Some(both(name).ok_or_else(missing)?)
        }
        None => USUAL.into_iter().find_map(both),
    };
    let rated = first.ratings.keys().filter_map(|name| Some((name.clone(), PairRating::by_value(both(name)?))));
    Ok(SaidPair {
        responses: [first.response.clone(), second.response.clone()],
        first_is_better: decides.map(|values| PairRating::by_value(values).first_is_better),
        strength: decides.map_or(0.0, |[one, other]| (one - other).abs()),
        ratings: rated.collect(),
    })
}
