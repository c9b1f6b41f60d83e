//! What plugins ask of models and what they are told, as Rust types with the shapes of `sdk/wit/lab.wit`.

use slhf_plan::{
    Choice, ChoiceItem, CompletionItem, Embedding, Evidence, FaultKind, ModelCompletion, ModelContext, ModelFault,
    NamedValue,
};
use wasmtime::component::{ComponentType, Lift, Lower};

/// One turn of a conversation.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct GuestMessage {
    role: String,
    content: String,
}

/// What stands before a continuation.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum GuestContext {
    #[component(name = "conversation")]
    Conversation(Vec<GuestMessage>),
    #[component(name = "raw")]
    Raw(String),
}

/// A choice among continuations.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct GuestChoiceItem {
    context: GuestContext,
    continuations: Vec<String>,
    draw: u64,
}

/// What a choice may rest on.
#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum GuestEvidence {
    #[component(name = "log-probabilities")]
    LogProbabilities,
    #[component(name = "frequency-of")]
    FrequencyOf(u32),
}

/// A completion that is asked for.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct GuestCompletionItem {
    context: GuestContext,
    #[component(name = "max-new-tokens")]
    max_new_tokens: u32,
    temperature: f64,
    #[component(name = "top-p")]
    top_p: f64,
    draw: u64,
}

/// The log-probability of each continuation.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct GuestChoice {
    #[component(name = "log-probabilities")]
    log_probabilities: Vec<f64>,
    sampled: u32,
}

/// A completion.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct GuestCompletion {
    text: String,
    finished: bool,
    #[component(name = "token-count")]
    token_count: u32,
}

/// One value of a reward head.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct GuestValue {
    name: String,
    value: f64,
}

/// A text as a vector.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct GuestEmbedding {
    vector: Vec<f64>,
    pooling: String,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum GuestFaultKind {
    #[component(name = "time-out")]
    TimeOut,
    #[component(name = "refused")]
    Refused,
    #[component(name = "malformed")]
    Malformed,
    #[component(name = "over-budget")]
    OverBudget,
    #[component(name = "not-supported")]
    NotSupported,
    #[component(name = "too-large")]
    TooLarge,
}

/// Why an item has no answer.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct GuestFault {
    kind: GuestFaultKind,
    reason: String,
}

impl From<GuestMessage> for slhf_plan::Message {
    fn from(GuestMessage { role, content }: GuestMessage) -> Self {
        Self { role, content }
    }
}

impl From<GuestContext> for ModelContext {
    fn from(context: GuestContext) -> Self {
        match context {
            GuestContext::Conversation(messages) => Self::Conversation(messages.into_iter().map(Into::into).collect()),
            GuestContext::Raw(text) => Self::Raw(text),
        }
    }
}

impl From<GuestChoiceItem> for ChoiceItem {
    fn from(GuestChoiceItem { context, continuations, draw }: GuestChoiceItem) -> Self {
        Self { context: context.into(), continuations, draw }
    }
}

impl From<GuestEvidence> for Evidence {
    fn from(evidence: GuestEvidence) -> Self {
        match evidence {
            GuestEvidence::LogProbabilities => Self::LogProbabilities,
            GuestEvidence::FrequencyOf(times) => Self::FrequencyOf(times),
        }
    }
}

impl From<GuestCompletionItem> for CompletionItem {
    fn from(item: GuestCompletionItem) -> Self {
        let GuestCompletionItem { context, max_new_tokens, temperature, top_p, draw } = item;
        Self { context: context.into(), max_new_tokens, temperature, top_p, draw }
    }
}

impl From<Choice> for GuestChoice {
    fn from(Choice { log_probabilities, sampled }: Choice) -> Self {
        Self { log_probabilities, sampled }
    }
}

impl From<ModelCompletion> for GuestCompletion {
    fn from(ModelCompletion { text, finished, token_count }: ModelCompletion) -> Self {
        Self { text, finished, token_count }
    }
}

impl From<NamedValue> for GuestValue {
    fn from(NamedValue { name, value }: NamedValue) -> Self {
        Self { name, value }
    }
}

impl From<Embedding> for GuestEmbedding {
    fn from(Embedding { vector, pooling }: Embedding) -> Self {
        Self { vector, pooling }
    }
}

impl From<ModelFault> for GuestFault {
    fn from(ModelFault { kind, reason }: ModelFault) -> Self {
        let kind = match kind {
            FaultKind::TimeOut => GuestFaultKind::TimeOut,
            FaultKind::Refused => GuestFaultKind::Refused,
            FaultKind::Malformed => GuestFaultKind::Malformed,
            FaultKind::OverBudget => GuestFaultKind::OverBudget,
            FaultKind::NotSupported => GuestFaultKind::NotSupported,
            FaultKind::TooLarge => GuestFaultKind::TooLarge,
        };
        Self { kind, reason }
    }
}
