//! Models that plugins were granted: who answers for them, and what is refused before anybody is asked.

use std::{collections::BTreeMap, fmt, sync::Arc};

use slhf_plan::{ChoiceItem, CompletionItem, FaultKind, GrantedModel, ModelCall, ModelContext, ModelFault, ModelReply};

/// Continuations of one item.
const CONTINUATIONS_MAX: usize = 256;
/// Bytes of one item's texts.
const ITEM_BYTES_MAX: usize = 4 << 20;
/// Tokens of one completion.
const NEW_TOKENS_MAX: u32 = 32_768;
/// Sampled answers for one frequency.
const SAMPLED_MAX: u32 = 1_000;

/// Answers what plugins ask of models: on a device, through a server, out of a cache. Whoever sets up a host has one.
///
/// It is called from the threads that run guests, several at a time. A reply has an outcome for every item of its call, in their
/// order, and an outcome depends on its item alone.
pub trait AnswerModels: fmt::Debug + Send + Sync {
    /// Answers a batch.
    fn answer(&self, model: &GrantedModel, call: &ModelCall) -> ModelReply;
}

/// The models of one plugin.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    pub(crate) models: BTreeMap<String, GrantedModel>,
    /// `None`: nobody answers in this process.
    pub(crate) answers: Option<Arc<dyn AnswerModels>>,
}

impl Grants {
    /// Asks the model of a name, after looking at what is asked.
    pub(crate) fn ask(&self, name: &str, call: &ModelCall) -> ModelReply {
        let refused = |kind, reason: String| ModelReply::fault(call, &ModelFault::new(kind, reason));
        let Some(model) = self.models.get(name) else {
            let name: String = name.chars().take(64).collect();
            let granted: Vec<&str> = self.models.keys().map(String::as_str).collect();
            let reason = match granted.as_slice() {
                [] => format!("no model \"{name}\" was granted, and none at all"),
                granted => format!("no model \"{name}\" was granted; granted are {}", granted.join(", ")),
            };
            return refused(FaultKind::Refused, reason);
        };
        let Some(answers) = &self.answers else {
            return refused(FaultKind::NotSupported, format!("the model \"{name}\" cannot be asked here"));
        };
        if let Some(fault) = wrong(call) {
            return ModelReply::fault(call, &fault);
        }
        if call.is_empty() {
            return answers_to_nothing(call);
        }
        let reply = answers.answer(model, call);
        if is_of(&reply, call) {
            return reply;
        }
        refused(FaultKind::Malformed, format!("the model \"{name}\" has not an outcome for every item"))
    }
}

fn answers_to_nothing(call: &ModelCall) -> ModelReply {
    ModelReply::fault(call, &ModelFault::new(FaultKind::Malformed, ""))
}

fn is_of(reply: &ModelReply, call: &ModelCall) -> bool {
    match (reply, call) {
        (ModelReply::Chosen(outcomes), ModelCall::Choose(items, _)) => {
            let fits = |(outcome, item): (&Result<slhf_plan::Choice, ModelFault>, &ChoiceItem)| {
                outcome.as_ref().map_or(true, |choice| {
                    choice.log_probabilities.len() == item.continuations.len()
                        && choice.log_probabilities.iter().all(|value| !value.is_nan() && *value < f64::INFINITY)
                })
            };
            outcomes.len() == items.len() && outcomes.iter().zip(items).all(fits)
        }
        (ModelReply::Completed(outcomes), ModelCall::Complete(items)) => outcomes.len() == items.len(),
        (ModelReply::Scored(outcomes), ModelCall::Score(items)) => outcomes.len() == items.len(),
        (ModelReply::Embedded(outcomes), ModelCall::Embed(items)) => outcomes.len() == items.len(),
        _ => false,
    }
}

/// What is wrong with a call, as a fault of all its items: a guest that asks for too much is told so, and goes on.
fn wrong(call: &ModelCall) -> Option<ModelFault> {
    let too_large = |what: &str, found: usize, limit: usize| {
        Some(ModelFault::new(FaultKind::TooLarge, format!("{found} {what} in one item; at most {limit}")))
    };
    let bytes = |found: usize| (found > ITEM_BYTES_MAX).then(|| too_large("bytes", found, ITEM_BYTES_MAX)).flatten();
    match call {
        ModelCall::Choose(items, evidence) => {
            if let slhf_plan::Evidence::FrequencyOf(times) = evidence
                && !(1..=SAMPLED_MAX).contains(times)
            {
                let reason = format!("a frequency of {times} completions; expected 1 to {SAMPLED_MAX}");
                return Some(ModelFault::new(FaultKind::TooLarge, reason));
            }
            items.iter().find_map(|item| {
                let found = item.continuations.len();
                if found > CONTINUATIONS_MAX {
                    return too_large("continuations", found, CONTINUATIONS_MAX);
                }
                let texts: usize = item.continuations.iter().map(String::len).sum();
                bytes(context_bytes(&item.context) + texts).or_else(|| not_a_choice(item))
            })
        }
        ModelCall::Complete(items) => {
            items.iter().find_map(|item| bytes(context_bytes(&item.context)).or_else(|| not_a_completion(item)))
        }
        ModelCall::Score(items) => items.iter().find_map(|messages| {
            bytes(messages.iter().map(|message| message.content.len()).sum()).or_else(|| {
                let ends = messages.last().is_some_and(|message| message.role == "assistant");
                (!ends).then(|| malformed("a conversation to be scored ends with an assistant's message"))
            })
        }),
        ModelCall::Embed(texts) => texts.iter().find_map(|text| bytes(text.len())),
    }
}

fn malformed(reason: &str) -> ModelFault {
    ModelFault::new(FaultKind::Malformed, reason)
}

fn not_a_choice(item: &ChoiceItem) -> Option<ModelFault> {
    if item.continuations.len() < 2 {
        return Some(malformed("a choice has at least two continuations"));
    }
    for (index, continuation) in item.continuations.iter().enumerate() {
        if continuation.is_empty() {
            return Some(malformed("a continuation is empty"));
        }
        if item.continuations[..index].contains(continuation) {
            return Some(malformed("a continuation stands twice"));
        }
    }
    None
}

fn not_a_completion(item: &CompletionItem) -> Option<ModelFault> {
    if !(1..=NEW_TOKENS_MAX).contains(&item.max_new_tokens) {
        let reason = format!("max-new-tokens is {}; expected 1 to {NEW_TOKENS_MAX}", item.max_new_tokens);
        return Some(ModelFault::new(FaultKind::TooLarge, reason));
    }
    let is_temperature = item.temperature.is_finite() && item.temperature >= 0.0;
    let is_top_p = item.top_p > 0.0 && item.top_p <= 1.0;
    (!(is_temperature && is_top_p)).then(|| malformed("a temperature is 0 or more, and top-p in (0, 1]"))
}

fn context_bytes(context: &ModelContext) -> usize {
    match context {
        ModelContext::Conversation(messages) => messages.iter().map(|message| message.content.len()).sum(),
        ModelContext::Raw(text) => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_plan::{Choice, DeviceModelPlan, Evidence};

    /// Answers the first so many items.
    #[derive(Debug)]
    struct Short(usize, f64);

    impl AnswerModels for Short {
        fn answer(&self, _: &GrantedModel, call: &ModelCall) -> ModelReply {
            let ModelCall::Choose(items, _) = call else { return ModelReply::Embedded(Vec::new()) };
            let one = |item: &ChoiceItem| {
                Ok(Choice { log_probabilities: vec![self.1; item.continuations.len()], sampled: 0 })
            };
            ModelReply::Chosen(items.iter().take(self.0).map(one).collect())
        }
    }

    fn grants(answers: Option<Short>) -> Grants {
        let model =
            DeviceModelPlan { name: "m".to_owned(), path: "/m".to_owned(), sha256: String::new(), adapter: None };
        Grants {
            models: BTreeMap::from([("critic".to_owned(), GrantedModel::Device(model))]),
            answers: answers.map(|answers| Arc::new(answers) as Arc<dyn AnswerModels>),
        }
    }

    fn item(continuations: &[&str]) -> ChoiceItem {
        ChoiceItem {
            context: ModelContext::Raw("?".to_owned()),
            continuations: continuations.iter().map(|text| (*text).to_owned()).collect(),
            draw: 0,
        }
    }

    fn first(reply: ModelReply) -> Result<Choice, ModelFault> {
        let ModelReply::Chosen(mut outcomes) = reply else { panic!("{reply:?}") };
        outcomes.swap_remove(0)
    }

    #[test]
    fn what_is_too_much_or_not_granted_is_a_fault_in_a_sentence() {
        let choose = |items: Vec<ChoiceItem>| ModelCall::Choose(items, Evidence::LogProbabilities);
        let grants = grants(Some(Short(8, -1.0)));
        let good = choose(vec![item(&["A", "B"])]);
        assert_eq!(first(grants.ask("critic", &good)).map(|choice| choice.log_probabilities), Ok(vec![-1.0, -1.0]));
        let check = |name: &str, call: &ModelCall, kind: FaultKind, part: &str| {
            let fault = first(grants.ask(name, call)).expect_err(part);
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.reason.contains(part), "{fault}");
        };
        check("other", &good, FaultKind::Refused, "no model \"other\" was granted; granted are critic");
        let many: Vec<String> = (0..1_000_000).map(|number| number.to_string()).collect();
        let many = ChoiceItem { continuations: many, ..item(&[]) };
        check("critic", &choose(vec![many]), FaultKind::TooLarge, "1000000 continuations in one item; at most 256");
        let long = ChoiceItem { context: ModelContext::Raw("x".repeat(5 << 20)), ..item(&["A", "B"]) };
        check("critic", &choose(vec![long]), FaultKind::TooLarge, "bytes in one item");
        for (continuations, part) in [(&["A"][..], "two"), (&["A", ""], "empty"), (&["A", "A"], "twice")] {
            check("critic", &choose(vec![item(continuations)]), FaultKind::Malformed, part);
        }
        let often = ModelCall::Choose(vec![item(&["A", "B"])], Evidence::FrequencyOf(2_000));
        check("critic", &often, FaultKind::TooLarge, "a frequency of 2000");
    }

    #[test]
    fn a_reply_that_is_none_is_a_fault() {
        let call = ModelCall::Choose(vec![item(&["A", "B"]), item(&["A", "B"])], Evidence::LogProbabilities);
        for (answers, part) in [
            (Some(Short(1, -1.0)), "not an outcome for every item"),
            (Some(Short(2, f64::NAN)), "not an outcome for every item"),
            (None, "cannot be asked here"),
        ] {
            let fault = first(grants(answers).ask("critic", &call)).expect_err(part);
            assert!(fault.reason.contains(part), "{fault}");
        }
        assert_eq!(grants(None).ask("critic", &ModelCall::Embed(Vec::new())), ModelReply::Embedded(Vec::new()));
    }
}
