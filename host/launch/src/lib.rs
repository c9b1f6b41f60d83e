//! Runs that other processes compute, here or in the queue of a cluster.
//!
//! A launch is a folder that its tasks share: a copy of the frozen plan, and a folder a task. A task is a slice of the runs. Whoever
//! starts to compute one makes an *attempt*: a folder with a record of its own, of which it alone writes. No file of SQLite is ever
//! open in two processes, so that a file system whose locks cannot be trusted will do.
//!
//! Whether a task is done is what its attempts say, never what the queue says: a queue calls a job completed that never ran, forgets
//! jobs, gives their numbers away, and starts one twice. A second copy that finds a living first one ends; one that was taken for
//! dead and goes on writes into its own attempt, which nobody reads any more. What is collected is known by the runs' random ids, so
//! that nothing is there twice.
//!
//! Begin with [`LaunchFolder`], then [`Task`] and [`Attempt`], then [`Launcher`] with [`LocalLauncher`] and [`SlurmLauncher`].
//!
//! Invariant: a file here is written whole or not at all, and by one process alone: an attempt's by the attempt, a launch's by the lab.

mod attempt;
mod error;
mod files;
mod folder;
mod launcher;
mod launcher_kind;
mod local;
mod slurm;
mod task;

pub use attempt::{Attempt, AttemptEnd, AttemptState, SIGN_OF_LIFE_S};
pub use error::LaunchError;
pub use folder::{FORMAT, LaunchFolder, LaunchPlan, Launched, TaskSettings};
pub use launcher::{Launcher, Leaving, QueueState, StopHow};
pub use launcher_kind::LauncherKind;
pub use local::LocalLauncher;
pub use slurm::{SlurmLauncher, SlurmOptions, requeue_this_job};
pub use task::{Begin, Task};
