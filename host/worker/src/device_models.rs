//! Models on the run's device that plugins ask: loaded when they are first asked, and answered item by item, so that an answer
//! depends on its item alone. What was read of a context, and what was replied, is kept: neither changes a bit of a later reply.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slhf_plan::{
    Choice, ChoiceItem, CompletionItem, DeviceModelPlan, Embedding, FaultKind, GrantedAdapter, Message, ModelCall,
    ModelCompletion, ModelContext, ModelFault, ModelPrecision, ModelReply, ModelUsage, ModelWeights, NamedValue,
    Sampling,
};
use slhf_policy::{Engine, GenerateRow, Player, Pooling, ReadBlocks, Tokens};
use slhf_random::{Purpose, Row, Stream};
use tch::Device;

use crate::error::{WorkerError, chain};
use crate::known_replies::{KnownReplies, Question};
use crate::language::load;
use crate::language::reading::{self, malformed};

/// Keys and values of contexts that are kept for each model.
const BLOCKS_BYTES_MAX: u64 = 512 << 20;

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
    /// By the paths of model and adapter; a model that cannot be loaded stays so.
    loaded: HashMap<(String, Option<String>), Result<Loaded, ModelFault>>,
    known: KnownReplies,
    usage: BTreeMap<String, ModelUsage>,
}

/// A model with its tokens.
#[derive(Debug)]
struct Loaded {
    engine: Engine,
    tokens: Tokens,
    positions: usize,
    blocks: ReadBlocks,
}

/// A batch under way.
struct Batch<'a> {
    model: &'a mut Loaded,
    identity: &'a str,
    call: &'static str,
    known: &'a mut KnownReplies,
    usage: &'a mut ModelUsage,
}

impl Batch<'_> {
    /// Each item's reply: what is known of its question, or what `reply` makes of it. A fault is not kept.
    fn each<Item, Reply: Serialize + DeserializeOwned>(
        &mut self,
        items: &[Item],
        question: impl Fn(&Self, &Item) -> Option<Question>,
        reply: impl Fn(&mut Loaded, &Item, &mut ModelUsage) -> Result<Reply, ModelFault>,
    ) -> Vec<Result<Reply, ModelFault>> {
        let one = |item: &Item| {
            let question = question(self, item);
            if let Some(reply) = question.as_ref().and_then(|question| self.known.get(question)) {
                self.usage.cache_hits += 1;
                return Ok(reply);
            }
            let reply = reply(self.model, item, self.usage).inspect_err(|fault| self.usage.add_fault(fault.kind))?;
            if let Some(question) = question {
                self.known.put(question, &reply);
            }
            Ok(reply)
        };
        items.iter().map(one).collect()
    }

    fn question(&self, asked: &impl Serialize) -> Option<Question> {
        Question::of(self.identity, self.call, asked)
    }
}

impl DeviceModels {
    pub(crate) fn new(place: DevicePlace) -> Self {
        Self { place, loaded: HashMap::new(), known: KnownReplies::default(), usage: BTreeMap::new() }
    }

    /// What was asked since this was taken last, by model.
    pub(crate) fn take_usage(&mut self) -> BTreeMap<String, ModelUsage> {
        std::mem::take(&mut self.usage)
    }

    /// A model that was not asked before. Adapters of one model share its weights, which are loaded once.
    fn load(&mut self, model: &DeviceModelPlan) -> Result<Loaded, ModelFault> {
        let Some(adapter) = &model.adapter else { return load_model(model, self.place) };
        let place = self.place;
        let base = self.loaded.entry((model.path.clone(), None)).or_insert_with(|| load_model(model, place));
        let base = base.as_ref().map_err(Clone::clone)?;
        load_beside(&base.engine, model, adapter, place)
    }

    /// Answers a batch.
    pub(crate) fn answer(&mut self, model: &DeviceModelPlan, call: &ModelCall) -> ModelReply {
        let started = Instant::now();
        let (identity, place) = (model.identity(), place_of(model));
        let mut loaded = self.loaded.remove(&place).unwrap_or_else(|| self.load(model));
        let mut usage = ModelUsage { calls: 1, items: call.len() as u64, ..ModelUsage::default() };
        let reply = match &mut loaded {
            Ok(loaded) => {
                let (known, usage) = (&mut self.known, &mut usage);
                loaded_reply(call, &mut Batch { model: loaded, identity: &identity, call: call.name(), known, usage })
            }
            Err(fault) => ModelReply::fault(call, fault),
        };
        self.loaded.insert(place, loaded);
        usage.milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.usage.entry(shown(model)).or_default().add(&usage);
        reply
    }
}

/// Where a model lies, with its adapter.
fn place_of(model: &DeviceModelPlan) -> (String, Option<String>) {
    (model.path.clone(), model.adapter.as_ref().map(|adapter| adapter.path.clone()))
}

fn purpose(place: DevicePlace) -> load::Purpose {
    load::Purpose {
        device: place.device,
        precision: place.precision,
        thinking: load::thinking(false),
        chat_template: None,
        weights: ModelWeights::Packed,
        activation_checkpointing: false,
        training: None,
        agents: Vec::new(),
        adapter: None,
        seed: 0,
    }
}

fn load_model(model: &DeviceModelPlan, place: DevicePlace) -> Result<Loaded, ModelFault> {
    let path = Path::new(&model.path);
    let loaded = load::check_files(path, &model.sha256).and_then(|()| load::engine(path, purpose(place)));
    loaded.map(Loaded::of).map_err(|error| not_loaded(model, &error))
}

fn load_beside(
    base: &Engine,
    model: &DeviceModelPlan,
    adapter: &GrantedAdapter,
    place: DevicePlace,
) -> Result<Loaded, ModelFault> {
    let folder = Path::new(&adapter.path);
    let loaded = load::check_adapter(folder, &adapter.sha256)
        .and_then(|()| load::beside(base, Path::new(&model.path), folder, purpose(place)));
    let loaded = loaded.map(Loaded::of).map_err(|error| not_loaded(model, &error))?;
    if loaded.engine.config().reward.is_some() {
        return Ok(loaded);
    }
    let reason = format!(
        "the adapter {} of the model \"{}\" has no head of a reward model; `slhf-lab model merge` makes a model of the two, which is \
         granted by its folder",
        folder.display(),
        shown(model)
    );
    Err(ModelFault::new(FaultKind::Refused, reason))
}

fn not_loaded(model: &DeviceModelPlan, error: &WorkerError) -> ModelFault {
    ModelFault::new(FaultKind::Refused, format!("the model \"{}\" cannot be loaded: {}", shown(model), chain(error)))
}

fn loaded_reply(call: &ModelCall, batch: &mut Batch<'_>) -> ModelReply {
    match call {
        ModelCall::Choose(items, _) => ModelReply::Chosen(batch.each(
            items,
            // Log-probabilities do not depend on the draw.
            |batch, item| batch.question(&(&item.context, &item.continuations)),
            Loaded::choose,
        )),
        ModelCall::Complete(items) => ModelReply::Completed(batch.each(items, Batch::question, Loaded::complete)),
        ModelCall::Score(items) => ModelReply::Scored(
            batch.each(items, Batch::question, |model, messages, usage| model.score(messages, usage)),
        ),
        ModelCall::Embed(texts) => {
            ModelReply::Embedded(batch.each(texts, Batch::question, |model, text, usage| model.embed(text, usage)))
        }
    }
}

impl Loaded {
    fn of((engine, tokens): (Engine, Tokens)) -> Self {
        let positions = engine.config().generated_positions_max();
        Self { engine, tokens, positions, blocks: ReadBlocks::new(BLOCKS_BYTES_MAX) }
    }

    /// Each conversation in a pass of its own.
    fn score(&mut self, messages: &[Message], usage: &mut ModelUsage) -> Result<Vec<NamedValue>, ModelFault> {
        let text = reading::conversation(&self.tokens, messages, None)?;
        let values = reading::values(&mut self.engine, &text)?;
        usage.prompt_tokens += text.len() as u64;
        Ok(values)
    }

    /// Each text in a pass of its own.
    fn embed(&mut self, text: &str, usage: &mut ModelUsage) -> Result<Embedding, ModelFault> {
        let text = self.tokens.encode_raw(text).map_err(|error| malformed(&error))?;
        let pooling = Pooling::default();
        let vector = reading::embedding(&mut self.engine, &text, pooling)?;
        usage.prompt_tokens += text.len() as u64;
        Ok(Embedding { vector, pooling: pooling.name().to_owned() })
    }

    /// A reward model has no output matrix to answer with.
    fn check_predicts(&self, call: &str) -> Result<(), ModelFault> {
        if self.engine.config().reward.is_none() {
            return Ok(());
        }
        let reason = format!("the model is a reward model: it knows `score` and `embed`, but no `{call}`");
        Err(ModelFault::new(FaultKind::NotSupported, reason))
    }

    /// The context is read once for all continuations, and its beginning once for all items that share it.
    fn choose(&mut self, item: &ChoiceItem, usage: &mut ModelUsage) -> Result<Choice, ModelFault> {
        self.check_predicts("choose")?;
        let context = self.context(&item.context)?;
        let mut continuations = Vec::with_capacity(item.continuations.len());
        for continuation in &item.continuations {
            let tokens = self.tokens.encode(continuation).map_err(|error| malformed(&error))?;
            if tokens.is_empty() {
                return Err(ModelFault::new(FaultKind::Malformed, "a continuation has no token"));
            }
            self.check_length(context.len() + tokens.len())?;
            continuations.push(tokens);
        }
        let continuations: Vec<&[u32]> = continuations.iter().map(Vec::as_slice).collect();
        let scored = self.engine.continuations(&mut self.blocks, &context, &continuations);
        let (scored, counts) = scored.map_err(|error| malformed(&error))?;
        usage.prompt_tokens += counts.read;
        Ok(Choice { log_probabilities: scored.iter().map(|tokens| tokens.iter().sum()).collect(), sampled: 0 })
    }

    fn complete(&mut self, item: &CompletionItem, usage: &mut ModelUsage) -> Result<ModelCompletion, ModelFault> {
        self.check_predicts("complete")?;
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

/// For messages: the model's name, or where it lies.
fn shown(model: &DeviceModelPlan) -> String {
    if model.name.is_empty() { Path::new(&model.path).display().to_string() } else { model.name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> DeviceModelPlan {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/tests/fixtures");
        let path = fixtures.join(name);
        let sha256 = slhf_data::model_sha256(&path).expect("a fixture").sha256;
        DeviceModelPlan { name: name.to_owned(), path: path.display().to_string(), sha256, adapter: None }
    }

    fn models() -> DeviceModels {
        DeviceModels::new(DevicePlace { device: Device::Cpu, precision: ModelPrecision::F32 })
    }

    fn conversation(response: &str) -> Vec<Message> {
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        vec![message("user", "What is better?"), message("assistant", response)]
    }

    #[test]
    fn scores_are_those_of_transformers_and_each_of_its_item_alone() {
        let items =
            || vec![conversation("The leader's answer."), conversation("No."), conversation(&"long ".repeat(99))];
        let mut models = models();
        let ModelReply::Scored(together) = models.answer(&model("rewards/llama"), &ModelCall::Score(items())) else {
            panic!("not scored")
        };
        // `chats[0]` of the model's expected.json.
        let first = together[0].as_ref().expect("a score");
        let truth = std::fs::read(Path::new(&model("rewards/llama").path).join("expected.json")).expect("a fixture");
        let truth: serde_json::Value = serde_json::from_slice(&truth).expect("JSON");
        let expected = truth["chats"][0]["values"][0].as_f64().expect("a number");
        assert_eq!((first.len(), first[0].name.as_str()), (1, "LABEL_0"));
        assert!((first[0].value - expected).abs() < 1e-5, "{first:?} instead of {expected}");
        let fault = together[2].as_ref().expect_err("too long");
        assert_eq!(fault.kind, FaultKind::TooLarge);
        assert!(fault.reason.ends_with("tokens, and the model has 64 positions"), "{fault}");
        let usage = models.take_usage().remove("rewards/llama").expect("counted");
        assert_eq!((usage.calls, usage.items), (1, 3));
        assert!(usage.prompt_tokens > 0, "{usage:?}");
        for (item, outcome) in items().into_iter().zip(together).rev() {
            // Asked anew, and as it is known.
            for mut models in [self::models(), std::mem::replace(&mut models, self::models())] {
                let again = models.answer(&model("rewards/llama"), &ModelCall::Score(vec![item.clone()]));
                assert_eq!(again, ModelReply::Scored(vec![outcome.clone()]));
            }
        }
    }

    fn with_adapter(base: &str, folder: &str) -> DeviceModelPlan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/tests/fixtures").join(folder);
        let sha256 = slhf_data::adapter_sha256(&path).expect("a fixture");
        let adapter = GrantedAdapter { path: path.display().to_string(), sha256 };
        DeviceModelPlan { name: folder.to_owned(), adapter: Some(adapter), ..model(base) }
    }

    /// An adapter of a model and the model itself, asked in turns: each says what it says alone, and the weights are there once.
    #[test]
    fn adapters_share_the_weights_of_their_model() {
        let scored = |models: &mut DeviceModels, of: &DeviceModelPlan| {
            let items = vec![conversation("The leader's answer."), conversation("No.")];
            let ModelReply::Scored(outcomes) = models.answer(of, &ModelCall::Score(items)) else {
                panic!("not scored")
            };
            outcomes
        };
        let question = [item("Which of the two is better?", &[" A", " B"])];
        let (own, other) = (with_adapter("llama-tied", "rewards/adapters/llama-tied-score"), model("llama-tied"));
        let mut models = models();
        let (first, plain) = (scored(&mut models, &own), chosen(&mut models, &question));
        let names: Vec<String> = first[0].as_ref().expect("scored").iter().map(|value| value.name.clone()).collect();
        assert_eq!(names, ["LABEL_0", "LABEL_1", "LABEL_2"]);
        assert_eq!(scored(&mut self::models(), &own), first);
        assert_eq!(chosen(&mut self::models(), &question), plain);
        // As the whole model with the adapter loaded over it says.
        let path = own.adapter.as_ref().map(|adapter| std::path::PathBuf::from(&adapter.path));
        let place = DevicePlace { device: Device::Cpu, precision: ModelPrecision::F32 };
        let purpose = load::Purpose { adapter: path, ..purpose(place) };
        let whole = load::engine(Path::new(&own.path), purpose).expect("loads");
        let mut whole = Loaded::of(whole);
        let expected = whole.score(&conversation("No."), &mut ModelUsage::default());
        assert_eq!(first[1], expected);
        let engine = |of: &DeviceModelPlan| match &models.loaded[&place_of(of)] {
            Ok(loaded) => &loaded.engine,
            Err(fault) => panic!("{fault}"),
        };
        assert!(engine(&own).shares_weights_with(engine(&other)));
        assert!(!engine(&own).shares_weights_with(&whole.engine));
    }

    /// A policy's adapter has no value to give, and what is chosen is the model's without it.
    #[test]
    fn an_adapter_without_a_head_and_one_that_has_changed_are_refused() {
        let headless = with_adapter("llama-tied", "adapters/llama-tied-all-linear");
        let reply = |of: &DeviceModelPlan| {
            let call = ModelCall::Score(vec![conversation("No.")]);
            let ModelReply::Scored(mut outcomes) = models().answer(of, &call) else { panic!("not scored") };
            outcomes.remove(0).expect_err("refused").reason
        };
        assert!(reply(&headless).contains("has no head of a reward model"), "{}", reply(&headless));
        let mut changed = with_adapter("llama-tied", "rewards/adapters/llama-tied-score");
        if let Some(adapter) = &mut changed.adapter {
            adapter.sha256 = "0".repeat(64);
        }
        assert!(reply(&changed).contains("llama-tied-score"), "{}", reply(&changed));
    }

    fn item(context: &str, continuations: &[&str]) -> ChoiceItem {
        let continuations = continuations.iter().map(|text| (*text).to_owned()).collect();
        ChoiceItem { context: ModelContext::Raw(context.to_owned()), continuations, draw: 0 }
    }

    fn chosen(models: &mut DeviceModels, items: &[ChoiceItem]) -> Vec<Vec<u64>> {
        let call = ModelCall::Choose(items.to_vec(), slhf_plan::Evidence::LogProbabilities);
        let ModelReply::Chosen(outcomes) = models.answer(&model("llama-tied"), &call) else { panic!("not chosen") };
        let bits = |outcome: Result<Choice, ModelFault>| {
            outcome.expect("a choice").log_probabilities.into_iter().map(f64::to_bits).collect()
        };
        outcomes.into_iter().map(bits).collect()
    }

    /// Neither the size of a batch, nor its order, nor what was asked before changes a bit; what is known is not read again.
    #[test]
    fn a_choice_is_a_function_of_its_item_alone() {
        let beginning = "Which of the two is better? ".repeat(4);
        let items: Vec<ChoiceItem> = (0..64)
            .map(|number| {
                item(&format!("{beginning}{} or {}", number % 5, number % 16), &[" A", " B", " both of them"])
            })
            .collect();
        let alone: Vec<Vec<u64>> =
            items[..4].iter().map(|item| chosen(&mut models(), std::slice::from_ref(item)).remove(0)).collect();
        let mut warm = models();
        for size in [1, 7, 64] {
            let mut cold = models();
            for models in [&mut cold, &mut warm] {
                for (start, batch) in items.chunks(size).enumerate().rev() {
                    let found = chosen(models, batch);
                    for (number, found) in (start * size..).zip(found).filter(|(number, _)| *number < alone.len()) {
                        assert_eq!(found, alone[number], "{size} {number}");
                    }
                }
            }
        }
        let usage = warm.take_usage().remove("llama-tied").expect("counted");
        assert_eq!(usage.items, 3 * 64);
        // All 64 differ: remainders by 5 and by 16 recur together after 80.
        assert_eq!(usage.items - usage.cache_hits, 64);
        let read = usage.prompt_tokens;
        let _ = chosen(&mut warm, &items);
        assert_eq!(warm.take_usage().remove("llama-tied").expect("counted").prompt_tokens, 0, "{read}");
    }

    #[test]
    fn texts_are_embedded_by_models_of_both_kinds() {
        for name in ["rewards/llama", "llama-tied"] {
            let call = ModelCall::Embed(vec!["What is better?".to_owned(), String::new()]);
            let ModelReply::Embedded(outcomes) = models().answer(&model(name), &call) else { panic!("not embedded") };
            let embedding = outcomes[0].as_ref().expect("a vector");
            let width = if name == "llama-tied" { 32 } else { 8 };
            assert_eq!((embedding.pooling.as_str(), embedding.vector.len()), ("mean", width), "{name}");
            let fault = outcomes[1].as_ref().expect_err("no token");
            assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
        }
    }

    #[test]
    fn what_a_model_cannot_is_a_fault_in_a_sentence() {
        let mut models = models();
        let ModelReply::Scored(outcomes) =
            models.answer(&model("llama-tied"), &ModelCall::Score(vec![conversation("a")]))
        else {
            panic!("not scored")
        };
        let fault = outcomes[0].as_ref().expect_err("no head");
        assert_eq!(fault.kind, FaultKind::NotSupported);
        assert_eq!(fault.reason, "the model has no reward head (`score.weight`), which `score` needs");
        let usage = models.take_usage().remove("llama-tied").expect("counted");
        assert_eq!(usage.faults.iter().sum::<u64>(), 1, "{usage:?}");
        let item = ChoiceItem {
            context: ModelContext::Raw("a".to_owned()),
            continuations: vec!["b".to_owned(), "c".to_owned()],
            draw: 0,
        };
        let choose = ModelCall::Choose(vec![item], slhf_plan::Evidence::LogProbabilities);
        let ModelReply::Chosen(outcomes) = models.answer(&model("rewards/llama"), &choose) else {
            panic!("not chosen")
        };
        let fault = outcomes[0].as_ref().expect_err("no output matrix");
        assert_eq!(fault.kind, FaultKind::NotSupported);
        assert_eq!(fault.reason, "the model is a reward model: it knows `score` and `embed`, but no `choose`");
    }
}
