//! `--grant`, and where granted models are run.

use std::num::NonZeroUsize;

use clap::Args;
use slhf_experiment::CommandGrants;
use slhf_plan::{DeviceKind, PluginPlan};
use slhf_record::Record;

use super::device::Place;
use super::host::{JudgeHost, Settings};
use crate::failure::Failure;

/// Granted models.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GrantArgument {
    /// A model that the plugins may ask, as NAME=MODEL: a model's name, a Hugging Face folder, a GGUF file, or a JSON object with the
    /// keys of [judge.models.NAME], such as `{"server": "http://127.0.0.1:8080/v1", "model": "NAME"}`; several may be given
    #[arg(long, value_name = "NAME=MODEL")]
    grant: Vec<String>,
}

impl GrantArgument {
    /// The models, found.
    pub(crate) fn grants(&self) -> Result<CommandGrants, Failure> {
        CommandGrants::read(&self.grant).map_err(Failure::bad_input)
    }
}

/// Granted models with a device.
#[derive(Clone, Debug, Args)]
pub(crate) struct GrantArguments {
    #[command(flatten)]
    pub(crate) granted: GrantArgument,
    /// Where granted models are run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: String,
}

impl GrantArguments {
    /// A host for these plugins, with the models that they ask. What servers reply is kept in `record`, where there is one.
    pub(crate) fn host(
        &self,
        (threads, record): (Option<NonZeroUsize>, Option<Record>),
        plans: &mut [&mut PluginPlan],
    ) -> Result<JudgeHost, Failure> {
        let settings = Settings { place: self.place()?, threads, record };
        JudgeHost::new(&self.granted.grants()?, settings, plans)
    }

    /// Where granted models are run.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        check_device(&self.device)?;
        Ok(Place::usual(self.device.clone()))
    }
}

/// What `--device` may be.
pub(crate) fn check_device(device: &str) -> Result<(), Failure> {
    if device == "auto" || DeviceKind::of(device).is_some() {
        return Ok(());
    }
    let device = crate::output::visible(device);
    Err(Failure::bad_input(format!("--device \"{device}\" is no device; expected auto, cpu, cuda or cuda:N")))
}
