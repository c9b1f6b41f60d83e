//! Starts and watches workers, writes what they say into the record.
//!
//! One batch group is one worker process ([`group`]). Groups of an execution run side by side ([`crew`]), so many and on such devices
//! as [`places`] says. All of them share one writer of the record, whose queue is bounded: a slow disk slows workers down.

mod checkpoints;
mod crew;
mod death;
mod execution;
mod figure;
mod group;
mod log;
mod models;
mod nothing_to_learn;
mod places;
mod plugin_store;
mod progress;
mod provenance;
mod ranks;
mod results;
mod signals;
mod time_left;
mod verdicts;
mod worker;

pub(crate) use checkpoints::say_refused;
pub(crate) use crew::{Errand, compute_all};
pub(crate) use execution::{freeze, grants, new_execution};
pub(crate) use group::{GroupWork, Tally};
pub(crate) use log::log as log_line;
pub(crate) use models::{Keep, ServedModels};
pub(crate) use places::{PlaceArguments, Places};
pub(crate) use plugin_store::find as find_component;
pub(crate) use plugin_store::keep_all as keep_plugins;
pub(crate) use progress::LogWriter;
pub(crate) use provenance::provenance;
pub(crate) use ranks::Gathering;
pub(crate) use results::{gap_metrics, results};
pub(crate) use signals::Signals;
pub(crate) use worker::{Worker, WorkerError, WorkerProgram};
