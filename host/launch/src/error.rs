//! What can go wrong with a launch, one sentence each.

use std::io;
use std::path::PathBuf;

/// An error of this crate. Its Display never prints its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A file or a folder could not be read or written.
    #[error("{doing} {}", path.display())]
    Files {
        /// What was being done, such as `writing`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file says something else than it should.
    #[error(
        "{} is no file of a launch that this slhf-lab knows ({why}): delete the folder that it is in, and what it had is computed again",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A task that is none.
    #[error("the launch {} has no task {task}: its tasks are 0 to {last}", path.display())]
    NoSuchTask {
        /// The launch's folder.
        path: PathBuf,
        /// As it was asked for.
        task: u32,
        /// The last one.
        last: u32,
    },
    /// A program of a queue could not be started, or did not do what it was told.
    #[error("{program} {problem}")]
    Queue {
        /// Its name.
        program: &'static str,
        /// What it said, or what is wrong with what it said.
        problem: String,
    },
    /// A task's process could not be started.
    #[error("the process of task {task} cannot be started")]
    Start {
        /// The task.
        task: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for the name of a launch: {0}")]
    Random(String),
}

impl LaunchError {
    pub(crate) fn files(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { doing, path, source }
    }
}
