//! Runs that tasks elsewhere compute: how the lab hands them over, watches, and takes back what they did.
//!
//! `slhf_launch` knows folders, attempts and queues; here they meet the record. Begin with [`launch`], then [`watch`].

mod arguments;
mod config;
mod open;
mod submit;
mod watch;

pub(crate) use arguments::{LauncherArguments, at_once, check};
pub(crate) use open::{AskWhom, Held, settle, waiting_runs};
pub(crate) use submit::{Launch, launch};
pub(crate) use watch::{Watching, watch};
