//! A server that speaks the part of vLLM's interface that a trainer needs, with an engine of its own: adapters are read from the folders that
//! it is told of, and log-probabilities are its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use slhf_plan::{ModelPrecision, Sampling};
use slhf_policy::{
    Agent, Engine, EngineSettings, GenerateRow, Generated, Parameters, Player, ReadWeights as _, StoredAdapter,
    StoredModel,
};
use slhf_random::{Purpose, Row, Stream};
use slhf_tests::{Call, Loopback};
use tch::Device;
use tempfile::TempDir;

/// What it does beside what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Nothing.
    Good,
    /// Log-probabilities are those of temperature 1, as vLLM's are unless it is told otherwise.
    Raw,
    /// Adapters are accepted and not used.
    WithoutAdapters,
    /// An adapter's first weights are kept for all adapters after it: stale ones.
    Stale,
    /// Every tenth request is refused for the moment.
    Busy,
    /// No response is sampled any more after so many.
    DiesAfter(usize),
    /// After so many it knows no adapter any more, as one that was started anew.
    ForgetsAfter(usize),
    /// No adapter is let go, and after so many responses come some that are none.
    ConfusedAfter(usize),
}

/// What came in.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Names of adapters, in the order of their loads.
    pub(crate) loaded: Vec<String>,
    /// Where they lay.
    pub(crate) folders: Vec<PathBuf>,
    /// Likewise of those that were let go.
    pub(crate) unloaded: Vec<String>,
    /// Models that responses were asked of.
    pub(crate) sampled: Vec<String>,
    /// `Authorization` of the requests that had one.
    pub(crate) keys: usize,
}

pub(crate) struct SamplingServer {
    loopback: Loopback,
    seen: Arc<Mutex<Seen>>,
    manners: Arc<Mutex<Manners>>,
}

struct Inside {
    engine: Engine,
    /// Adapters by their names; `None` in the engine's place: the model alone.
    folders: HashMap<String, PathBuf>,
    /// The first of them, kept.
    first: Option<TempDir>,
}

impl SamplingServer {
    /// With the model in this folder, which it calls `tiny`.
    pub(crate) fn start(model: &Path, manners: Manners) -> Self {
        let inside = Mutex::new(Inside { engine: engine(model), folders: HashMap::new(), first: None });
        let (seen, manners) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Mutex::new(manners)));
        let (noted, now) = (Arc::clone(&seen), Arc::clone(&manners));
        let loopback = Loopback::start(move |call| {
            let manners = *lock(&now);
            let mut seen = lock(&noted);
            seen.keys += usize::from(call.head.to_lowercase().contains("authorization:"));
            let refused = |status, message: &str| (status, json!({ "error": { "message": message } }).to_string());
            match call.head.split_whitespace().nth(1).unwrap_or_default() {
                "/v1/models" => (200, json!({ "data": [{ "id": "tiny", "parent": null }] }).to_string()),
                "/v1/load_lora_adapter" => lock(&inside).load(&call, &mut seen),
                "/v1/unload_lora_adapter" => {
                    if matches!(manners, Manners::ConfusedAfter(_)) {
                        return refused(500, "it stays");
                    }
                    let name = call.body["lora_name"].as_str().unwrap_or_default().to_owned();
                    let known = lock(&inside).folders.remove(&name).is_some();
                    seen.unloaded.push(name);
                    if known { (200, "Success".to_owned()) } else { refused(404, "no such adapter") }
                }
                "/v1/completions" => {
                    seen.sampled.push(call.body["model"].as_str().unwrap_or_default().to_owned());
                    match manners {
                        Manners::Busy if seen.sampled.len() % 10 == 0 => refused(503, "busy"),
                        Manners::DiesAfter(most) if seen.sampled.len() > most => refused(500, "the engine is dead"),
                        Manners::ForgetsAfter(most) if seen.sampled.len() > most => refused(404, "no such model"),
                        Manners::ConfusedAfter(most) if seen.sampled.len() > most => (200, "{}".to_owned()),
                        _ => lock(&inside).complete(&call, manners),
                    }
                }
                _ => refused(404, "Not Found"),
            }
        });
        Self { loopback, seen, manners }
    }

    pub(crate) fn origin(&self) -> &str {
        self.loopback.origin()
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *lock(&self.manners) = manners;
    }

    /// What came in so far, which is forgotten.
    pub(crate) fn take_seen(&self) -> Seen {
        std::mem::take(&mut *lock(&self.seen))
    }
}

impl Inside {
    /// The folder is read at once, and a name is taken once, as a server does that keeps prompts under it.
    fn load(&mut self, call: &Call, seen: &mut Seen) -> (u16, String) {
        let name = call.body["lora_name"].as_str().unwrap_or_default().to_owned();
        let folder = PathBuf::from(call.body["lora_path"].as_str().unwrap_or_default());
        let refused = |message: String| (400, json!({ "error": { "message": message } }).to_string());
        if seen.loaded.contains(&name) {
            return refused(format!("the name {name} was used before"));
        }
        if let Err(problem) = self.parameters(&folder) {
            return refused(problem);
        }
        if self.first.is_none() {
            let kept = tempfile::tempdir().expect("a folder");
            for file in std::fs::read_dir(&folder).expect("an adapter").flatten() {
                std::fs::copy(file.path(), kept.path().join(file.file_name())).expect("a copy");
            }
            self.first = Some(kept);
        }
        seen.folders.push(folder.clone());
        self.folders.insert(name.clone(), folder);
        seen.loaded.push(name.clone());
        (200, format!("Success: LoRA adapter '{name}' added successfully."))
    }

    fn parameters(&self, folder: &Path) -> Result<Option<Parameters>, String> {
        let stored = StoredAdapter::open(folder, self.engine.config()).map_err(|error| error.to_string())?;
        stored.parameters(self.engine.config(), &[Agent::Shared], Device::Cpu).map_err(|error| error.to_string())
    }

    fn complete(&mut self, call: &Call, manners: Manners) -> (u16, String) {
        let body = &call.body;
        let model = body["model"].as_str().unwrap_or_default();
        let first = self.first.as_ref().filter(|_| manners == Manners::Stale).map(|first| first.path().to_owned());
        let player = match (self.folders.get(model).cloned().map(|folder| first.unwrap_or(folder)), model) {
            (_, "tiny") => Player::Reference,
            (None, _) => return (404, json!({ "error": { "message": format!("no model {model}") } }).to_string()),
            (Some(_), _) if manners == Manners::WithoutAdapters => Player::Reference,
            (Some(folder), _) => {
                let parameters = self.parameters(&folder).expect("an adapter that was loaded").expect("matrices");
                self.engine.set_parameters(parameters);
                Player::Leader
            }
        };
        self.engine.set_end_tokens(numbers(&body["stop_token_ids"]));
        let context = numbers(&body["prompt"]);
        let generated = self.generate(player, &context, body);
        let said = match manners {
            Manners::Raw => {
                let answer = [(&context[..], &generated.tokens[..])];
                self.engine.log_probabilities(player, &answer).expect("scores").remove(0)
            }
            _ => generated.draws.iter().map(|draw| draw.log_probability).collect(),
        };
        let reply = json!({
            "model": model,
            "choices": [{
                "index": 0,
                "text": "",
                "finish_reason": if generated.finished { "stop" } else { "length" },
                "prompt_token_ids": context,
                "token_ids": generated.tokens,
                "logprobs": { "token_logprobs": said },
            }],
            "usage": { "prompt_tokens": context.len(), "completion_tokens": generated.tokens.len() },
        });
        (200, reply.to_string())
    }

    fn generate(&mut self, player: Player, context: &[u32], body: &Value) -> Generated {
        let seed = body["seed"].as_u64().expect("a seed");
        let row =
            Row { purpose: Purpose::RequestedTokens, prompt: 0, step: 0, stream: Stream::Leader, round: 0, sample: 0 };
        let sampling = Sampling {
            temperature: body["temperature"].as_f64().expect("a temperature"),
            top_k: body["top_k"].as_u64().expect("top_k") as u32,
            top_p: body["top_p"].as_f64().expect("top_p"),
            max_new_tokens: body["max_tokens"].as_u64().expect("max_tokens") as u32,
        };
        let rows = [GenerateRow { context: context.to_vec(), row }];
        let (mut generated, _) = self.engine.generate(player, &rows, seed, &sampling).expect("a response");
        generated.remove(0)
    }
}

fn engine(model: &Path) -> Engine {
    let mut stored = StoredModel::open(model).expect("the model");
    let mut weights = stored.weights(ModelPrecision::F32).expect("weights");
    let settings = EngineSettings {
        device: Device::Cpu,
        precision: ModelPrecision::F32,
        activation_checkpointing: false,
        training: None,
        agents: Vec::new(),
        seed: 0,
    };
    Engine::load(stored.config().clone(), settings, &mut |name| weights.take(name)).expect("an engine")
}

fn numbers(list: &Value) -> Vec<u32> {
    list.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|number| number as u32).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
