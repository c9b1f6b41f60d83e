//! Opens what a task names: a model, alone, with adapters of a folder, or as a run left it.

use std::path::PathBuf;

use slhf_learn::language::{LanguagePolicies as _, policies_in_checkpoint};
use slhf_plan::{LanguagePlan, ModelPrecision, ModelSource, ModelWeights, RunSource, Work};
use slhf_policy::{Engine, Thinking, Tokens};
use slhf_random::{Purpose, Row, Stream};
use tch::Device;

use crate::checkpoint::Checkpoint;
use crate::environment;
use crate::error::WorkerError;
use crate::language::load;
use crate::language::policies::Policies;

/// Where a model is put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) device: Device,
    pub(super) precision: ModelPrecision,
}

impl Place {
    pub(super) fn of(device: &str, precision: Option<ModelPrecision>) -> Result<Self, WorkerError> {
        let device = environment::resolve(device)?;
        Ok(Self { device, precision: precision.unwrap_or_else(|| environment::usual_precision(device)) })
    }

    fn name(self) -> String {
        match self.device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".to_owned(),
        }
    }
}

/// A model ready to be asked.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) tokens: Tokens,
    /// The instruction that the run's Follower was trained on; `None`: not a run, or one that never refines.
    pub(super) instruction: Option<String>,
}

pub(super) fn thinking(model: &ModelSource) -> Thinking {
    load::thinking(model.thinking)
}

pub(super) fn open(model: &ModelSource, place: Place) -> Result<Opened, WorkerError> {
    match &model.run {
        Some(run) => of_run(run, place),
        None => alone(model, place),
    }
}

fn alone(model: &ModelSource, place: Place) -> Result<Opened, WorkerError> {
    let purpose = load::Purpose {
        device: place.device,
        precision: place.precision,
        thinking: thinking(model),
        chat_template: model.chat_template.clone(),
        weights: ModelWeights::Packed,
        activation_checkpointing: false,
        training: None,
        agents: Vec::new(),
        adapter: model.adapter.as_ref().map(PathBuf::from),
        seed: 0,
    };
    let (engine, tokens) = load::engine(model.path.as_ref(), purpose)?;
    Ok(Opened { engine, tokens, instruction: None })
}

/// A frozen plan as it is.
pub(super) fn language_plan(frozen: &str) -> Result<LanguagePlan, WorkerError> {
    match Work::from_json(frozen).map_err(|source| WorkerError::Plan { source })? {
        Work::LanguageModel(plan) => Ok(*plan),
        _ => Err(WorkerError::NothingTrained),
    }
}

/// A run's plan, on this task's device.
pub(super) fn plan_of(run: &RunSource, place: Place) -> Result<LanguagePlan, WorkerError> {
    let mut plan = run.plan().map_err(|source| WorkerError::Plan { source })?;
    plan.device.name = place.name();
    plan.device.precision = place.precision;
    Ok(plan)
}

/// The weights of a run's checkpoint.
fn of_run(run: &RunSource, place: Place) -> Result<Opened, WorkerError> {
    let plan = plan_of(run, place)?;
    let checkpoint = Checkpoint::read(&run.checkpoint)?;
    let mut policies = Policies::load(&plan)?;
    let (_, bytes) = policies_in_checkpoint(run.checkpoint.run, checkpoint.state(run.checkpoint.run)?)?;
    policies.restore(bytes).map_err(|source| WorkerError::Weights { path: run.checkpoint.path.clone(), source })?;
    let instruction = plan.method.instruction().map(str::to_owned);
    let (engine, tokens) = policies.into_parts();
    Ok(Opened { engine, tokens, instruction })
}

/// The random stream of an answer that a user asked for.
pub(super) fn row(prompt: u32, stream: Stream, round: u8) -> Row {
    Row { purpose: Purpose::RequestedTokens, prompt, step: 0, stream, round, sample: 0 }
}
