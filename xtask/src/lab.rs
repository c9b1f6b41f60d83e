//! `cargo xtask lab ARGS…`: everything up to date, then `slhf-lab ARGS…` in this program's place.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::failure::Failure;
use crate::guests;
use crate::project::Project;
use crate::setup::{SetUp, fetch_models, set_up};

/// Sets up, builds, and becomes `slhf-lab`: its exit code, its signals, its terminal. Returns only when
/// that failed.
pub(crate) fn lab(project: &Project, arguments: &[OsString]) -> Result<(), Failure> {
    let set_up = set_up(project)?;
    let SetUp { project, .. } = &set_up;
    project.build_binaries()?;
    guests::build_plugins(&set_up)?;
    fetch_models(&project.environment, arguments)?;
    let binary = project.binary("slhf-lab");
    // The user's own folder stays the current one: the paths they type are relative to it.
    let mut command = project.environment.command(&binary);
    // What it says to type next is typed as this was.
    let error = command.args(arguments).env("SLHF_LAB_CALLED_AS", "cargo xtask lab").stdin(Stdio::inherit()).exec();
    Err(Failure::Failed(format!("cannot start {}: {error}", binary.display())))
}
