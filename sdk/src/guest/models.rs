//! The models of the host.

use super::bindings::preference::slhf::lab::{model as host, types};
use crate::Message;
use crate::models::{
    Answers, Choice, ChoiceItem, Completion, CompletionItem, Context, Embedding, Evidence, Fault, FaultKind, Models,
    NamedValue,
};

/// The models that the experiment grants.
#[derive(Debug)]
pub struct HostModels;

impl Models for HostModels {
    fn granted(&self) -> Vec<String> {
        host::granted()
    }

    fn choose(&self, model: &str, items: Vec<ChoiceItem>, evidence: Evidence) -> Answers<Choice> {
        let items: Vec<host::ChoiceItem> = items.into_iter().map(choice_item).collect();
        let evidence = match evidence {
            Evidence::LogProbabilities => host::Evidence::LogProbabilities,
            Evidence::FrequencyOf(times) => host::Evidence::FrequencyOf(times),
        };
        answers(host::choose(model, &items, evidence), |choice| Choice {
            log_probabilities: choice.log_probabilities,
            sampled: choice.sampled,
        })
    }

    fn complete(&self, model: &str, items: Vec<CompletionItem>) -> Answers<Completion> {
        let items: Vec<host::CompletionItem> = items.into_iter().map(completion_item).collect();
        answers(host::complete(model, &items), |completion| Completion {
            text: completion.text,
            finished: completion.finished,
            token_count: completion.token_count,
        })
    }

    fn score(&self, model: &str, conversations: Vec<Vec<Message>>) -> Answers<Vec<NamedValue>> {
        let conversations: Vec<Vec<types::Message>> = conversations.into_iter().map(messages).collect();
        let value = |value: host::NamedValue| NamedValue { name: value.name, value: value.value };
        answers(host::score(model, &conversations), |values| values.into_iter().map(value).collect())
    }

    fn embed(&self, model: &str, texts: Vec<String>) -> Answers<Embedding> {
        answers(host::embed(model, &texts), |embedding| Embedding {
            vector: embedding.vector,
            pooling: embedding.pooling,
        })
    }
}

fn answers<H, T>(outcomes: Vec<Result<H, host::Fault>>, of: impl Fn(H) -> T) -> Answers<T> {
    outcomes.into_iter().map(|outcome| outcome.map(&of).map_err(fault)).collect()
}

fn fault(fault: host::Fault) -> Fault {
    let kind = match fault.kind {
        host::FaultKind::TimeOut => FaultKind::TimeOut,
        host::FaultKind::Refused => FaultKind::Refused,
        host::FaultKind::Malformed => FaultKind::Malformed,
        host::FaultKind::OverBudget => FaultKind::OverBudget,
        host::FaultKind::NotSupported => FaultKind::NotSupported,
        host::FaultKind::TooLarge => FaultKind::TooLarge,
    };
    Fault { kind, reason: fault.reason }
}

fn messages(messages: Vec<Message>) -> Vec<types::Message> {
    messages.into_iter().map(Into::into).collect()
}

fn context(context: Context) -> host::Context {
    match context {
        Context::Conversation(conversation) => host::Context::Conversation(messages(conversation)),
        Context::Raw(text) => host::Context::Raw(text),
    }
}

fn choice_item(item: ChoiceItem) -> host::ChoiceItem {
    host::ChoiceItem { context: context(item.context), continuations: item.continuations, draw: item.draw }
}

fn completion_item(item: CompletionItem) -> host::CompletionItem {
    host::CompletionItem {
        context: context(item.context),
        max_new_tokens: item.max_new_tokens,
        temperature: item.temperature,
        top_p: item.top_p,
        draw: item.draw,
    }
}
