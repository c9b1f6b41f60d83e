//! One served model.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use slhf_plan::{
    Choice, ChoiceItem, CompletionItem, Embedding, Evidence, ModelCall, ModelCompletion, ModelFault, ModelReply,
    ModelUsage, NamedValue,
};

use crate::budget::Budget;
use crate::choose::{self, Way};
use crate::client::{Client, ServedSettings};
use crate::in_flight::InFlight;
use crate::reply;
use crate::side_by_side::{Heard, each};

/// A model behind a server. Shared by all who ask it.
#[derive(Debug)]
pub struct ServedModel {
    client: Client,
    /// Once it is known.
    way: Mutex<Option<Way>>,
}

impl ServedModel {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(settings: ServedSettings, budget: Budget) -> Self {
        Self::sharing(settings, budget, Arc::default())
    }

    /// Likewise, of a server that others ask as well: their requests count among those in flight.
    #[must_use]
    pub fn sharing(settings: ServedSettings, budget: Budget, in_flight: Arc<InFlight>) -> Self {
        Self { client: Client::new(settings, budget, in_flight), way: Mutex::new(None) }
    }

    /// Tokens that were spent, also before.
    pub fn tokens_spent(&self) -> u64 {
        self.client.budget().spent()
    }

    /// Answers a batch: an outcome an item, in their order, whatever order the server answers in; and what it cost.
    pub fn ask(&self, call: &ModelCall) -> (ModelReply, ModelUsage) {
        match call {
            ModelCall::Choose(items, evidence) => {
                let (outcomes, usage) = self.choose(items, *evidence, &|_, _| ());
                (ModelReply::Chosen(outcomes), usage)
            }
            ModelCall::Complete(items) => {
                let (outcomes, usage) = self.complete(items, &|_, _| ());
                (ModelReply::Completed(outcomes), usage)
            }
            ModelCall::Embed(texts) => {
                let (outcomes, usage) = self.embed(texts, &|_, _| ());
                (ModelReply::Embedded(outcomes), usage)
            }
            ModelCall::Score(items) => {
                let what = "the interface has no reward heads; name a folder of weights with path instead of server";
                let fault = self.client.not_supported(what);
                let outcomes: Vec<Result<Vec<NamedValue>, ModelFault>> =
                    items.iter().map(|_| Err(fault.clone())).collect();
                let usage = self.usage(&outcomes);
                (ModelReply::Scored(outcomes), usage)
            }
        }
    }

    /// Log-probabilities of continuations. `heard` is called with each answer as it comes, from the thread that asked.
    pub fn choose(
        &self,
        items: &[ChoiceItem],
        evidence: Evidence,
        heard: &Heard<'_, Choice>,
    ) -> (Vec<Result<Choice, ModelFault>>, ModelUsage) {
        let outcomes = match self.way() {
            Ok(way) => each(&self.client, items, |item| choose::choose(&self.client, way, item, evidence), heard),
            Err(fault) => items.iter().map(|_| Err(fault.clone())).collect(),
        };
        let usage = self.usage(&outcomes);
        (outcomes, usage)
    }

    /// Completions, likewise.
    pub fn complete(
        &self,
        items: &[CompletionItem],
        heard: &Heard<'_, ModelCompletion>,
    ) -> (Vec<Result<ModelCompletion, ModelFault>>, ModelUsage) {
        let outcomes = each(&self.client, items, |item| self.completion(item), heard);
        let usage = self.usage(&outcomes);
        (outcomes, usage)
    }

    /// Vectors, likewise.
    pub fn embed(
        &self,
        texts: &[String],
        heard: &Heard<'_, Embedding>,
    ) -> (Vec<Result<Embedding, ModelFault>>, ModelUsage) {
        let outcomes = each(&self.client, texts, |text| self.embedding(text), heard);
        let usage = self.usage(&outcomes);
        (outcomes, usage)
    }

    fn usage<T>(&self, outcomes: &[Result<T, ModelFault>]) -> ModelUsage {
        let mut usage = self.client.take_usage();
        usage.calls += 1;
        usage.items += outcomes.len() as u64;
        for fault in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            usage.add_fault(fault.kind);
        }
        usage
    }

    fn way(&self) -> Result<Way, ModelFault> {
        let mut known = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = *known {
            return Ok(way);
        }
        let way = choose::way(&self.client)?;
        *known = Some(way);
        Ok(way)
    }

    fn completion(&self, item: &CompletionItem) -> Result<ModelCompletion, ModelFault> {
        let settings = json!({
            "max_tokens": item.max_new_tokens,
            "temperature": item.temperature,
            "top_p": item.top_p,
            "seed": item.draw & 0x7fff_ffff,
        });
        let (path, body) = choose::request(&self.client, &item.context, settings);
        let response = self.client.post(path, &body)?;
        let (text, finished, token_count) = reply::text(&self.client, &response)?;
        Ok(ModelCompletion { text, finished, token_count })
    }

    fn embedding(&self, text: &str) -> Result<Embedding, ModelFault> {
        let body = json!({ "model": self.client.settings().model, "input": [text] });
        let response = self.client.post("embeddings", &body)?;
        reply::check_model(&self.client, &response)?;
        let vectors = response["data"].as_array().map_or(&[][..], Vec::as_slice);
        let [vector] = vectors else {
            return Err(self.client.malformed(&format!("{} vectors for one text", vectors.len())));
        };
        let numbers = vector["embedding"].as_array().map_or(&[][..], Vec::as_slice);
        let numbers: Option<Vec<f64>> =
            numbers.iter().map(|number| number.as_f64().filter(|number| number.is_finite())).collect();
        match numbers {
            Some(vector) if !vector.is_empty() => Ok(Embedding { vector, pooling: "server".to_owned() }),
            _ => Err(self.client.malformed("no vector of numbers; start the server with a pooling, such as mean")),
        }
    }
}
