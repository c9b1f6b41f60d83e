//! What `config.json` says of a reward model's head.

use serde_json::Value;

use super::head::RewardHead;
use super::{Family, Fields};
use crate::ModelError;

/// The end of an architecture's name that says that there is a head.
const ARCHITECTURE_END: &str = "ForSequenceClassification";

/// What transformers takes where a file names no labels and no number of them.
const LABELS_UNSAID: usize = 2;

/// The head that `config.json` tells of; `None`: the model predicts tokens.
pub(super) fn head_of(fields: &Fields) -> Result<Option<RewardHead>, ModelError> {
    let named = match fields.get("architectures") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).any(|name| name.ends_with(ARCHITECTURE_END))
        }
        _ => false,
    };
    if !named {
        return Ok(None);
    }
    let Some(names) = fields.object("id2label")? else {
        let labels = fields.size("num_labels")?.unwrap_or(LABELS_UNSAID);
        if !(1..=RewardHead::LABELS_MAX).contains(&labels) {
            return Err(fields.wrong("num_labels", format!("is {labels}; expected 1 to {}", RewardHead::LABELS_MAX)));
        }
        return Ok(Some(RewardHead::unnamed(labels)));
    };
    // Where both are there transformers goes by the names, and so does this.
    let names: Vec<(&str, &Value)> = names.entries().collect();
    if !(1..=RewardHead::LABELS_MAX).contains(&names.len()) {
        return Err(
            fields.wrong("id2label", format!("names {} labels; expected 1 to {}", names.len(), RewardHead::LABELS_MAX))
        );
    }
    let mut labels: Vec<Option<String>> = vec![None; names.len()];
    for (key, name) in &names {
        let place = key.parse::<usize>().ok().and_then(|place| labels.get_mut(place));
        let (Some(place), Some(name)) = (place, name.as_str()) else {
            let problem = format!(
                "gives {name} for \"{}\"; expected a text for each of the numbers 0 to {}",
                key.chars().take(40).collect::<String>(),
                names.len() - 1
            );
            return Err(fields.wrong("id2label", problem));
        };
        *place = Some(name.to_owned());
    }
    let labels: Vec<String> = labels.into_iter().flatten().collect();
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = labels.iter().find(|label| !seen.insert(label.as_str())) {
        return Err(fields.wrong("id2label", format!("names the label \"{twice}\" twice; expected each once")));
    }
    if labels.len() < names.len() {
        let problem = format!("has a number twice; expected each of the numbers 0 to {} once", names.len() - 1);
        return Err(fields.wrong("id2label", problem));
    }
    Ok(Some(RewardHead { labels }))
}

/// `pad_token_id`, by which transformers finds the last token that counts; a number that is no token pads nothing.
pub(super) fn padding_of(fields: &Fields, family: Family) -> Option<u32> {
    match fields.entries().find(|(key, _)| *key == "pad_token_id") {
        Some((_, value)) => value.as_u64().and_then(|token| u32::try_from(token).ok()),
        // What transformers takes where Gemma's file is silent; where it says null, there is none.
        None if family == Family::Gemma3 => Some(0),
        None => None,
    }
}
