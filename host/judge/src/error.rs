//! Everything that can go wrong, each as one sentence that says what, where, what was expected and how to mend it.

use std::{fmt, io, ops::Range, path::PathBuf, sync::Arc};

use crate::world::{SPOKEN_VERSIONS, World};

/// An error of the plugin host.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// No engine could be made with these limits.
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Engine(String),
    /// The folder for compiled plugins cannot be trusted or used.
    #[error("the cache folder for compiled plugins {} {fault}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What is wrong, as the end of a sentence that the folder begins.
        fault: String,
    },
    /// The file is not a plugin that this host can run.
    #[error("{}: {fault}", path.display())]
    File {
        /// The component's path.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// The process that compiles and describes said no, or came to an end.
    #[error("{0}")]
    Elsewhere(String),
    /// The file cannot be read.
    #[error("plugin `{name}`: cannot read {}", path.display())]
    Unreadable {
        /// As the experiment names it.
        name: String,
        /// The component's path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The plan does not fit the plugin: a limit, a parameter, an upstream.
    #[error("{plugin}: {fault}")]
    Plan {
        /// Whose plan.
        plugin: PluginIdentity,
        /// What does not fit.
        fault: PlanFault,
    },
    /// The guest misbehaved.
    #[error("{plugin} {fault}{during}{last_error}", during = During(.doing, .items), last_error = LastError(.last_error))]
    Guest {
        /// Who.
        plugin: PluginIdentity,
        /// What it was asked for.
        doing: Doing,
        /// The items in question, as indices into the batch; where the host could find the culprit: one.
        items: Option<Range<usize>>,
        /// What it did.
        fault: Fault,
        /// The last line it logged as an error, as panics do just before they trap.
        last_error: Option<Box<str>>,
    },
    /// The plugin that a combinator wraps misbehaved.
    #[error("{plugin} got no result from the plugin it wraps{during}", during = During(.doing, .items))]
    Upstream {
        /// The combinator.
        plugin: PluginIdentity,
        /// What the combinator was asked for.
        doing: Doing,
        /// The combinator's items in question.
        items: Option<Range<usize>>,
        /// What the wrapped plugin did.
        #[source]
        source: Box<JudgeError>,
    },
    /// An ordered pair of a game has no verdict; games never skip.
    #[error("no verdict on `{first}` against `{second}`")]
    Pair {
        /// The first action's name.
        first: String,
        /// The second action's name.
        second: String,
        /// Why not.
        #[source]
        source: Box<JudgeError>,
    },
}

/// Who an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginIdentity {
    /// As the experiment names it.
    pub name: Arc<str>,
    /// From its manifest; `None` before it was asked.
    pub version: Option<Arc<str>>,
}

impl fmt::Display for PluginIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}`", self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, " {version}"))
    }
}

/// What a guest was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Instantiation: start functions and initial memory.
    Start,
    /// `plugin.describe`
    Describe,
    /// `plugin.configure`
    Configure,
    /// `preference.compare`
    Compare,
    /// `reward.score`
    Score,
    /// `baseline.estimate`
    Estimate,
    /// `baseline.save`
    Save,
    /// `baseline.restore`
    Restore,
}

impl Doing {
    /// The function's name, or what stands for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Describe => "describe",
            Self::Configure => "configure",
            Self::Compare => "compare",
            Self::Score => "score",
            Self::Estimate => "estimate",
            Self::Save => "save",
            Self::Restore => "restore",
        }
    }
}

/// What is wrong with a component's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// Not the file that the plan was made with.
    #[error(
        "the file changed since the plan was made (SHA-256 {found}, planned {expected}): plan again, or restore the file"
    )]
    WrongHash {
        /// As planned.
        expected: String,
        /// As it is.
        found: String,
    },
    /// A core module.
    #[error("this is a core module, not a component: build it with `slhf-lab plugin build`")]
    CoreModule,
    /// Not WebAssembly at all, or cut short.
    #[error("not a complete WebAssembly component ({0}): build it again with `slhf-lab plugin build`")]
    Malformed(String),
    /// Built against a contract that this host does not speak.
    #[error(
        "built against {interface}; this host speaks slhf:lab@{SPOKEN_VERSIONS}: build it against that version of the WIT package"
    )]
    WrongVersion {
        /// The interface, with its version.
        interface: String,
    },
    /// Wants something of the machine.
    #[error("imports `{import}`, which the host does not grant; a plugin may import {granted}: {cure}")]
    UndeclaredImport {
        /// The import's name.
        import: String,
        /// What could be granted, as words.
        granted: &'static str,
        /// How it is built without: the end of the sentence.
        cure: &'static str,
    },
    /// Does not export what every plugin exports.
    #[error("does not export `slhf:lab/plugin` (describe, configure), which every plugin exports")]
    NoPluginExport,
    /// Exports none of the worlds.
    #[error(
        "exports none of `slhf:lab/preference`, `slhf:lab/reward` and `slhf:lab/baseline`: one of them is its purpose"
    )]
    NoWorld,
    /// Exports two worlds.
    #[error("exports both `slhf:lab/{0}` and `slhf:lab/{1}`; a plugin has exactly one purpose")]
    TwoWorlds(World, World),
    /// Exports another world than the one it is used for.
    #[error("exports `slhf:lab/{found}`, but is used as a {wanted} plugin, which exports `slhf:lab/{wanted}`")]
    WrongWorld {
        /// What it would have to be.
        wanted: World,
        /// What it is.
        found: World,
    },
    /// A function or import with other types than the contract's.
    #[error("does not follow slhf:lab@{SPOKEN_VERSIONS}: {0}")]
    WrongType(String),
    /// More of something than a compiler should be given.
    #[error(
        "has {found} {what}, more than the {limit} that a plugin may have, a limit that nothing raises: make it smaller, or of fewer parts"
    )]
    Structure {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Refused by the compiler.
    #[error("cannot be compiled: {0}")]
    Uncompilable(String),
}

/// What is wrong with a plan for a plugin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanFault {
    /// A limit outside of what can be enforced.
    #[error("limit `{setting}` is {value}; it must be {expected}")]
    Limit {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: u64,
        /// What it may be, in words.
        expected: &'static str,
    },
    /// A parameter against the plugin's own schema.
    #[error("{0}")]
    Parameter(String),
    /// It describes itself in a way that the host cannot take.
    #[error("its manifest is not valid: {0}")]
    Manifest(String),
    /// It refused its parameters.
    #[error("refuses its parameters: {reason}")]
    Configure {
        /// In its own words.
        reason: String,
    },
    /// A combinator without a plugin to combine.
    #[error("it wraps a {wanted} plugin, but the plan names none: give it `upstream = {{ plugin = … }}`")]
    NoUpstream {
        /// What it wraps.
        wanted: World,
    },
    /// A plugin that asks models, and none is granted.
    #[error(
        "it asks a model, and none is granted: an experiment grants one by a table `models.NAME` beside it, with `path` or \
         `server`, a verb by --grant NAME=MODEL"
    )]
    NoModel,
    /// A model that it needs by name.
    #[error(
        "it needs a model \"{name}\": add a table `models.{name}` beside it, with `path` or `server`, or give a verb --grant {name}=MODEL"
    )]
    MissingModel {
        /// The name that its schema has under `x-models`.
        name: String,
    },
    /// Models for a plugin that asks none.
    #[error("models are granted (\"{name}\"), but the plugin asks none: remove them")]
    NeedlessModel {
        /// The first of them.
        name: String,
    },
    /// A combinator with a plugin of another world.
    #[error("it wraps a {wanted} plugin, but its upstream `{upstream}` is a {found} plugin")]
    WrongUpstream {
        /// What it wraps.
        wanted: World,
        /// The upstream's name.
        upstream: String,
        /// What that is.
        found: World,
    },
    /// An upstream that the plugin never asks.
    #[error("an upstream `{upstream}` is given, but the plugin imports none: remove it")]
    NeedlessUpstream {
        /// The upstream's name.
        upstream: String,
    },
    /// A combinator that imports two worlds at once.
    #[error(
        "it imports both upstream-preference and upstream-reward; one plugin can be given to it, not two: tools that import a whole \
         world, used or not, need one of sdk/wit with what the plugin uses (preference-plain, preference-with-model, \
         preference-over-preference, …)"
    )]
    TwoUpstreams,
    /// Too many plugins upon each other.
    #[error("{depth} plugins wrap each other; at most {limit} may")]
    TooDeep {
        /// How many.
        depth: usize,
        /// How many may.
        limit: usize,
    },
}

/// What a guest did wrong, as the end of a sentence that its name begins.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The deadline, in processor time.
    #[error(
        "did not return within {allowed_ms} ms of processor time (limit `deadline_ms` = {deadline_ms} for up to 64 items)"
    )]
    Deadline {
        /// What this call was allowed.
        allowed_ms: u64,
        /// The setting.
        deadline_ms: u64,
    },
    /// The deadline, in processor time, of all plugins of a chain together.
    #[error(
        "did not return within the {allowed_ms} ms of processor time that `{owner}` and all it wraps have together for these items: ask fewer \
         items for each, or raise `deadline_ms`"
    )]
    SharedDeadline {
        /// The plugin whose items they are.
        owner: Arc<str>,
        /// What all were allowed.
        allowed_ms: u64,
    },
    /// The deterministic limit.
    #[error("used up its {allowed} units of fuel (limit `fuel_per_item` = {fuel_per_item})")]
    Fuel {
        /// What this call was allowed.
        allowed: u64,
        /// The setting.
        fuel_per_item: u64,
    },
    /// Linear memory.
    #[error("asked for {asked_mib} MiB of memory (limit `memory_mib` = {memory_mib})")]
    Memory {
        /// What it asked for, rounded up.
        asked_mib: u64,
        /// The setting.
        memory_mib: u32,
    },
    /// Tables, instances, memories.
    #[error("asked for more {what} than the {limit} that every plugin may have")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// The guest's stack.
    #[error("overflowed its stack, by deep recursion perhaps (limit `stack_kib` = {stack_kib})")]
    Stack {
        /// The setting.
        stack_kib: u32,
    },
    /// Bytes handed to the host.
    #[error("handed more than {output_mib} MiB to the host in one call (limit `output_mib` = {output_mib})")]
    Output {
        /// The setting.
        output_mib: u32,
    },
    /// Bytes for the record.
    #[error(
        "gave its verdicts attributes of more than {allowed_mib} MiB in this run (twice the limit `run_output_mib`), their \
         reasons not counted: let it give fewer attributes or shorter names"
    )]
    RunOutput {
        /// What the run was allowed.
        allowed_mib: u64,
    },
    /// Questions to the plugin it wraps.
    #[error(
        "asked its upstream about more than {allowed} items in one call ({per_item} for each item that is judged, by all \
         plugins that wrap each other together)"
    )]
    UpstreamItems {
        /// What this call was allowed.
        allowed: u64,
        /// The host's constant.
        per_item: u64,
    },
    /// The budget of a model is spent: nothing that the plugin did.
    #[error("cannot go on: {0}")]
    Budget(String),
    /// Any other trap.
    #[error("trapped ({0})")]
    Trap(String),
    /// A value that cannot be read.
    #[error("handed over something that cannot be read ({0})")]
    Unreadable(String),
    /// Other than one outcome per item.
    #[error("returned {found} outcomes for {expected} items")]
    WrongLength {
        /// Items asked about.
        expected: usize,
        /// Outcomes returned.
        found: usize,
    },
    /// NaN, an infinity, or outside of [0, 1].
    #[error("returned {what} = {value}, which is not {expected}")]
    BadValue {
        /// Which value.
        what: Box<str>,
        /// The value.
        value: f64,
        /// What it must be.
        expected: Expected,
    },
    /// The guest's own word on a whole call.
    #[error("failed: {reason}")]
    Failed {
        /// In its own words.
        reason: String,
    },
    /// A baseline after a trap.
    #[error("cannot go on: an earlier call ended in an error, and its state went with it")]
    Gone,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A probability or a vote.
    UnitInterval,
    /// A reward or a baseline.
    Finite,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnitInterval => "a number in [0, 1]",
            Self::Finite => "a finite number",
        })
    }
}

/// ` in `compare`, items 3 to 5`
struct During<'a>(&'a Doing, &'a Option<Range<usize>>);

impl fmt::Display for During<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Doing::Start => f.write_str(" while it was started")?,
            doing => write!(f, " in `{}`", doing.name())?,
        }
        match self.1 {
            Some(range) if range.len() == 1 => write!(f, ", item {}", range.start),
            Some(range) if !range.is_empty() => write!(f, ", items {} to {}", range.start, range.end - 1),
            _ => Ok(()),
        }
    }
}

/// `; its last words: …`
struct LastError<'a>(&'a Option<Box<str>>);

impl fmt::Display for LastError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |line| write!(f, "; its last error line: {line}"))
    }
}

impl JudgeError {
    /// The item an error is about, where it is about one.
    pub fn item(&self) -> Option<usize> {
        match self {
            Self::Guest { items: Some(range), .. } | Self::Upstream { items: Some(range), .. } if range.len() == 1 => {
                Some(range.start)
            }
            _ => None,
        }
    }
}
