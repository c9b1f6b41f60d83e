//! `cargo xtask bench [NAME]`.

use crate::failure::Failure;
use crate::guests;
use crate::project::{Project, run};
use crate::setup::{SetUp, set_up};

/// Runs the criterion benchmarks in the one profile everything shares.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let name = match words {
        [] => None,
        [name] if !name.starts_with('-') => Some(name),
        _ => return Err(Failure::Usage("`cargo xtask bench` takes at most the name of one benchmark".to_owned())),
    };
    let set_up = set_up(&open()?)?;
    let SetUp { project, .. } = &set_up;
    project.build_binaries()?;
    guests::build_plugins(&set_up)?;
    let mut command = project.cargo(&["bench", "--workspace", "--profile", "dev"]);
    match name {
        Some(name) => command.args(["--bench", name]),
        None => command.arg("--benches"),
    };
    run(&mut command, "the benchmarks did not run to their end")
}
