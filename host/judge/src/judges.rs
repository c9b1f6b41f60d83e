//! Judges and reward models, ready to be asked.

use std::sync::Arc;

use slhf_plan::PluginUse;

use crate::{
    batch::Attributes,
    error::{JudgeError, PluginIdentity},
    inspect::Inspection,
    manifest::Manifest,
    plugin::Plugin,
    types::{Candidate, Comparison, ItemFailure, Score, Verdict},
    usage,
};

/// A judge. Cheap to clone; clones share their counters.
#[derive(Clone, Debug)]
pub struct Preference {
    plugin: Arc<Plugin>,
}

/// A reward model. Cheap to clone; clones share their counters.
#[derive(Clone, Debug)]
pub struct Reward {
    plugin: Arc<Plugin>,
}

impl Preference {
    pub(crate) fn new(plugin: Arc<Plugin>) -> Self {
        Self { plugin }
    }

    /// Judges a batch: one outcome per item, in order. An inner error is the plugin's own word that it cannot judge
    /// that item; whatever else goes wrong ends the batch.
    ///
    /// The batch is split over the host's threads, each part in a fresh instance.
    pub fn compare(&self, batch: &[Comparison]) -> Result<Vec<Result<Verdict, ItemFailure>>, JudgeError> {
        self.plugin.judge_batch(batch, Attributes::Kept)
    }

    /// Likewise, where nobody keeps the attributes: they do not count against `run_output_mib`.
    pub fn compare_alone(&self, batch: &[Comparison]) -> Result<Vec<Result<Verdict, ItemFailure>>, JudgeError> {
        self.plugin.judge_batch(batch, Attributes::Dropped)
    }
}

impl Reward {
    pub(crate) fn new(plugin: Arc<Plugin>) -> Self {
        Self { plugin }
    }

    /// Scores a batch, as [`Preference::compare`] judges one.
    pub fn score(&self, batch: &[Candidate]) -> Result<Vec<Result<Score, ItemFailure>>, JudgeError> {
        self.plugin.judge_batch(batch, Attributes::Kept)
    }
}

/// What a plugin has put into the record of a run so far: counted against [`slhf_plan::Limits::run_output_mib`].
#[derive(Clone, Debug)]
pub struct RunOutput {
    plugin: Arc<Plugin>,
}

impl RunOutput {
    /// Bytes of attributes.
    pub fn bytes(&self) -> u64 {
        self.plugin.sandbox.counters.output_bytes()
    }

    /// Adds what the run had put there before it was interrupted.
    pub fn carry(&self, bytes: u64) {
        self.plugin.sandbox.counters.add_output(bytes);
    }
}

macro_rules! run_output {
    ($handle:ty) => {
        impl $handle {
            /// What it puts into the record.
            pub fn run_output(&self) -> RunOutput {
                RunOutput { plugin: Arc::clone(&self.plugin) }
            }
        }
    };
}

run_output!(Preference);
run_output!(Reward);

macro_rules! describe {
    ($handle:ty) => {
        impl $handle {
            /// What the plugin says of itself.
            pub fn manifest(&self) -> &Manifest {
                &self.plugin.manifest
            }

            /// Its name in the experiment and its version, as errors have them.
            pub fn identity(&self) -> &PluginIdentity {
                &self.plugin.sandbox.identity
            }

            /// What its file says.
            pub fn inspection(&self) -> &Inspection {
                &self.plugin.sandbox.compiled.inspection
            }

            /// What was used through this handle so far, by the plugin (`role`) and by those it wraps
            /// (`role/upstream`, …).
            pub fn usage(&self, role: &str, runs: &[i64]) -> Vec<PluginUse> {
                usage::chain(&self.plugin, role, runs)
            }
        }
    };
}

describe!(Preference);
describe!(Reward);
describe!(crate::baseline::Baseline);
