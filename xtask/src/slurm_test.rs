//! `cargo xtask slurm-test`: the launcher against a real Slurm on this machine.

use std::process::Command;

use crate::failure::Failure;
use crate::guests;
use crate::project::{Project, run};
use crate::setup::{SetUp, set_up};

/// Debian's packages: the controller, the node's daemon, the programs, and what lets them trust each other.
const PACKAGES: [&str; 2] = ["slurm-wlm", "munge"];
const PROGRAMS: [&str; 4] = ["munged", "slurmctld", "slurmd", "sbatch"];

/// Builds everything and runs the tests that need Slurm, each with a cluster of its own, which it ends. `--install` installs Debian's
/// packages first.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    match words {
        [] => {}
        [word] if word == "--install" => install()?,
        _ => return Err(Failure::Usage("`cargo xtask slurm-test` takes --install or nothing".to_owned())),
    }
    if let Some(missing) = PROGRAMS.iter().find(|program| !is_there(program)) {
        return Err(Failure::Usage(format!(
            "there is no {missing}: `cargo xtask slurm-test --install` installs Debian's {}",
            PACKAGES.join(" and ")
        )));
    }
    let set_up = set_up(&open()?)?;
    let SetUp { project, .. } = &set_up;
    project.build_binaries()?;
    guests::build_plugins(&set_up)?;
    let tests = ["test", "--workspace", "--test", "slurm", "--", "--ignored", "--test-threads", "1", "--nocapture"];
    run(&mut project.cargo(&tests), "a test with Slurm failed")
}

fn install() -> Result<(), Failure> {
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "--no-install-recommends"]).args(PACKAGES);
    run(&mut command, "apt-get could not install Slurm")
}

fn is_there(program: &str) -> bool {
    let look = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
    look.is_ok_and(|status| status.success())
}
