//! Served models, asked for workers: the lab alone holds keys, connections and budgets, and the record keeps every answer, so that
//! a run that goes on asks nothing twice and comes to the same bits.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slhf_plan::{
    Evidence, FaultKind, ModelCall, ModelFault, ModelReply, ModelUsage, ModelUse, SamplerCall, SamplerOutcome,
    ServedModelPlan,
};
use slhf_record::{AnswerKey, Record, RecordError, Writer};
use slhf_served::{Budget, Heard, InFlight, Key, ServedModel, ServedSampler, ServedSettings};
use slhf_words::chain;

/// Served models of an execution, each with its budget of a run.
#[derive(Debug, Default)]
pub(crate) struct ServedModels {
    /// By run, address and name.
    models: Mutex<HashMap<(i64, String, String), Arc<ServedModel>>>,
    /// Requests to each server, however its address is written, of all runs and models.
    in_flight: Mutex<HashMap<String, Arc<InFlight>>>,
    /// Servers that sample for runs, by run, address and name.
    samplers: Mutex<HashMap<(i64, String, String), Arc<ServedSampler>>>,
    /// Runs that had no reply where the same question may have one later, and who owes it.
    unanswered: Mutex<BTreeMap<i64, Owing>>,
    /// Tokens of a run, in the place of those of its plan.
    budget_tokens: Option<u64>,
}

/// Who did not reply to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owing {
    /// A model that a plugin asks.
    Model,
    /// The server that samples.
    Sampler,
}

/// Where replies are kept, and what was used is counted.
pub(crate) trait Keep: Sync {
    /// Replies that are known, by their keys.
    fn known(&self, keys: &[AnswerKey]) -> Result<HashMap<AnswerKey, Vec<u8>>, RecordError>;
    /// Keeps a reply; it is durable when this returns.
    fn keep(&self, key: AnswerKey, reply: Vec<u8>) -> Result<(), RecordError>;
    /// Tokens that a run spent at a model before.
    fn tokens_spent(&self, run: i64, plan: &ServedModelPlan) -> Result<u64, RecordError>;
    /// Counts a call.
    fn used(&self, used: ModelUse) -> Result<(), RecordError>;
}

/// In the record, for its runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) record: &'a Mutex<Record>,
    pub(crate) writer: &'a Writer,
}

impl Keep for Kept<'_> {
    fn known(&self, keys: &[AnswerKey]) -> Result<HashMap<AnswerKey, Vec<u8>>, RecordError> {
        lock(self.record).model_answers(keys)
    }

    fn keep(&self, key: AnswerKey, reply: Vec<u8>) -> Result<(), RecordError> {
        self.writer.model_answers(vec![(key, reply)])?;
        self.writer.flush()
    }

    fn tokens_spent(&self, run: i64, plan: &ServedModelPlan) -> Result<u64, RecordError> {
        lock(self.record).tokens_spent(run, &plan.model, &plan.server)
    }

    fn used(&self, used: ModelUse) -> Result<(), RecordError> {
        self.writer.write(used)?;
        self.writer.flush()
    }
}

impl ServedModels {
    /// Nothing was asked yet. `budget_tokens` takes the place of what plans say.
    pub(crate) fn new(budget_tokens: Option<u64>) -> Self {
        Self { budget_tokens, ..Self::default() }
    }

    /// Answers a batch for a run: from the record what it has, the rest from the server. What was answered is durable when this
    /// returns.
    pub(crate) fn answer(&self, run: i64, plan: &ServedModelPlan, call: &ModelCall, kept: &dyn Keep) -> ModelReply {
        let answered = self.model(run, plan, kept).and_then(|model| {
            let mut usage = ModelUsage { calls: 1, items: call.len() as u64, ..ModelUsage::default() };
            let reply = match call {
                ModelCall::Choose(items, evidence) => {
                    let key = |item: &_| key(plan, &("choose", evidence, without_draw(item, *evidence)));
                    let ask = |items: &[_], heard: &Heard<'_, _>| model.choose(items, *evidence, heard);
                    each(items, key, ask, kept, &mut usage).map(ModelReply::Chosen)
                }
                ModelCall::Complete(items) => {
                    let key = |item: &_| key(plan, &("complete", item));
                    let ask = |items: &[_], heard: &Heard<'_, _>| model.complete(items, heard);
                    each(items, key, ask, kept, &mut usage).map(ModelReply::Completed)
                }
                ModelCall::Embed(texts) => {
                    let key = |text: &_| key(plan, &("embed", text));
                    let ask = |texts: &[_], heard: &Heard<'_, _>| model.embed(texts, heard);
                    each(texts, key, ask, kept, &mut usage).map(ModelReply::Embedded)
                }
                ModelCall::Score(_) => Ok(model.ask(call).0),
            }?;
            let told = ModelUse { run, model: plan.model.clone(), server: plan.server.clone(), usage };
            kept.used(told).map_err(|error| unkept(&error))?;
            Ok(reply)
        });
        let reply = answered.unwrap_or_else(|fault| ModelReply::fault(call, &fault));
        if reply.faults().iter().any(|fault| may_pass(fault.kind)) {
            lock(&self.unanswered).insert(run, Owing::Model);
        }
        reply
    }

    /// Has a run's sampler do something. Nothing of it is kept: a run that goes on samples anew.
    pub(crate) fn sample(
        &self,
        run: i64,
        plan: &ServedModelPlan,
        call: &SamplerCall,
        kept: &dyn Keep,
    ) -> SamplerOutcome {
        let outcome = self.sampler(run, plan, kept).and_then(|sampler| {
            let (outcome, usage) = sampler.ask(call);
            let told = ModelUse { run, model: plan.model.clone(), server: plan.server.clone(), usage };
            kept.used(told).map_err(|error| unkept(&error))?;
            outcome
        });
        // A run goes on without the reply to an unload: what ends it later is something else.
        let is_needed = !matches!(call, SamplerCall::Unload { .. });
        if is_needed && outcome.as_ref().is_err_and(|fault| may_pass(fault.kind)) {
            lock(&self.unanswered).insert(run, Owing::Sampler);
        }
        outcome
    }

    /// Who had no reply for a run to a question that may have one later.
    pub(crate) fn left_unanswered(&self, run: i64) -> Option<Owing> {
        lock(&self.unanswered).get(&run).copied()
    }

    fn sampler(&self, run: i64, plan: &ServedModelPlan, kept: &dyn Keep) -> Result<Arc<ServedSampler>, ModelFault> {
        let mut samplers = lock(&self.samplers);
        let place = (run, plan.server.clone(), plan.model.clone());
        if let Some(sampler) = samplers.get(&place) {
            return Ok(Arc::clone(sampler));
        }
        let (settings, budget, in_flight) = self.how_to_ask(run, plan, kept)?;
        let sampler = Arc::new(ServedSampler::sharing(settings, budget, in_flight));
        samplers.insert(place, Arc::clone(&sampler));
        Ok(sampler)
    }

    /// How a run asks a server, with what its budget leaves.
    fn how_to_ask(
        &self,
        run: i64,
        plan: &ServedModelPlan,
        kept: &dyn Keep,
    ) -> Result<(ServedSettings, Budget, Arc<InFlight>), ModelFault> {
        let spent = kept.tokens_spent(run, plan).map_err(|error| unkept(&error))?;
        let settings = settings(plan).map_err(|reason| ModelFault::new(FaultKind::Refused, reason))?;
        let budget = Budget::new(self.budget_tokens.or(plan.budget_tokens), spent);
        let in_flight = Arc::clone(lock(&self.in_flight).entry(settings.origin.to_string()).or_default());
        Ok((settings, budget, in_flight))
    }

    fn model(&self, run: i64, plan: &ServedModelPlan, kept: &dyn Keep) -> Result<Arc<ServedModel>, ModelFault> {
        let mut models = lock(&self.models);
        let place = (run, plan.server.clone(), plan.model.clone());
        if let Some(model) = models.get(&place) {
            return Ok(Arc::clone(model));
        }
        let (settings, budget, in_flight) = self.how_to_ask(run, plan, kept)?;
        let model = Arc::new(ServedModel::sharing(settings, budget, in_flight));
        models.insert(place, Arc::clone(&model));
        Ok(model)
    }
}

/// How a plan's model is asked; the key comes from the environment of this process.
pub(crate) fn settings(plan: &ServedModelPlan) -> Result<ServedSettings, String> {
    let origin = plan.server.parse().map_err(|error: slhf_served::OriginError| error.to_string())?;
    let key = match &plan.key_env {
        None => None,
        Some(variable) => {
            let key = std::env::var(variable).ok().and_then(|text| Key::new(&text));
            Some(key.ok_or_else(|| format!("the environment's variable {variable} holds no key"))?)
        }
    };
    Ok(ServedSettings {
        origin,
        model: plan.model.clone(),
        responds_as: plan.responds_as.clone(),
        key,
        concurrency: plan.concurrency as usize,
        time_out: Duration::from_millis(plan.timeout_ms),
        retries: plan.retries,
    })
}

/// Whether the same question may be answered at another time.
fn may_pass(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::TimeOut | FaultKind::Refused | FaultKind::OverBudget)
}

/// A log-probability has no randomness: two pairs that differ in their draws alone are one question.
fn without_draw(item: &slhf_plan::ChoiceItem, evidence: Evidence) -> slhf_plan::ChoiceItem {
    let draw = if matches!(evidence, Evidence::LogProbabilities) { 0 } else { item.draw };
    slhf_plan::ChoiceItem { draw, ..item.clone() }
}

/// SHA-256 of who is asked what.
fn key(plan: &ServedModelPlan, question: &impl Serialize) -> AnswerKey {
    let text = serde_json::to_string(&(&plan.server, &plan.model, question)).unwrap_or_default();
    let digest = slhf_files::sha256_hex(text.as_bytes());
    let mut key = AnswerKey::default();
    // Sixty-four hexadecimal digits are thirty-two bytes.
    let _ = hex::decode_to_slice(digest, &mut key);
    key
}

/// Outcomes of items: those that the record has, and those that are asked now, each durable as soon as it came. Faults are kept
/// nowhere: they may pass.
fn each<I: Clone, A: Clone + Serialize + DeserializeOwned>(
    items: &[I],
    key: impl Fn(&I) -> AnswerKey,
    ask: impl FnOnce(&[I], &Heard<'_, A>) -> (Vec<Result<A, ModelFault>>, ModelUsage),
    kept: &dyn Keep,
    usage: &mut ModelUsage,
) -> Result<Vec<Result<A, ModelFault>>, ModelFault> {
    let keys: Vec<AnswerKey> = items.iter().map(key).collect();
    let known = kept.known(&keys).map_err(|error| unkept(&error))?;
    let mut answers: HashMap<AnswerKey, Result<A, ModelFault>> = HashMap::new();
    for (key, bytes) in known {
        if let Ok(answer) = slhf_plan::decode(&bytes) {
            answers.insert(key, Ok(answer));
        }
    }
    // The same question twice in a batch is one question.
    let mut asked: Vec<AnswerKey> = Vec::new();
    let mut questions = Vec::new();
    for (item, key) in items.iter().zip(&keys) {
        if !answers.contains_key(key) && !asked.contains(key) {
            asked.push(*key);
            questions.push(item.clone());
        }
    }
    usage.cache_hits += (items.len() - questions.len()) as u64;
    if !questions.is_empty() {
        let refused: Mutex<Option<ModelFault>> = Mutex::new(None);
        let heard = |place: usize, answer: &A| {
            let (Some(key), Ok(bytes)) = (asked.get(place), slhf_plan::encode(answer)) else { return };
            if let Err(error) = kept.keep(*key, bytes) {
                *lock(&refused) = Some(unkept(&error));
            }
        };
        let (outcomes, cost) = ask(&questions, &heard);
        if let Some(fault) = lock(&refused).take() {
            return Err(fault);
        }
        usage.add(&ModelUsage { calls: 0, items: 0, ..cost });
        answers.extend(asked.into_iter().zip(outcomes));
    }
    let missing = || Err(ModelFault::new(FaultKind::Malformed, "the server was not asked"));
    Ok(keys.iter().map(|key| answers.get(key).cloned().unwrap_or_else(missing)).collect())
}

/// What cannot be kept is not used: a run that goes on would ask it again.
fn unkept(error: &RecordError) -> ModelFault {
    ModelFault::new(FaultKind::Refused, format!("the record cannot keep the reply of a model: {}", chain(error)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
