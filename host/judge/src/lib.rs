//! The WebAssembly plugin host: it loads judges, reward models and control variates, and asks them under limits.
//!
//! A [`Host`] loads plugins from a [`slhf_plan::PluginPlan`] and gives handles to them: [`Preference`] (judges pairs), [`Reward`] (scores
//! single responses) and [`Baseline`] (control variates). Before anything of a component is compiled, [`inspect`](inspect()) reads which version
//! of the contract it was built against and what it imports. [`conformance`] tests whether a component keeps its own promises.
//!
//! Guests are never trusted: every limit of [`slhf_plan::Limits`] is enforced, every value that comes back is checked where it enters, and
//! a guest that misbehaves costs its own instance and nothing else.
//!
//! Invariant: the same component, parameters and batch give the same bits on any machine, however a batch is split: preferences and
//! rewards get a fresh instance for every part, and nothing a guest can see differs between machines.
//!
//! Invariant: this crate knows no policy, no method and no record.
//!
//! Begin reading with `host.rs` (from a plan to a plugin), then `guest.rs` (one call) and `batch.rs` (many at once). Below them lie `plugin.rs`,
//! `state.rs` (what belongs to one instance) and `engine.rs`.
//!
//! ```
//! use slhf_judge::{Comparison, FileFault, Host, HostSettings, JudgeError, inspect};
//!
//! /// The probability that the judge of a plan prefers the short answer.
//! fn prefers_short(plan: &slhf_plan::PluginPlan) -> Result<Option<f64>, JudgeError> {
//!     let judge = Host::new(HostSettings::default())?.preference(plan)?;
//!     let mut verdicts = judge.compare(&[Comparison::from_texts("Is it so?", "Yes.", "Well, that depends.")])?;
//!     Ok(verdicts.remove(0).ok().map(|verdict| verdict.probability))
//! }
//!
//! // A module that is no component is told by its first bytes; nothing of it is run.
//! assert_eq!(inspect(b"\0asm\x01\0\0\0"), Err(FileFault::CoreModule));
//! ```

mod baseline;
mod batch;
mod cache;
mod compilation;
pub mod conformance;
mod counters;
mod describing;
mod engine;
mod error;
mod game;
mod guest;
mod host;
mod imports;
mod inspect;
mod judges;
mod limiter;
mod log;
mod manifest;
mod model_types;
mod models;
mod notice;
mod parameters;
mod plugin;
mod producer;
mod state;
mod structure;
mod threads;
mod ticker;
mod types;
mod usage;
mod world;

pub use baseline::Baseline;
pub use cache::CacheLocation;
pub use compilation::{Compilation, DescribeRequest, Description, Elsewhere};
pub use describing::describe;
pub use engine::Allocation;
pub use error::{Doing, Expected, Fault, FileFault, JudgeError, PlanFault, PluginIdentity};
pub use game::{GameVerdicts, judge_game};
pub use host::{DEPTH_MAX, Host, HostSettings};
pub use inspect::{FILE_BYTES_MAX, Inspection, inspect};
pub use judges::{Preference, Reward, RunOutput};
pub use log::LogSink;
pub use manifest::{Claims, Manifest};
pub use models::AnswerModels;
pub use producer::Producer;
pub use types::{
    Attribute, Candidate, Comparison, ItemFailure, Message, NO_METADATA, Response, Role, Sample, Score, Verdict,
};
pub use world::{SPOKEN_VERSIONS, World};
