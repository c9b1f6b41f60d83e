//! Models that plugins were granted: those on the device are answered by the thread that calls libtorch, while it waits for the
//! plugin; those behind servers by the lab, which alone holds keys and connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use slhf_judge::AnswerModels;
use slhf_plan::{
    DeviceModelPlan, FaultKind, FromWorker, GrantedModel, ModelCall, ModelFault, ModelReply, ModelUse, SamplerCall,
    SamplerOutcome, ServedModelPlan,
};

use crate::device_models::{DeviceModels, DevicePlace};
use crate::error::WorkerError;
use crate::outgoing::Outgoing;

/// Whom the plugins of this worker ask. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Models(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outgoing: Outgoing,
    replies: Replies,
    device: Mutex<DeviceModels>,
    /// Where the thread that calls libtorch takes questions from; `None` while it does something else.
    queue: Mutex<Option<Sender<Question>>>,
}

/// Replies of the lab that somebody waits for. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replies(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: AtomicU64,
    senders: Mutex<HashMap<u64, Sender<ModelReply>>>,
    samplers: Mutex<HashMap<u64, Sender<SamplerOutcome>>>,
}

/// What the thread that calls libtorch is asked.
struct Question {
    model: DeviceModelPlan,
    call: ModelCall,
    reply: Sender<ModelReply>,
}

impl Replies {
    /// A number for a question, and where its reply comes.
    fn expect(&self) -> (u64, Receiver<ModelReply>) {
        let question = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        lock(&self.0.senders).insert(question, sender);
        (question, receiver)
    }

    /// Has the lab ask a run's sampler, and waits for what comes of it.
    pub(crate) fn of_sampler(&self, outgoing: &Outgoing, model: &ServedModelPlan, call: SamplerCall) -> SamplerOutcome {
        let question = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        lock(&self.0.samplers).insert(question, sender);
        let sent = outgoing.send(&FromWorker::AskSampler { question, model: model.clone(), call }).is_ok();
        sent.then(|| receiver.recv().ok()).flatten().unwrap_or_else(|| {
            let reason = format!("nobody is there any more to ask the model \"{}\"", model.model);
            Err(ModelFault::new(FaultKind::Refused, reason))
        })
    }

    /// The lab replied for the sampler.
    pub(crate) fn sampler_came(&self, question: u64, outcome: SamplerOutcome) {
        if let Some(sender) = lock(&self.0.samplers).remove(&question) {
            // Whoever asked may be gone.
            let _ = sender.send(outcome);
        }
    }

    /// The lab replied.
    pub(crate) fn came(&self, question: u64, reply: ModelReply) {
        if let Some(sender) = lock(&self.0.senders).remove(&question) {
            // Whoever asked may be gone.
            let _ = sender.send(reply);
        }
    }
}

impl Models {
    pub(crate) fn new(outgoing: &Outgoing, replies: &Replies, place: DevicePlace) -> Self {
        Self(Arc::new(Shared {
            outgoing: outgoing.clone(),
            replies: replies.clone(),
            device: Mutex::new(DeviceModels::new(place)),
            queue: Mutex::new(None),
        }))
    }

    /// Has plugins work, and answers what they ask of models on the device meanwhile. Only the thread that calls libtorch calls
    /// this.
    pub(crate) fn serve<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let (sender, questions) = channel::<Question>();
        *lock(&self.0.queue) = Some(sender);
        thread::scope(|scope| {
            let working = scope.spawn(|| {
                let result = work();
                // The last sender: whoever serves learns that nothing more will come.
                *lock(&self.0.queue) = None;
                result
            });
            let mut device = lock(&self.0.device);
            for question in questions {
                let reply = device.answer(&question.model, &question.call);
                let _ = question.reply.send(reply);
            }
            drop(device);
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Tells what a run asked of models on the device since this was told last.
    pub(crate) fn tell_usage(&self, run: i64) -> Result<(), WorkerError> {
        for (model, usage) in lock(&self.0.device).take_usage() {
            self.0.outgoing.report(ModelUse { run, model, server: String::new(), usage })?;
        }
        Ok(())
    }

    fn on_device(&self, model: &DeviceModelPlan, call: &ModelCall) -> ModelReply {
        let queue = lock(&self.0.queue).clone();
        let (reply, answer) = channel();
        let question = Question { model: model.clone(), call: call.clone(), reply };
        let sent = queue.is_some_and(|queue| queue.send(question).is_ok());
        let answered = sent.then(|| answer.recv().ok()).flatten();
        answered.unwrap_or_else(|| {
            let reason = format!("the model \"{}\" cannot be asked before the plugin is asked itself", model.name);
            ModelReply::fault(call, &ModelFault::new(FaultKind::NotSupported, reason))
        })
    }

    fn served(&self, model: &ServedModelPlan, call: &ModelCall) -> ModelReply {
        let (question, reply) = self.0.replies.expect();
        let asked = FromWorker::AskModel { question, model: model.clone(), call: call.clone() };
        let sent = self.0.outgoing.send(&asked).is_ok();
        let answered = sent.then(|| reply.recv().ok()).flatten();
        answered.unwrap_or_else(|| {
            let reason = format!("nobody is there any more to ask the model \"{}\"", model.model);
            ModelReply::fault(call, &ModelFault::new(FaultKind::Refused, reason))
        })
    }
}

impl AnswerModels for Models {
    fn answer(&self, model: &GrantedModel, call: &ModelCall) -> ModelReply {
        match model {
            GrantedModel::Device(model) => self.on_device(model, call),
            GrantedModel::Served(model) => self.served(model, call),
        }
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
