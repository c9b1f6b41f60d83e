//! A host of plugins whose models can be asked.

use std::num::NonZeroUsize;
use std::sync::Arc;

use slhf_experiment::CommandGrants;
use slhf_judge::{AnswerModels, Host, HostSettings};
use slhf_plan::{GrantedModel, ModelCall, ModelReply, ModelUsage, PluginPlan};
use slhf_record::Record;
use thiserror::Error;

use super::device::{Device, Place, try_model};
use super::keep::{Asked, Replies};
use crate::failure::Failure;
use crate::output::{say, visible};
use crate::running::{ServedModels, WorkerProgram};

#[derive(Debug, Error)]
enum JudgeHostError {
    #[error("'{plugin}' cannot ask its model \"{name}\": {reason}")]
    Model { plugin: String, name: String, reason: String },
}

/// What a host is set up with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where models on a device are run.
    pub(crate) place: Place,
    /// Threads that run guests.
    pub(crate) threads: Option<NonZeroUsize>,
    /// Where replies of served models are kept, a connection of its own; `None`: as long as the command runs.
    pub(crate) record: Option<Record>,
}

/// The one place where a verb sets a plugin host up.
#[derive(Debug)]
pub(crate) struct JudgeHost {
    host: Host,
    answers: Arc<Answers>,
}

/// Who answers what plugins ask.
#[derive(Debug)]
struct Answers {
    served: ServedModels,
    device: Option<Device>,
    replies: Replies,
}

impl JudgeHost {
    /// Grants the models that plugins ask for, looks at them, and sets up the host.
    pub(crate) fn new(
        grants: &CommandGrants,
        settings: Settings,
        plans: &mut [&mut PluginPlan],
    ) -> Result<Self, Failure> {
        grants.give(plans).map_err(Failure::bad_input)?;
        let plans: Vec<&PluginPlan> = plans.iter().map(|plan| &**plan).collect();
        Self::granted(settings, &plans)
    }

    /// For plans that have their models.
    pub(crate) fn granted(settings: Settings, plans: &[&PluginPlan]) -> Result<Self, Failure> {
        plans.iter().try_for_each(|plan| check_models(plan))?;
        let device = if plans.iter().any(|plan| plan.asks_on_device()) {
            let keys = plans.iter().flat_map(|plan| plan.key_variables());
            let program = WorkerProgram::find().map_err(Failure::failed)?.without(keys);
            Some(Device::new(settings.place, program))
        } else {
            None
        };
        let replies = Replies::new(settings.record);
        let answers = Arc::new(Answers { served: ServedModels::new(None), device, replies });
        let usual = slhf_foreign::host_settings();
        let host = Host::new(HostSettings {
            threads: settings.threads.unwrap_or(usual.threads),
            models: Some(Arc::clone(&answers) as Arc<dyn AnswerModels>),
            ..usual
        });
        Ok(Self { host: host.map_err(Failure::failed)?, answers })
    }

    /// The host.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// What models were asked so far, by model and server; no server: on the device.
    pub(crate) fn usage(&self) -> Vec<(Asked, ModelUsage)> {
        self.answers.replies.usage()
    }

    /// Says what models were asked, where any was.
    pub(crate) fn remark(&self) {
        for ((model, server), usage) in self.usage() {
            let at = if server.is_empty() { String::new() } else { format!(" at {}", visible(&server)) };
            let faults: u64 = usage.faults.iter().sum();
            let faults = if faults == 0 { String::new() } else { format!(", {faults} faults") };
            let known =
                if usage.cache_hits == 0 { String::new() } else { format!(", {} known already", usage.cache_hits) };
            say(format!(
                "note: {}{at} was asked {} items{known} ({} tokens read, {} written{faults})",
                visible(&model),
                usage.items,
                usage.prompt_tokens,
                usage.completion_tokens
            ));
        }
    }
}

impl AnswerModels for Answers {
    fn answer(&self, model: &GrantedModel, call: &ModelCall) -> ModelReply {
        match model {
            GrantedModel::Served(plan) => self.served.answer(0, plan, call, &self.replies),
            GrantedModel::Device(plan) => {
                let Some(device) = &self.device else {
                    let reason = format!("no worker is there to run the model \"{}\"", plan.name);
                    let fault = slhf_plan::ModelFault::new(slhf_plan::FaultKind::NotSupported, reason);
                    return ModelReply::fault(call, &fault);
                };
                let (reply, usage) = device.answer(plan, call);
                self.replies.count((plan.name.clone(), String::new()), &usage);
                reply
            }
        }
    }
}

/// Models are files of strangers: what cannot be read is said before anybody is asked.
fn check_models(plan: &PluginPlan) -> Result<(), Failure> {
    for (name, model) in &plan.models {
        let GrantedModel::Device(device) = model else { continue };
        let (plugin, name) = (plan.name.clone(), name.clone());
        try_model(device)
            .map_err(|reason| Failure::bad_input(JudgeHostError::Model { plugin, name, reason: visible(&reason) }))?;
    }
    plan.upstream.as_deref().map_or(Ok(()), check_models)
}
