//! Models on a device, asked through a worker that does nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use slhf_plan::{
    AsJson, DeviceModelPlan, FaultKind, FromWorker, ModelCall, ModelFault, ModelPrecision, ModelReply, ModelSource,
    ModelTask, ModelUsage, ToWorker,
};
use slhf_words::chain;

use crate::running::{Worker, WorkerProgram, log_line};

/// Where models are run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `auto`, `cpu`, `cuda`, `cuda:1`.
    pub(crate) device: String,
    /// Threads of libtorch.
    pub(crate) threads: u32,
    /// `None`: f32 on a CPU, bf16 on CUDA.
    pub(crate) precision: Option<ModelPrecision>,
}

impl Place {
    /// As `slhf-lab model` runs one.
    pub(crate) fn usual(device: String) -> Self {
        Self { device, threads: 2, precision: None }
    }
}

/// The worker, once one was asked for.
#[derive(Debug)]
pub(crate) struct Device {
    place: Place,
    program: WorkerProgram,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Nobody asked yet.
    Idle,
    Answering(Box<Worker>),
    /// Why nobody is asked any more.
    Gone(String),
}

/// Looks at a model in the process that reads others' files, before a worker does.
pub(crate) fn try_model(model: &DeviceModelPlan) -> Result<(), String> {
    let adapter = model.adapter.as_ref().map(|adapter| adapter.path.clone());
    let source = ModelSource { path: model.path.clone(), adapter, run: None, thinking: false, chat_template: None };
    let task = ModelTask::Inspect { model: source };
    slhf_foreign::try_models_of_task(&slhf_plan::ModelRequest {
        device: "cpu".to_owned(),
        threads: 1,
        precision: None,
        task,
    })
}

impl Device {
    pub(crate) fn new(place: Place, program: WorkerProgram) -> Self {
        Self { place, program, state: Mutex::new(State::Idle) }
    }

    /// One call after the other: a device has one thread that calls libtorch.
    pub(crate) fn answer(&self, model: &DeviceModelPlan, call: &ModelCall) -> (ModelReply, ModelUsage) {
        let mut state = self.state();
        if matches!(*state, State::Idle) {
            *state = match self.start() {
                Ok(worker) => State::Answering(Box::new(worker)),
                Err(why) => State::Gone(why),
            };
        }
        let gone = match &mut *state {
            State::Answering(worker) => match ask(worker, model, call) {
                Ok(answered) => return answered,
                Err(why) => why,
            },
            State::Gone(why) => why.clone(),
            State::Idle => "the worker was not started".to_owned(),
        };
        let fault = ModelFault::new(FaultKind::Refused, gone.clone());
        *state = State::Gone(gone);
        (ModelReply::fault(call, &fault), ModelUsage::default())
    }

    fn start(&self) -> Result<Worker, String> {
        let Place { device, threads, precision } = self.place.clone();
        let mut worker = Worker::start(&self.program, threads, |_| {}).map_err(|error| chain(&error))?;
        let order = ToWorker::AnswerModels { device, threads, precision };
        worker.send(&order).map_err(|error| chain(&error))?;
        Ok(worker)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the worker is of no more use.
fn ask(worker: &mut Worker, model: &DeviceModelPlan, call: &ModelCall) -> Result<(ModelReply, ModelUsage), String> {
    let question = ToWorker::AskModel { model: AsJson(model.clone()), call: call.clone() };
    // One that is deaf has said why, or is heard to be dead.
    let _ = worker.send(&question);
    loop {
        match worker.receive() {
            Ok(Some(FromWorker::ModelReply { reply, usage })) => return Ok((reply, usage)),
            Ok(Some(FromWorker::Log(line))) => log_line(&line),
            Ok(Some(FromWorker::Fatal(why))) => return Err(why),
            Ok(Some(_)) => {}
            Ok(None) => return Err("the worker that runs the model ended".to_owned()),
            Err(error) => return Err(format!("the worker that runs the model is not understood: {}", chain(&error))),
        }
    }
}
