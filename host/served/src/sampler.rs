//! A server with vLLM's interface that samples for a trainer: adapters from folders, responses as tokens with their log-probabilities.
//!
//! What was sampled is taken as tokens (`return_token_ids`), never made of text again, and every field that decides how a token is drawn is
//! sent, because a server fills in what is absent from the model's `generation_config.json`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};
use slhf_plan::{
    FaultKind, ModelFault, ModelUsage, SampleCall, SampleRow, SampledResponse, SamplerCall, SamplerOutcome,
    SamplerReply,
};

use crate::budget::Budget;
use crate::client::{Client, ServedSettings};
use crate::in_flight::InFlight;
use crate::reply;
use crate::side_by_side::each;

/// How vLLM writes −∞, for which JSON has no word.
const NO_PROBABILITY: f64 = -9999.0;

/// A server that samples. Shared by all who ask it.
#[derive(Debug)]
pub struct ServedSampler {
    client: Client,
}

impl ServedSampler {
    /// Nothing is asked yet. Requests count among those of all who share `in_flight`.
    #[must_use]
    pub fn sharing(settings: ServedSettings, budget: Budget, in_flight: Arc<InFlight>) -> Self {
        Self { client: Client::new(settings, budget, in_flight) }
    }

    /// Does what is asked, and says what it cost. The first fault of a row is the fault of all: half a step is of no use.
    pub fn ask(&self, call: &SamplerCall) -> (SamplerOutcome, ModelUsage) {
        let (items, outcome) = match call {
            SamplerCall::Look => (1, self.look()),
            SamplerCall::Load { adapter, folder, rank } => (1, self.load(adapter, folder, *rank)),
            SamplerCall::Unload { adapter } => (1, self.unload(adapter)),
            SamplerCall::Sample(call) => (call.rows.len() as u64, self.sample(call)),
        };
        let mut usage = self.client.take_usage();
        usage.calls += 1;
        usage.items += items;
        if let Err(fault) = &outcome {
            usage.add_fault(fault.kind);
        }
        (outcome, usage)
    }

    /// The model must be among those that the server lists.
    fn look(&self) -> SamplerOutcome {
        let listed = self.client.look("models")?;
        let models = listed["data"].as_array().ok_or_else(|| self.client.malformed("it lists no models"))?;
        let names: Vec<&str> = models.iter().filter_map(|model| model["id"].as_str()).collect();
        let wanted = &self.client.settings().model;
        match models.iter().find(|model| model["id"].as_str() == Some(wanted)) {
            Some(model) if model["parent"].is_string() => Err(self.client.not_supported(
                "that is an adapter there; set device.sampler.model to the name of the model without adapters",
            )),
            Some(_) => Ok(SamplerReply::Done),
            None => Err(self.client.not_supported(&format!(
                "the server has {}; set device.sampler.model to the name of the model without adapters",
                names.join(", ")
            ))),
        }
    }

    /// A name is new, so that "already loaded" is the reply to an order whose first reply was lost.
    fn load(&self, adapter: &str, folder: &str, rank: u32) -> SamplerOutcome {
        let body = json!({ "lora_name": adapter, "lora_path": folder });
        match self.client.order("load_lora_adapter", &body) {
            Ok(()) => Ok(SamplerReply::Done),
            Err(fault) if fault.reason.contains("already been loaded") => Ok(SamplerReply::Done),
            Err(fault) => Err(explained(fault, |kind| {
                match kind {
                    // vLLM says 404 of a folder that it does not see, too.
                    FaultKind::NotSupported => Some(format!(
                        "it must be vLLM, started with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and see {folder} \
                     (device.sampler.folder_on_server, where its path is another)"
                    )),
                    FaultKind::Refused => Some(format!(
                        "it must see {folder} (device.sampler.folder_on_server, where its path is another) and take matrices of rank {rank} \
                     (--max-lora-rank)"
                    )),
                    _ => None,
                }
            })),
        }
    }

    /// A server that was started anew knows nothing of it: then it is gone already.
    fn unload(&self, adapter: &str) -> SamplerOutcome {
        match self.client.order("unload_lora_adapter", &json!({ "lora_name": adapter })) {
            Err(fault) if fault.kind != FaultKind::NotSupported => Err(fault),
            _ => Ok(SamplerReply::Done),
        }
    }

    fn sample(&self, call: &SampleCall) -> SamplerOutcome {
        let is_lost = AtomicBool::new(false);
        let ask = |row: &SampleRow| {
            if is_lost.load(Ordering::Relaxed) {
                return Err(self.client.malformed("it was not asked"));
            }
            let response = self.row(call, row);
            if response.is_err() {
                is_lost.store(true, Ordering::Relaxed);
            }
            response
        };
        let mut sampled = Vec::with_capacity(call.rows.len());
        let mut fault: Option<ModelFault> = None;
        for outcome in each(&self.client, &call.rows, ask, &|_, _| ()) {
            match outcome {
                Ok(response) => sampled.push(response),
                // Rows that were not asked for it say less than the one that failed.
                Err(found) if fault.as_ref().is_none_or(|known| known.reason.ends_with("it was not asked")) => {
                    fault = Some(found);
                }
                Err(_) => {}
            }
        }
        match fault {
            Some(fault) => Err(fault),
            None => Ok(SamplerReply::Sampled(sampled)),
        }
    }

    /// One request a row: a seed is of a request, and prompts that share one would be sampled by the same random numbers.
    fn row(&self, call: &SampleCall, row: &SampleRow) -> Result<SampledResponse, ModelFault> {
        let model = call.adapter.as_deref().unwrap_or(&self.client.settings().model);
        let body = json!({
            "model": model,
            "prompt": row.context,
            "max_tokens": call.sampling.max_new_tokens,
            "temperature": call.sampling.temperature,
            "top_p": call.sampling.top_p,
            "top_k": call.sampling.top_k,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "seed": row.seed,
            "ignore_eos": true,
            "stop_token_ids": call.end_tokens,
            "logprobs": 1,
            "return_token_ids": true,
        });
        let response = self.client.post("completions", &body).map_err(|fault| forgotten(call, fault))?;
        let choice = self.choice(call, &response)?;
        if let Some(why @ ("abort" | "error")) = choice["finish_reason"].as_str() {
            // Its tokens are none of the policy's whole responses; asked anew, they may be.
            let reason = format!("{} gave the response up (finish_reason \"{why}\")", self.client.named());
            return Err(ModelFault::new(FaultKind::Refused, reason));
        }
        let tokens = self.tokens(call, row, choice)?;
        let log_probabilities = self.log_probabilities(choice, tokens.len())?;
        let finished = self.finished(call, &tokens, choice)?;
        Ok(SampledResponse { tokens, log_probabilities, finished })
    }

    fn choice<'a>(&self, call: &SampleCall, response: &'a Json) -> Result<&'a Json, ModelFault> {
        let named = response["model"].as_str().unwrap_or_default();
        let Some(adapter) = &call.adapter else {
            let model = &self.client.settings().model;
            if !named.is_empty() && named != model {
                return Err(self.client.malformed(&format!(
                    "it responds as \"{named}\" where \"{model}\" was asked; if that is the same model, set device.sampler.model = \"{named}\""
                )));
            }
            return reply::only_of(&self.client, response);
        };
        if named != adapter {
            return Err(self.client.malformed(&format!(
                "it responds as \"{named}\" where the adapter \"{adapter}\" was asked: other weights than the trained ones"
            )));
        }
        reply::only_of(&self.client, response)
    }

    fn tokens(&self, call: &SampleCall, row: &SampleRow, choice: &Json) -> Result<Vec<u32>, ModelFault> {
        let listed = |key: &str| choice[key].as_array();
        if listed("prompt_token_ids").is_some_and(|read| *read != row.context) {
            return Err(self.client.malformed("it read other tokens than it was sent (a prompt that was cut?)"));
        }
        let ids = listed("token_ids").ok_or_else(|| {
            self.client.not_supported("its response has no token_ids; return_token_ids is there from vLLM 0.10.2 on")
        })?;
        let of = |id: &Json| id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|id| *id < call.vocabulary);
        let mut tokens = Vec::with_capacity(ids.len());
        for id in ids {
            tokens.push(of(id).ok_or_else(|| {
                let most = call.vocabulary;
                self.client.malformed(&format!("the token {id}, where the model here has {most} tokens: another model"))
            })?);
        }
        let most = call.sampling.max_new_tokens as usize;
        match tokens.len() {
            0 => Err(self.client.malformed("a response without a token")),
            count if count > most => {
                Err(self.client.malformed(&format!("{count} tokens came where at most {most} were asked for")))
            }
            _ => Ok(tokens),
        }
    }

    fn log_probabilities(&self, choice: &Json, count: usize) -> Result<Vec<f64>, ModelFault> {
        let Some(values) = choice["logprobs"]["token_logprobs"].as_array() else {
            return Err(self.client.not_supported("its response has no log-probabilities, which were asked for"));
        };
        if values.len() != count {
            let found = values.len();
            return Err(self.client.malformed(&format!("{found} log-probabilities of {count} tokens")));
        }
        let one = |value: &Json| {
            let number = reply::log_probability(&self.client, value)?;
            if number <= NO_PROBABILITY {
                return Err(self.client.malformed(&format!("{value} for a token that it sampled: it could not come")));
            }
            // Rounding ends above 0.
            Ok(number.min(0.0))
        };
        values.iter().map(one).collect()
    }

    /// A response ends with one of the model's end tokens, or has all tokens that it may have.
    fn finished(&self, call: &SampleCall, tokens: &[u32], choice: &Json) -> Result<bool, ModelFault> {
        let is_end = |token: &u32| call.end_tokens.contains(token);
        let finished = tokens.last().is_some_and(is_end);
        let before = &tokens[..tokens.len().saturating_sub(1)];
        if before.iter().any(is_end) {
            return Err(self.client.malformed("its response goes on after a token that ends it"));
        }
        if !finished && tokens.len() < call.sampling.max_new_tokens as usize {
            let why = choice["finish_reason"].as_str().unwrap_or("nothing");
            return Err(self.client.malformed(&format!(
                "its response ended after {} of {} tokens without an end token (finish_reason \"{why}\")",
                tokens.len(),
                call.sampling.max_new_tokens
            )));
        }
        Ok(finished)
    }
}

/// An adapter that was loaded and is not there any more: the server was started anew, and a run that goes on loads it again.
fn forgotten(call: &SampleCall, fault: ModelFault) -> ModelFault {
    match &call.adapter {
        Some(adapter) if fault.kind == FaultKind::NotSupported => ModelFault::new(
            FaultKind::Refused,
            format!("{}: it has lost the adapter \"{adapter}\"; was it started anew?", fault.reason),
        ),
        _ => fault,
    }
}

/// A fault with what to do about it.
fn explained(fault: ModelFault, cure: impl Fn(FaultKind) -> Option<String>) -> ModelFault {
    match cure(fault.kind) {
        Some(cure) => ModelFault::new(fault.kind, format!("{}: {cure}", fault.reason)),
        None => fault,
    }
}
