//! Asks a worker about a model.

use clap::{Args, ValueEnum};
use slhf_plan::{ModelAnswer, ModelPrecision, ModelRequest, ModelTask};

use crate::failure::Failure;
use crate::granted::check_device;
use crate::running::{WorkerError, WorkerProgram};

/// Where the model is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeviceArguments {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: String,
    /// Threads of libtorch
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Precision of weights and activations [default: f32 on a CPU, bf16 on CUDA]
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,
}

/// A precision on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionName {
    /// 32 bits
    F32,
    /// bfloat16
    Bf16,
}

impl DeviceArguments {
    /// Has a worker carry out a task; the answers as they come.
    pub(crate) fn ask(
        &self,
        task: ModelTask,
        mut hear: impl FnMut(ModelAnswer) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        check_device(&self.device)?;
        let precision = self.precision.map(|precision| match precision {
            PrecisionName::F32 => ModelPrecision::F32,
            PrecisionName::Bf16 => ModelPrecision::Bf16,
        });
        let request = ModelRequest { device: self.device.clone(), threads: self.threads, precision, task };
        ask(request, &mut hear)
    }
}

/// Has a worker carry out a task; the answers as they come.
pub(crate) fn ask(
    request: ModelRequest,
    hear: &mut dyn FnMut(ModelAnswer) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let program = WorkerProgram::find().map_err(Failure::failed)?;
    let mut failure = None;
    program
        .ask(request, |answer| match hear(answer) {
            Ok(()) => true,
            Err(error) => {
                failure = Some(error);
                false
            }
        })
        .map_err(|error| match error {
            WorkerError::BadModel(_) => Failure::bad_input(error),
            other => Failure::failed(other),
        })?;
    failure.map_or(Ok(()), Err)
}

/// A worker that says something else than what was asked is at fault.
pub(crate) fn unexpected() -> Failure {
    Failure::failed("the worker replied to another request than it was sent, which is a fault of slhf-lab")
}
