//! Experiments on language models: from TOML to one [`slhf_plan::LanguagePlan`] a run.

mod cell;
mod config;
mod estimate;
mod evaluated;
mod files;
mod found_data;
mod pairs;
mod parameters;
mod resolve;
mod resolved;
mod room;
mod rules;
mod runs;
mod sampler;
mod stream;

pub use config::LanguageExperimentConfig;
pub(crate) use config::{LanguageDeviceConfig, ModelConfig};
pub(crate) use estimate::phases;
pub(crate) use parameters::parameters;
pub(crate) use resolve::{adapter, device};
pub(crate) use resolved::ResolvedLanguage;
pub use rules::PROCESSES_MAX;
pub(crate) use rules::check_adapter_settings;
pub(crate) use runs::plan;
