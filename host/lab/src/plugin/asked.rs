//! Which plugin a command names, with which parameters, over which others.

use std::num::NonZeroUsize;

use clap::Args;
use slhf_experiment::named_plugin::plan;
use slhf_judge::Host;
use slhf_plan::PluginPlan;

use crate::failure::Failure;
use crate::granted::{GrantArguments, JudgeHost};

/// A plugin as `try`, `check` and `bench` take it.
#[derive(Debug, Args)]
pub(crate) struct PluginArguments {
    /// A shipped plugin's name, or the path of a .wasm file
    pub(crate) plugin: String,
    /// Its parameters: a JSON object, or @FILE that holds one
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) parameters: String,
    /// The plugin that it wraps, and again the one that this wraps: NAME, or NAME=JSON with parameters
    #[arg(long, value_name = "NAME[=JSON]")]
    pub(crate) upstream: Vec<String>,
    #[command(flatten)]
    pub(crate) models: GrantArguments,
}

impl PluginArguments {
    /// The plan of the plugin and of those it wraps.
    pub(crate) fn plan(&self) -> Result<PluginPlan, Failure> {
        let mut upstream = None;
        for named in self.upstream.iter().rev() {
            let (name, parameters) = named.split_once('=').unwrap_or((named, "{}"));
            upstream = Some(Box::new(plan(name, parameters, upstream).map_err(Failure::bad_input)?));
        }
        plan(&self.plugin, &self.parameters, upstream).map_err(Failure::bad_input)
    }
}

/// A host with the user's cache, whose plugins may ask the models that the command grants.
pub(crate) fn host(
    arguments: &GrantArguments,
    threads: Option<NonZeroUsize>,
    plan: &mut PluginPlan,
) -> Result<JudgeHost, Failure> {
    arguments.host((threads, None), &mut [plan])
}

/// A host that asks no model: enough to say what a plugin is.
pub(crate) fn plain_host() -> Result<Host, Failure> {
    Host::new(slhf_foreign::host_settings()).map_err(Failure::failed)
}
