//! A plugin that was loaded: compiled code, limits, parameters, and the plugin it wraps.

use std::{fmt, path::PathBuf, sync::Arc};

use slhf_plan::{Limits, LogLevel, LogLine};
use wasmtime::{
    Engine,
    component::{Component, ComponentExportIndex, InstancePre},
};

use crate::{
    counters::Counters,
    engine::Prepared,
    error::{Doing, Fault, FileFault, JudgeError, PluginIdentity},
    inspect::Inspection,
    log::LogSink,
    manifest::Manifest,
    models::Grants,
    state::GuestState,
    threads::Threads,
    ticker::Ticker,
    world::World,
};

/// A component, compiled and linked.
pub(crate) struct Compiled {
    pub(crate) inspection: Inspection,
    pub(crate) world: World,
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<GuestState>,
    pub(crate) describe: ComponentExportIndex,
    pub(crate) configure: ComponentExportIndex,
    /// `compare`, `score` or `estimate`.
    pub(crate) main: ComponentExportIndex,
    /// `save` and `restore` of a baseline.
    pub(crate) memory: Option<(ComponentExportIndex, ComponentExportIndex)>,
}

impl Compiled {
    pub(crate) fn new(
        prepared: &Prepared,
        bytes: &[u8],
        inspection: Inspection,
        world: World,
    ) -> Result<Self, FileFault> {
        let component = Component::from_binary(&prepared.engine, bytes)
            .map_err(|error| FileFault::Uncompilable(format!("{error:#}")))?;
        let function = |interface: &str, name: &str| {
            let full_name = inspection.export_name(interface).unwrap_or(interface);
            component
                .get_export_index(None, full_name)
                .and_then(|instance| component.get_export_index(Some(&instance), name))
                .ok_or_else(|| FileFault::WrongType(format!("`{full_name}` has no function `{name}`")))
        };
        let (describe, configure) = (function("plugin", "describe")?, function("plugin", "configure")?);
        let (main, memory) = match world {
            World::Preference => (function("preference", "compare")?, None),
            World::Reward => (function("reward", "score")?, None),
            World::Baseline => (
                function("baseline", "estimate")?,
                Some((function("baseline", "save")?, function("baseline", "restore")?)),
            ),
        };
        let pre = prepared
            .linker
            .instantiate_pre(&component)
            .map_err(|error| FileFault::WrongType(format!("its imports: {error:#}")))?;
        let engine = prepared.engine.clone();
        Ok(Self { inspection, world, engine, pre, describe, configure, main, memory })
    }
}

/// What all plugins of a host run in.
pub(crate) struct Surroundings {
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) log: LogSink,
    pub(crate) threads: Threads,
}

/// Everything that is needed to run guests of one plugin.
pub(crate) struct Sandbox {
    pub(crate) host: Arc<Surroundings>,
    pub(crate) identity: PluginIdentity,
    pub(crate) path: PathBuf,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) limits: Limits,
    /// JSON.
    pub(crate) parameters: String,
    pub(crate) upstream: Option<Arc<Plugin>>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) counters: Counters,
}

impl Sandbox {
    /// Another one of the same plugin, with counters of its own.
    pub(crate) fn anew(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            identity: self.identity.clone(),
            path: self.path.clone(),
            compiled: Arc::clone(&self.compiled),
            limits: self.limits,
            parameters: self.parameters.clone(),
            upstream: self.upstream.clone(),
            grants: Arc::clone(&self.grants),
            counters: Counters::default(),
        }
    }

    pub(crate) fn error(&self, doing: Doing, fault: Fault) -> JudgeError {
        JudgeError::Guest { plugin: self.identity.clone(), doing, items: None, fault, last_error: None }
    }

    /// Said once a run.
    pub(crate) fn left_out(&self) -> LogLine {
        let mib = self.limits.run_output_bytes() >> 20;
        let text = format!(
            "its verdicts have reasons of more than {mib} MiB in this run (limit `run_output_mib`); further ones are left \
             out of the record"
        );
        LogLine { level: LogLevel::Warn, source: self.identity.name.to_string(), text }
    }

    /// Native stack that a thread needs to run it and all that it wraps: every guest runs on top of its caller.
    pub(crate) fn stack_bytes(&self) -> usize {
        /// What the host itself needs at each level.
        const HOST_BYTES: usize = 1 << 20;
        let own = self.limits.stack_kib as usize * 1024 + HOST_BYTES;
        own + self.upstream.as_ref().map_or(0, |upstream| upstream.sandbox.stack_bytes())
    }
}

/// A plugin that was described and accepted its parameters.
pub(crate) struct Plugin {
    pub(crate) sandbox: Sandbox,
    pub(crate) manifest: Manifest,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("identity", &self.sandbox.identity)
            .field("world", &self.sandbox.compiled.world)
            .field("upstream", &self.sandbox.upstream)
            .finish_non_exhaustive()
    }
}
