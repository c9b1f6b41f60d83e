//! The judge that is on trial.

use slhf_judge::{Host, Preference, inspect};
use slhf_plan::PluginPlan;
use thiserror::Error;

use crate::failure::Failure;

#[derive(Debug, Error)]
enum TrialJudgeError {
    #[error("'{plugin}' asks models, and this verb cannot grant any yet: put a judge on trial that asks none")]
    AsksModels { plugin: String },
}

/// The judge, ready to be asked: the one place where a trial sets a plugin host up.
pub(crate) fn load(plan: &PluginPlan) -> Result<Preference, Failure> {
    let mut next = Some(plan);
    while let Some(plan) = next {
        // What cannot be read or understood is the host's to refuse, in its own words.
        let bytes = slhf_files::read(plan.path.as_ref(), slhf_judge::FILE_BYTES_MAX).ok();
        if bytes.and_then(|bytes| inspect(&bytes).ok()).is_some_and(|inspection| inspection.asks_models()) {
            return Err(Failure::bad_input(TrialJudgeError::AsksModels { plugin: plan.name.clone() }));
        }
        next = plan.upstream.as_deref();
    }
    let host = Host::new(slhf_foreign::host_settings()).map_err(Failure::failed)?;
    host.preference(plan).map_err(Failure::bad_input)
}
