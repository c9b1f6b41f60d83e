//! What a response of the interface says, checked: servers of one interface have several shapes of it.

use serde_json::Value as Json;
use slhf_plan::ModelFault;

use crate::client::Client;

/// How far above 0 a log-probability may be: a sum in single precision over a vocabulary ends there (llama.cpp: 1.7e-4).
const ROUNDING: f64 = 1e-3;

/// A token of a list, with its log-probability.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    pub(crate) text: String,
    /// Where the server says it.
    pub(crate) id: Option<u64>,
    pub(crate) log_probability: f64,
}

/// The one choice of a response to a request for one.
pub(crate) fn only_choice<'a>(client: &Client, json: &'a Json) -> Result<&'a Json, ModelFault> {
    check_model(client, json)?;
    only_of(client, json)
}

/// Likewise, whoever responds.
pub(crate) fn only_of<'a>(client: &Client, json: &'a Json) -> Result<&'a Json, ModelFault> {
    let choices = json["choices"].as_array().ok_or_else(|| client.malformed("its response has no choices"))?;
    match choices.as_slice() {
        [choice] if choice["index"].as_u64().unwrap_or(0) == 0 => Ok(choice),
        choices => Err(client.malformed(&format!("{} choices came where one was asked for", choices.len()))),
    }
}

/// A server that answers in another model's name may have loaded another model.
pub(crate) fn check_model(client: &Client, json: &Json) -> Result<(), ModelFault> {
    let settings = client.settings();
    let Some(named) = json["model"].as_str() else { return Ok(()) };
    let expected = settings.responds_as.as_deref().unwrap_or(&settings.model);
    // A served model has a version behind its name: `gpt-4o` answers as `gpt-4o-2024-08-06`.
    let is_version =
        |rest: &str| rest.starts_with(['-', '@', ':']) && rest.contains(|sign: char| sign.is_ascii_digit());
    if named == expected || named.strip_prefix(expected).is_some_and(is_version) {
        return Ok(());
    }
    let what = format!("it responds as \"{named}\"; if that is the model that is meant, set responds_as = \"{named}\"");
    Err(client.malformed(&what))
}

/// The tokens that are listed for the first position, the most likely first; `None` where nothing of the kind came.
pub(crate) fn listed(client: &Client, choice: &Json) -> Result<Option<Vec<Listed>>, ModelFault> {
    let logprobs = &choice["logprobs"];
    let mut found = if let Some(entries) = logprobs["content"].as_array() {
        let Some(first) = entries.first() else { return Ok(None) };
        let Some(entries) = first["top_logprobs"].as_array() else { return Ok(None) };
        let one = |entry: &Json| {
            Ok(Listed {
                text: entry["token"].as_str().ok_or_else(|| client.malformed("a token without a text"))?.to_owned(),
                id: entry["id"].as_u64(),
                log_probability: log_probability(client, &entry["logprob"])?,
            })
        };
        entries.iter().map(one).collect::<Result<Vec<_>, ModelFault>>()?
    } else if let Some(positions) = logprobs["top_logprobs"].as_array() {
        let Some(first) = positions.first().and_then(Json::as_object) else { return Ok(None) };
        let one = |(text, value): (&String, &Json)| {
            Ok(Listed { text: text.clone(), id: None, log_probability: log_probability(client, value)? })
        };
        first.iter().map(one).collect::<Result<Vec<_>, ModelFault>>()?
    } else {
        return Ok(None);
    };
    found.sort_by(|one, other| other.log_probability.total_cmp(&one.log_probability));
    Ok((!found.is_empty()).then_some(found))
}

/// The generated token with its own log-probability, where the server says its id.
pub(crate) fn generated(client: &Client, choice: &Json) -> Result<Option<Listed>, ModelFault> {
    let Some(first) = choice["logprobs"]["content"].as_array().and_then(|entries| entries.first()) else {
        return Ok(None);
    };
    let Some(id) = first["id"].as_u64() else { return Ok(None) };
    let text = first["token"].as_str().unwrap_or_default().to_owned();
    Ok(Some(Listed { text, id: Some(id), log_probability: log_probability(client, &first["logprob"])? }))
}

/// A number that can be a log-probability.
pub(crate) fn log_probability(client: &Client, value: &Json) -> Result<f64, ModelFault> {
    match value.as_f64() {
        Some(number) if number.is_finite() && number <= ROUNDING => Ok(number),
        _ => Err(client.malformed(&format!("{value} stands where a log-probability was asked for"))),
    }
}

/// A text that was generated, whether it ended by itself, and its tokens.
pub(crate) fn text(client: &Client, json: &Json) -> Result<(String, bool, u32), ModelFault> {
    let choice = only_choice(client, json)?;
    let text = choice["message"]["content"].as_str().or_else(|| choice["text"].as_str());
    let text = text.ok_or_else(|| client.malformed("a response without a text"))?.to_owned();
    let finished = match choice["finish_reason"].as_str() {
        Some("stop") => true,
        Some("length") => false,
        other => {
            let why = other.unwrap_or("nothing");
            return Err(client.malformed(&format!("a response that ended by \"{why}\", neither stop nor length")));
        }
    };
    let tokens = json["usage"]["completion_tokens"].as_u64().and_then(|tokens| u32::try_from(tokens).ok());
    Ok((text, finished, tokens.unwrap_or(0)))
}
