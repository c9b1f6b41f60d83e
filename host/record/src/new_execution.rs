//! What the record is told of an execution before anything of it starts.

use slhf_plan::{Limits, OnFailure, PluginPlan};

use crate::ParameterValue;

/// An experiment about to be executed.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// The experiment's name; may hold no `/`.
    pub experiment: String,
    /// `game`, `language-model`.
    pub kind: String,
    /// The question it asks.
    pub question: Option<String>,
    /// The TOML as it was given.
    pub toml: String,
    /// Where it was read from.
    pub toml_path: Option<String>,
    /// SHA-256 of the resolved content.
    pub content_hash: String,
    /// Who executes it, with what.
    pub provenance: Provenance,
    /// The cells, in the order of the plan.
    pub cells: Vec<NewCell>,
}

/// Who executes an experiment, with what.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The command line, quoted for a shell.
    pub command_line: String,
    /// Where it was given.
    pub working_directory: String,
    /// The host's name.
    pub host: String,
    /// Version of `slhf-lab`.
    pub lab_version: String,
    /// SHA-256 of the lab's binary.
    pub lab_sha256: String,
    /// SHA-256 of the worker's binary.
    pub worker_sha256: Option<String>,
    /// Commit of the sources, where they are known.
    pub source_commit: Option<String>,
    /// Whether the sources differed from that commit.
    pub source_dirty: Option<bool>,
    /// Versions of libraries and compilers: (`rustc`, `1.95.0`), (`libtorch`, `2.11.0`), …
    pub software: Vec<(String, String)>,
}

/// One ablation cell; an experiment without ablation has one.
#[derive(Clone, Debug)]
pub struct NewCell {
    /// Unique in the execution, not empty.
    pub label: String,
    /// What the ablation axes set.
    pub settings: Vec<CellSetting>,
    /// Every resolved parameter but the seed, with dotted keys; unique.
    pub parameters: Vec<(String, ParameterValue)>,
    /// What the plan grants which plugin.
    pub plugins: Vec<PluginGrant>,
    /// The runs: one a seed.
    pub runs: Vec<NewRun>,
}

/// What an axis set in a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellSetting {
    /// Position of the axis in the TOML, from 0.
    pub axis: u32,
    /// The axis: its `name`, or its `key`.
    pub axis_name: String,
    /// The dotted key that was set.
    pub key: String,
    /// To what.
    pub value: ParameterValue,
}

/// One run of a cell.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The seed; unique in the cell.
    pub seed: u64,
    /// Hash of all that decides the run's numbers (resolved cell, seed, plugins, data); `--needed` looks for it.
    pub content_hash: String,
    /// Steps it will do.
    pub steps: u64,
    /// `--needed`: the earlier finished run that answers it. No run is made then.
    pub answered_by: Option<i64>,
}

/// What a plan grants one plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginGrant {
    /// `judge`, `judge/upstream`, `baseline`, …
    pub role: String,
    /// As the experiment names it.
    pub name: String,
    /// Absolute path of the component.
    pub path: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// Granted imports: `log`, `upstream`, …
    pub capabilities: Vec<String>,
    /// JSON.
    pub parameters: String,
    /// What becomes of failed items, where the role has failures.
    pub on_failure: Option<OnFailure>,
    /// The limits.
    pub limits: Limits,
}

impl PluginGrant {
    /// The grants of a plugin and of all it wraps: roles `role`, `role/upstream`, `role/upstream/upstream`, …
    #[must_use]
    pub fn chain(role: &str, plan: &PluginPlan, on_failure: Option<OnFailure>) -> Vec<Self> {
        let mut grants = Vec::new();
        let mut role = role.to_owned();
        let mut next = Some(plan);
        while let Some(plugin) = next {
            let mut capabilities = vec!["log".to_owned()];
            if plugin.upstream.is_some() {
                capabilities.push("upstream".to_owned());
            }
            grants.push(Self {
                role: role.clone(),
                name: plugin.name.clone(),
                path: plugin.path.clone(),
                sha256: plugin.sha256.clone(),
                capabilities,
                parameters: plugin.parameters.to_string(),
                on_failure,
                limits: plugin.limits,
            });
            role.push_str("/upstream");
            next = plugin.upstream.as_deref();
        }
        grants
    }
}
