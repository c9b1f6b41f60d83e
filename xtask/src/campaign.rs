//! `cargo xtask campaign`.

use crate::failure::Failure;
use crate::guests;
use crate::project::{Project, run};
use crate::setup::{SetUp, set_up};

/// Builds everything and disturbs it, as docs/reliability.md says; what it takes: `--kills N --stops N --copies N --moves N
/// --full-disks N --seed N`.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let set_up = set_up(&open()?)?;
    let SetUp { project, .. } = &set_up;
    project.build_binaries()?;
    guests::build_plugins(&set_up)?;
    // Of the whole workspace, so that features are those of every other build.
    run(&mut project.cargo(&["build", "--workspace", "--example", "campaign"]), "the campaign could not be built")?;
    let program = project.binaries.join("examples/campaign");
    let mut command = project.environment.command(program);
    run(command.args(words).current_dir(&project.root), "the campaign found a fault")
}
