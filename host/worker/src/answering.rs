//! Answers what plugins in the lab ask of models: verbs that judge without a run have a worker for this alone.

use std::io::Read;

use slhf_plan::{FromWorker, ModelPrecision, ToWorker, read_frame};

use crate::device_models::{DeviceModels, DevicePlace};
use crate::environment;
use crate::error::WorkerError;
use crate::outgoing::Outgoing;

/// Where models are put.
pub(crate) fn place(device: &str, threads: u32, precision: Option<ModelPrecision>) -> Result<DevicePlace, WorkerError> {
    // Sets the threads.
    environment::probe(device, threads)?;
    let device = environment::resolve(device)?;
    Ok(DevicePlace { device, precision: precision.unwrap_or_else(|| environment::usual_precision(device)) })
}

/// One call after the other, until the lab has no more.
pub(crate) fn carry_out(place: DevicePlace, input: &mut impl Read, outgoing: &Outgoing) -> Result<(), WorkerError> {
    let mut models = DeviceModels::new(place);
    loop {
        match read_frame(input)? {
            None | Some(ToWorker::Stop) => return Ok(()),
            Some(ToWorker::AskModel { model, call }) => {
                let reply = models.answer(&model.0, &call);
                let usage = models.take_usage().into_values().next().unwrap_or_default();
                outgoing.send(&FromWorker::ModelReply { reply, usage })?;
            }
            Some(_) => return Err(WorkerError::OutOfTurn { expected: "a question to a model" }),
        }
    }
}
