//! The log-probability of each of some continuations, on servers that have several ways to say it, and some to say it wrongly.
//!
//! A way that is not exact is not taken (docs/judges-with-models.md): `echo` scores other positions on some servers and is ignored by
//! others, and a continuation outside of the listed tokens has no value, not the smallest one that is listed.

use serde_json::{Value as Json, json};
use slhf_plan::{Choice, ChoiceItem, Evidence, FaultKind, Message, ModelContext, ModelFault};

use crate::client::Client;
use crate::reply::{Listed, generated, listed, only_choice, text};

/// Tokens that are listed: what `OpenAI` and vLLM allow.
const LISTED: u32 = 20;
/// What two ways may differ by, in nats: caches and fused attention move values by hundredths.
const AGREEMENT: f64 = 0.2;
/// Tokens of a sampled answer, of which only the beginning is looked at.
const SAMPLED_TOKENS: u32 = 8;
/// Makes a token certain, and is left out of what is reported.
const BIAS: f64 = 100.0;

/// How a server's log-probabilities are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// llama.cpp's server: it says the ids of a text, and each token is forced on the ids before it.
    Forced,
    /// Any other: the continuations are looked up among the most likely first tokens.
    Listed,
}

/// Finds the way, and tries whether it says the same as the other one.
pub(crate) fn way(client: &Client) -> Result<Way, ModelFault> {
    let ids = match tokenize(client, "The capital of France is", Specials::Added) {
        Ok(ids) if !ids.is_empty() => ids,
        Err(fault) if matches!(fault.kind, FaultKind::TimeOut | FaultKind::OverBudget) => return Err(fault),
        // Nothing of the kind is there, in whatever words the server says so.
        _ => return Ok(Way::Listed),
    };
    let body = json!({ "prompt": ids, "max_tokens": 1, "temperature": 0, "logprobs": LISTED, "cache_prompt": false });
    let response = client.post("completions", &with_model(client, body))?;
    let choice = only_choice(client, &response)?;
    let top = listed(client, choice)?.and_then(|top| top.into_iter().find(|token| token.id.is_some()));
    let Some(Listed { id: Some(id), log_probability, .. }) = top else { return Ok(Way::Listed) };
    let forced = forced(client, &ids, id)?;
    if (forced - log_probability).abs() > AGREEMENT {
        let what = format!(
            "its log-probabilities cannot be trusted: it lists {log_probability:.3} for a token that it gives {forced:.3} when \
             that token is forced"
        );
        return Err(client.not_supported(&what));
    }
    Ok(Way::Forced)
}

/// The choice of one item.
pub(crate) fn choose(client: &Client, way: Way, item: &ChoiceItem, evidence: Evidence) -> Result<Choice, ModelFault> {
    let exact = match way {
        Way::Forced => by_forcing(client, item),
        Way::Listed => by_list(client, item),
    };
    match (exact, evidence) {
        (Ok(log_probabilities), _) => Ok(Choice { log_probabilities, sampled: 0 }),
        (Err(fault), Evidence::FrequencyOf(times)) if fault.kind == FaultKind::NotSupported => {
            by_frequency(client, item, times)
        }
        (Err(fault), _) => Err(fault),
    }
}

fn with_model(client: &Client, mut body: Json) -> Json {
    body["model"] = Json::from(client.settings().model.as_str());
    body
}

/// Messages as the interface has them.
pub(crate) fn messages(messages: &[Message]) -> Json {
    messages.iter().map(|message| json!({ "role": message.role, "content": message.content })).collect()
}

/// A body for a context with settings, and the call that takes it.
pub(crate) fn request(client: &Client, context: &ModelContext, mut settings: Json) -> (&'static str, Json) {
    let path = match context {
        ModelContext::Conversation(conversation) => {
            settings["messages"] = messages(conversation);
            "chat/completions"
        }
        ModelContext::Raw(text) => {
            settings["prompt"] = Json::from(text.as_str());
            "completions"
        }
    };
    (path, with_model(client, settings))
}

/// Whether a text gets what stands around it in the model's own input, such as a beginning token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Specials {
    Added,
    None,
}

fn tokenize(client: &Client, text: &str, specials: Specials) -> Result<Vec<u64>, ModelFault> {
    let is_whole = specials == Specials::Added;
    let body = json!({ "content": text, "add_special": is_whole, "parse_special": is_whole });
    let response = client.post_beside("tokenize", &body)?;
    let ids = response["tokens"].as_array().ok_or_else(|| client.malformed("no tokens of a text"))?;
    ids.iter().map(|id| id.as_u64().ok_or_else(|| client.malformed("a token that is no number"))).collect()
}

fn by_forcing(client: &Client, item: &ChoiceItem) -> Result<Vec<f64>, ModelFault> {
    let text = match &item.context {
        ModelContext::Raw(text) => text.clone(),
        ModelContext::Conversation(conversation) => {
            let body = json!({ "messages": messages(conversation) });
            let response = client.post_beside("apply-template", &body)?;
            let prompt = response["prompt"].as_str();
            prompt.ok_or_else(|| client.malformed("no prompt of a conversation"))?.to_owned()
        }
    };
    let context = tokenize(client, &text, Specials::Added)?;
    let one = |continuation: &String| {
        let mut ids = context.clone();
        let mut sum = 0.0;
        for id in tokenize(client, continuation, Specials::None)? {
            sum += forced(client, &ids, id)?;
            ids.push(id);
        }
        Ok(sum)
    };
    item.continuations.iter().map(one).collect()
}

/// The log-probability of one token after others: the value reported is the one before the bias.
fn forced(client: &Client, ids: &[u64], id: u64) -> Result<f64, ModelFault> {
    let body = json!({
        "prompt": ids,
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": 1,
        "logit_bias": { id.to_string(): BIAS },
        "cache_prompt": false,
    });
    let response = client.post("completions", &with_model(client, body))?;
    let token = generated(client, only_choice(client, &response)?)?;
    match token {
        Some(Listed { id: Some(found), log_probability, .. }) if found == id => Ok(log_probability),
        Some(_) => Err(client.malformed("another token came than the one that was forced")),
        None => Err(client.not_supported("it gives no log-probabilities")),
    }
}

fn by_list(client: &Client, item: &ChoiceItem) -> Result<Vec<f64>, ModelFault> {
    // At temperature 1 the list is of the model's own distribution, whatever a server makes of other temperatures.
    let mut settings = json!({ "max_tokens": 1, "temperature": 1, "top_p": 1 });
    match item.context {
        ModelContext::Conversation(_) => {
            settings["logprobs"] = Json::from(true);
            settings["top_logprobs"] = Json::from(LISTED);
        }
        ModelContext::Raw(_) => settings["logprobs"] = Json::from(LISTED),
    }
    let (path, body) = request(client, &item.context, settings);
    let response = client.post(path, &body)?;
    let Some(top) = listed(client, only_choice(client, &response)?)? else {
        return Err(client.not_supported(
            "it gives no log-probabilities; a plugin that can do with frequencies asks it several times",
        ));
    };
    item.continuations.iter().map(|continuation| of_list(client, &top, continuation)).collect()
}

/// Several tokens may have one text: any of them is the continuation.
fn of_list(client: &Client, top: &[Listed], continuation: &str) -> Result<f64, ModelFault> {
    let of = top.iter().filter(|token| token.text == continuation).map(|token| token.log_probability);
    let largest = of.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        let what = format!(
            "\"{continuation}\" is not among its {} most likely tokens, so that its log-probability is not known; take \
             continuations of one token that the template asks for, or a server that says the ids of tokens (llama.cpp's)",
            top.len()
        );
        return Err(client.not_supported(&what));
    }
    Ok(largest + of.map(|value| (value - largest).exp()).sum::<f64>().ln())
}

/// How often sampled answers begin with each continuation; an answer that begins with none of them counts for none.
fn by_frequency(client: &Client, item: &ChoiceItem, times: u32) -> Result<Choice, ModelFault> {
    let mut counts = vec![0_u32; item.continuations.len()];
    for time in 0..times {
        let seed = item.draw.wrapping_add(u64::from(time)) & 0x7fff_ffff;
        let settings = json!({ "max_tokens": SAMPLED_TOKENS, "temperature": 1, "top_p": 1, "seed": seed });
        let (path, body) = request(client, &item.context, settings);
        let (answer, ..) = text(client, &client.post(path, &body)?)?;
        if let Some(place) = begins_with(&answer, &item.continuations) {
            counts[place] += 1;
        }
    }
    let total: u32 = counts.iter().sum();
    if total == 0 {
        return Err(client.malformed(&format!("none of {times} completions begins with one of the continuations")));
    }
    let log_probabilities = counts.iter().map(|&count| (f64::from(count) / f64::from(total)).ln()).collect();
    Ok(Choice { log_probabilities, sampled: times })
}

/// The longest continuation that the answer begins with, white space aside.
fn begins_with(answer: &str, continuations: &[String]) -> Option<usize> {
    let answer = answer.trim_start();
    let fits = |place: &usize| {
        let continuation = continuations[*place].trim();
        answer.strip_prefix(continuation).is_some_and(|rest| {
            // "Assistant" does not begin with the label "A".
            !continuation.ends_with(char::is_alphanumeric) || !rest.starts_with(char::is_alphanumeric)
        })
    };
    (0..continuations.len()).filter(fits).max_by_key(|place| continuations[*place].trim().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_begins_with_a_label_as_a_word() {
        let labels = ["A", "B", "A better"].map(str::to_owned);
        for (answer, expected) in [
            ("A", Some(0)),
            (" B.", Some(1)),
            ("A: because", Some(0)),
            ("Assistant B", None),
            ("A better one", Some(2)),
            ("neither", None),
            ("", None),
        ] {
            assert_eq!(begins_with(answer, &labels), expected, "{answer}");
        }
    }
}
