//! Conversations as one text with `\n\nHuman:` and `\n\nAssistant:` turns.

use serde_json::Value;
use slhf_plan::Message;

use super::said::{SaidPair, SaidRow};
use crate::error::{DataError, Source};
use crate::prompts::Numbered;

/// What a turn begins with, and whose it is.
const MARKS: [(&str, &str); 2] = [("\n\nHuman:", "user"), ("\n\nAssistant:", "assistant")];

/// Reads a row: what both transcripts begin with is the prompt, and each ends with one response.
pub(super) fn read(source: Source<'_>, (number, object): Numbered) -> Result<SaidRow, DataError> {
    let transcript = |key: &str| {
        let wrong = |problem: String| source.cell(number, 0, key, problem);
        match object.get(key) {
            Some(Value::String(text)) => turns(text).map_err(wrong),
            _ => Err(wrong("there is no text here; expected a transcript".to_owned())),
        }
    };
    let (mut chosen, mut rejected) = (transcript("chosen")?, transcript("rejected")?);
    let margin = object.get("margin").and_then(Value::as_f64).filter(|margin| *margin >= 0.0 && margin.is_finite());
    let (Some(first), Some(second)) = (chosen.pop(), rejected.pop()) else {
        return Err(source.row(number, "a transcript has no turn"));
    };
    if chosen != rejected {
        let parted = chosen.iter().zip(&rejected).take_while(|(one, other)| one == other).count();
        let problem = format!(
            "the transcripts part after {parted} of {} turns; expected them to differ in the last turn alone, since a pair is of two \
             responses to one prompt",
            chosen.len() + 1
        );
        return Err(source.row(number, problem));
    }
    if first.role != "assistant" || second.role != "assistant" || chosen.last().is_none_or(|last| last.role != "user") {
        let problem =
            "expected transcripts that end with a \"\\n\\nHuman:\" turn and an \"\\n\\nAssistant:\" turn behind it";
        return Err(source.row(number, problem));
    }
    let pair = SaidPair {
        responses: [first.content, second.content],
        first_is_better: Some(1.0),
        strength: margin.unwrap_or(0.0),
        ratings: std::collections::BTreeMap::new(),
    };
    Ok(SaidRow { messages: chosen, pairs: vec![pair] })
}

/// The turns of a text; one without a mark before it is refused.
fn turns(text: &str) -> Result<Vec<Message>, String> {
    let next = |from: usize| {
        let places = MARKS.into_iter().filter_map(|(mark, role)| Some((text[from..].find(mark)? + from, mark, role)));
        places.min_by_key(|(place, _, _)| *place)
    };
    let mut following = next(0);
    match following {
        None => return Err("there is no \"\\n\\nHuman:\" turn in the text".to_owned()),
        Some((start, _, _)) if !text[..start].trim().is_empty() => {
            return Err("text stands before the first \"\\n\\nHuman:\" turn".to_owned());
        }
        Some(_) => {}
    }
    let mut messages = Vec::new();
    while let Some((place, mark, role)) = following {
        let begin = place + mark.len();
        following = next(begin);
        let end = following.map_or(text.len(), |(place, _, _)| place);
        messages.push(Message { role: role.to_owned(), content: text[begin..end].trim().to_owned() });
    }
    Ok(messages)
}
