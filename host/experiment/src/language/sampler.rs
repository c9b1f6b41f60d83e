//! `device.sampler`: a server that samples.

use slhf_plan::settings::Problems;
use slhf_plan::{GrantNamed, ImportancePlan, ModelGrant, SamplerPlan, ServedModelPlan};

use super::config::{ImportanceConfig, LanguageExperimentConfig, SamplerConfig};
use crate::granting::check_server;

/// Requests in flight: a step's responses are as many requests, which the server batches.
const CONCURRENCY: u32 = 64;
/// Seconds for a response of some thousand tokens among many others.
const TIMEOUT_S: f64 = 600.0;
/// Weights above it are rare where sampler and trainer differ by rounding alone; the usual truncation of the field.
const TRUNCATE_AT: f64 = 2.0;

/// The sampler, its server as checked as a judge's; `None`: there is none, or something is wrong with it.
pub(super) fn of(config: &LanguageExperimentConfig, problems: &mut Problems) -> Option<SamplerPlan> {
    let sampler = config.device.sampler.as_ref()?;
    match served(sampler, &config.model.path) {
        Ok(served) => Some(plan(sampler, served)),
        Err((key, problem)) => {
            problems.push(format!("device.sampler.{key}"), problem);
            None
        }
    }
}

fn served(config: &SamplerConfig, model_path: &str) -> Result<ServedModelPlan, (&'static str, String)> {
    let grant = ModelGrant {
        server: Some(config.server.clone()),
        model: Some(config.model.clone().unwrap_or_else(|| model_path.to_owned())),
        key_env: config.key_env.clone(),
        concurrency: Some(config.concurrency.unwrap_or(CONCURRENCY)),
        timeout_s: Some(config.timeout_s.unwrap_or(TIMEOUT_S)),
        retries: config.retries,
        budget_tokens: config.budget_tokens,
        ..ModelGrant::default()
    };
    let GrantNamed::Served(served) = grant.named()? else { return Err(("server", "missing".to_owned())) };
    check_server(&served)?;
    let is_absolute = |folder: &String| folder.starts_with('/');
    if config.folder_on_server.as_ref().is_some_and(|folder| !is_absolute(folder)) {
        return Err(("folder_on_server", "expected an absolute path, such as \"/mnt/lab.db-checkpoints\"".to_owned()));
    }
    Ok(served)
}

fn plan(config: &SamplerConfig, served: ServedModelPlan) -> SamplerPlan {
    let importance = |ImportanceConfig { truncate_at, level }: ImportanceConfig| ImportancePlan {
        truncate_at: truncate_at.unwrap_or(TRUNCATE_AT),
        level: level.unwrap_or_default(),
    };
    SamplerPlan {
        server: served.server,
        model: served.model,
        key_env: served.key_env,
        concurrency: served.concurrency,
        timeout_ms: served.timeout_ms,
        retries: served.retries,
        budget_tokens: served.budget_tokens,
        folder_on_server: config.folder_on_server.clone(),
        importance: config.importance.map(importance),
    }
}
