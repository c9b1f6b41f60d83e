//! `--launcher`: who starts the processes that compute runs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use clap::{Args, ValueEnum};
use slhf_launch::{Launcher, LauncherKind, LocalLauncher, SlurmLauncher};
use slhf_plan::Work;

use super::config;
use crate::failure::Failure;
use crate::running::Places;

/// `--launcher` and what belongs to it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LauncherArguments {
    /// Have tasks compute the runs, each a slice of them with a record of its own: processes here, or job arrays of Slurm
    /// (`[launcher.slurm]` in config.toml); --jobs tasks at once
    #[arg(long, value_name = "NAME", conflicts_with_all = ["devices", "ranks"])]
    launcher: Option<Choice>,
    /// Tasks that runs are cut into, at most [default: 64]
    #[arg(long, value_name = "N", requires = "launcher")]
    tasks: Option<NonZeroUsize>,
}

/// The names on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Processes on this machine
    Local,
    /// Job arrays of Slurm
    Slurm,
}

/// Tasks unless the user says otherwise: enough for a cluster to share out, few enough that a queue starts them within minutes.
const TASKS: usize = 64;

impl LauncherArguments {
    /// Which one was named; `None`: the lab computes.
    pub(crate) fn kind(self) -> Option<LauncherKind> {
        self.launcher.map(|choice| match choice {
            Choice::Local => LauncherKind::Local,
            Choice::Slurm => LauncherKind::Slurm,
        })
    }

    /// Into how many tasks runs are cut, at most.
    pub(crate) fn tasks_max(self) -> usize {
        self.tasks.map_or(TASKS, NonZeroUsize::get)
    }
}

/// Tasks that are computed at the same time: what the user says; else here as many as the machine carries, and in a queue as many as it likes.
pub(crate) fn at_once<'a>(
    kind: LauncherKind,
    places: &Places,
    (works, processes): (impl Iterator<Item = &'a Work>, Option<u32>),
) -> Option<NonZeroUsize> {
    match kind {
        LauncherKind::Local => NonZeroUsize::new(places.each(works, processes).len()),
        LauncherKind::Slurm => places.jobs(),
    }
}

/// That there is a queue, before anything is planned for it.
pub(crate) fn check(kind: LauncherKind) -> Result<(), Failure> {
    launcher(kind, None)?.check().map_err(Failure::bad_input)
}

/// The launcher of a kind; of its tasks `at_once` are computed at the same time.
pub(super) fn launcher(kind: LauncherKind, at_once: Option<NonZeroUsize>) -> Result<Box<dyn Launcher>, Failure> {
    let program = own_program()?;
    Ok(match kind {
        LauncherKind::Local => {
            let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            Box::new(LocalLauncher::new(program, at_once.unwrap_or_else(cores)))
        }
        LauncherKind::Slurm => Box::new(SlurmLauncher::new(program, at_once, config::slurm()?)),
    })
}

/// This very program.
fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::failed(format!("the path of slhf-lab itself cannot be found: {error}")))
}
