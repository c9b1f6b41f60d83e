//! Which plugin, with which parameters, under which limits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::granted::{GrantedModel, ModelGrant};

/// The limits of a plugin, all enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory of one instance, in MiB.
    pub memory_mib: u32,
    /// Milliseconds of processor time for one call of up to 64 items; a larger batch gets proportionally more. A machine
    /// that is busy with other work takes nothing away. Time in an upstream plugin is that one's; all plugins that wrap
    /// each other have the sum of their deadlines together. The host's own work is not charged.
    pub deadline_ms: u64,
    /// The deterministic limit: units of fuel per item; absent: not metered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_per_item: Option<u64>,
    /// The guest's stack, in KiB.
    pub stack_kib: u32,
    /// Bytes that one call may return, in MiB.
    pub output_mib: u32,
    /// What the record may get of a plugin's verdicts in one run, in MiB; absent: 256. Reasons beyond it are left out, each
    /// with a mark in its place; a run whose attributes alone are twice as much ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_output_mib: Option<u32>,
    /// Log lines per call that are kept; further ones are counted and dropped.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            deadline_ms: 1000,
            fuel_per_item: None,
            stack_kib: 512,
            output_mib: 16,
            run_output_mib: None,
            log_lines: 100,
        }
    }
}

impl Limits {
    /// Bytes that the record may get of a plugin's verdicts in one run.
    #[must_use]
    pub fn run_output_bytes(&self) -> u64 {
        u64::from(self.run_output_mib.unwrap_or(256)) << 20
    }
}

/// What becomes of a failure that the guest *returned for an item*. Traps, deadlines, limits and bad values always
/// abort; so does everything on games.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run fails.
    #[default]
    Abort,
    /// The item is left out, counted and recorded.
    Skip,
}

/// One plugin, fully resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginPlan {
    /// As the experiment names it.
    pub name: String,
    /// Absolute path of the component.
    pub path: String,
    /// SHA-256 of the component's bytes, lower-case hex: the worker refuses another file.
    pub sha256: String,
    /// Parameters, valid under the plugin's own schema.
    pub parameters: serde_json::Value,
    /// Limits.
    pub limits: Limits,
    /// The plugin this one wraps (a combinator), in a store of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Box<PluginPlan>>,
    /// The models that it may ask, by name. A grant is never inherited: the plugin it wraps has its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, GrantedModel>,
}

impl PluginPlan {
    /// The longest deadline of this plugin and of those that it wraps.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        let inner = self.upstream.as_deref().map_or(0, Self::deadline_ms);
        self.limits.deadline_ms.max(inner)
    }

    /// Names of the environment's variables that hold keys of servers, of this plugin and of those that it wraps.
    pub fn key_variables(&self) -> Vec<&str> {
        let own = self.models.values().filter_map(|model| match model {
            GrantedModel::Served(model) => model.key_env.as_deref(),
            GrantedModel::Device(_) => None,
        });
        own.chain(self.upstream.iter().flat_map(|inner| inner.key_variables())).collect()
    }

    /// Whether it, or a plugin that it wraps, asks a model on the run's device.
    #[must_use]
    pub fn asks_on_device(&self) -> bool {
        self.models.values().any(|model| matches!(model, GrantedModel::Device(_)))
            || self.upstream.as_deref().is_some_and(Self::asks_on_device)
    }
}

/// The judge of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgePlan {
    /// A plugin that exports `preference`.
    pub plugin: PluginPlan,
    /// What becomes of failed items.
    pub on_failure: OnFailure,
}

/// A plugin as an experiment names it, before it is found.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginReference {
    /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
    pub plugin: String,
    /// Its parameters; default: none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub parameters: Option<toml::Table>,
    /// Its limits.
    pub limits: Option<Limits>,
    /// The plugin that it wraps in its turn.
    pub upstream: Option<Box<PluginReference>>,
    /// The models that it may ask, by name.
    pub models: Option<BTreeMap<String, ModelGrant>>,
}
