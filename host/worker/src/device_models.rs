//! Models on the run's device that plugins ask: loaded when they are first asked, and answered item by item, so that an answer
//! depends on its item alone.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use slhf_plan::{
    Choice, ChoiceItem, CompletionItem, DeviceModelPlan, FaultKind, ModelCall, ModelCompletion, ModelContext,
    ModelFault, ModelPrecision, ModelReply, ModelUsage, Sampling,
};
use slhf_policy::{Engine, GenerateRow, Player, Tokens};
use slhf_random::{Purpose, Row, Stream};
use tch::Device;

use crate::error::{WorkerError, chain};
use crate::language::load;

/// Where models of plugins are put: where the run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DevicePlace {
    pub(crate) device: Device,
    pub(crate) precision: ModelPrecision,
}

/// The models that were asked so far.
#[derive(Debug)]
pub(crate) struct DeviceModels {
    place: DevicePlace,
    /// By path; a model that cannot be loaded stays so.
    loaded: HashMap<String, Result<Loaded, ModelFault>>,
    usage: BTreeMap<String, ModelUsage>,
}

/// A model with its tokens.
#[derive(Debug)]
struct Loaded {
    engine: Engine,
    tokens: Tokens,
    positions: usize,
}

impl DeviceModels {
    pub(crate) fn new(place: DevicePlace) -> Self {
        Self { place, loaded: HashMap::new(), usage: BTreeMap::new() }
    }

    /// What was asked since this was taken last, by model.
    pub(crate) fn take_usage(&mut self) -> BTreeMap<String, ModelUsage> {
        std::mem::take(&mut self.usage)
    }

    /// Answers a batch.
    pub(crate) fn answer(&mut self, model: &DeviceModelPlan, call: &ModelCall) -> ModelReply {
        let started = Instant::now();
        let place = self.place;
        let loaded = self.loaded.entry(model.path.clone()).or_insert_with(|| load_model(model, place));
        let mut usage = ModelUsage { calls: 1, items: call.len() as u64, ..ModelUsage::default() };
        let reply = match loaded {
            Ok(loaded) => loaded.answer(call, &mut usage),
            Err(fault) => ModelReply::fault(call, fault),
        };
        usage.milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.usage.entry(shown(model)).or_default().add(&usage);
        reply
    }
}

fn load_model(model: &DeviceModelPlan, place: DevicePlace) -> Result<Loaded, ModelFault> {
    let named = |error: &WorkerError| {
        let reason = format!("the model \"{}\" cannot be loaded: {}", shown(model), chain(error));
        ModelFault::new(FaultKind::Refused, reason)
    };
    let path = Path::new(&model.path);
    load::check_files(path, &model.sha256).map_err(|error| named(&error))?;
    let purpose = load::Purpose {
        device: place.device,
        precision: place.precision,
        thinking: load::thinking(false),
        chat_template: None,
        activation_checkpointing: false,
        training: None,
        agents: Vec::new(),
        adapter: None,
        seed: 0,
    };
    let (engine, tokens) = load::engine(path, purpose).map_err(|error| named(&error))?;
    let positions = engine.config().generated_positions_max();
    Ok(Loaded { engine, tokens, positions })
}

impl Loaded {
    fn answer(&mut self, call: &ModelCall, usage: &mut ModelUsage) -> ModelReply {
        match call {
            ModelCall::Choose(items, _) => {
                ModelReply::Chosen(items.iter().map(|item| counted(self.choose(item, usage), usage)).collect())
            }
            ModelCall::Complete(items) => {
                ModelReply::Completed(items.iter().map(|item| counted(self.complete(item, usage), usage)).collect())
            }
            ModelCall::Score(_) | ModelCall::Embed(_) => {
                let reason = format!("the model on the device answers no `{}`", call.name());
                let fault = ModelFault::new(FaultKind::NotSupported, reason);
                (0..call.len()).for_each(|_| usage.add_fault(fault.kind));
                ModelReply::fault(call, &fault)
            }
        }
    }

    /// Each continuation in a pass of its own: no neighbor, no padding.
    fn choose(&mut self, item: &ChoiceItem, usage: &mut ModelUsage) -> Result<Choice, ModelFault> {
        let context = self.context(&item.context)?;
        let mut log_probabilities = Vec::with_capacity(item.continuations.len());
        for continuation in &item.continuations {
            let tokens = self.tokens.encode(continuation).map_err(|error| malformed(&error))?;
            if tokens.is_empty() {
                return Err(ModelFault::new(FaultKind::Malformed, "a continuation has no token"));
            }
            self.check_length(context.len() + tokens.len())?;
            let scored = self.engine.log_probabilities(Player::Leader, &[(&context, &tokens)]);
            let scored = scored.map_err(|error| malformed(&error))?;
            usage.prompt_tokens += (context.len() + tokens.len()) as u64;
            log_probabilities.push(scored.iter().flatten().sum());
        }
        Ok(Choice { log_probabilities, sampled: 0 })
    }

    fn complete(&mut self, item: &CompletionItem, usage: &mut ModelUsage) -> Result<ModelCompletion, ModelFault> {
        let context = self.context(&item.context)?;
        self.check_length(context.len() + item.max_new_tokens as usize)?;
        usage.prompt_tokens += context.len() as u64;
        let sampling = Sampling {
            temperature: item.temperature,
            top_p: item.top_p,
            max_new_tokens: item.max_new_tokens,
            top_k: 0,
        };
        let row =
            Row { purpose: Purpose::RequestedTokens, prompt: 0, step: 0, stream: Stream::Leader, round: 0, sample: 0 };
        let rows = [GenerateRow { context, row }];
        let generated = self.engine.generate(Player::Leader, &rows, item.draw, &sampling);
        let (generated, _) = generated.map_err(|error| malformed(&error))?;
        let one = generated.into_iter().next();
        let one = one.ok_or_else(|| ModelFault::new(FaultKind::Malformed, "nothing was generated"))?;
        usage.completion_tokens += one.tokens.len() as u64;
        let text = self.tokens.decode(&one.tokens).map_err(|error| malformed(&error))?;
        let token_count = u32::try_from(one.tokens.len()).unwrap_or(u32::MAX);
        Ok(ModelCompletion { text, finished: one.finished, token_count })
    }

    fn context(&self, context: &ModelContext) -> Result<Vec<u32>, ModelFault> {
        match context {
            ModelContext::Conversation(messages) => self.tokens.prompt(messages),
            ModelContext::Raw(text) => self.tokens.encode_raw(text),
        }
        .map_err(|error| malformed(&error))
    }

    fn check_length(&self, tokens: usize) -> Result<(), ModelFault> {
        if tokens <= self.positions {
            return Ok(());
        }
        let reason = format!("{tokens} tokens are asked about, and the model has {} positions", self.positions);
        Err(ModelFault::new(FaultKind::TooLarge, reason))
    }
}

fn malformed(error: &dyn std::error::Error) -> ModelFault {
    ModelFault::new(FaultKind::Malformed, chain(error))
}

fn counted<T>(outcome: Result<T, ModelFault>, usage: &mut ModelUsage) -> Result<T, ModelFault> {
    outcome.inspect_err(|fault| usage.add_fault(fault.kind))
}

/// For messages: the model's name, or where it lies.
fn shown(model: &DeviceModelPlan) -> String {
    if model.name.is_empty() { Path::new(&model.path).display().to_string() } else { model.name.clone() }
}
