//! Who starts tasks: what the lab asks of a queue.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::LaunchError;
use crate::folder::LaunchFolder;

/// What a queue says of a task that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// It has not been started.
    Queued,
    /// It was started. Whether it computes its attempt says.
    Started,
}

/// How tasks are to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopHow {
    /// After their step, with a checkpoint.
    AfterStep,
    /// At once.
    AtOnce,
}

/// What becomes of tasks when the lab ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// They end soon, and the lab collects what they did.
    TasksEnd,
    /// They wait, and are computed, without it.
    TasksGoOn,
}

/// A queue of tasks.
pub trait Launcher: fmt::Debug {
    /// That there is a queue to hand tasks to.
    fn check(&mut self) -> Result<(), LaunchError>;

    /// Hands tasks to the queue.
    fn submit(&mut self, launch: &LaunchFolder, tasks: &[u32]) -> Result<(), LaunchError>;

    /// What the queue says of the tasks of a launch; those that it does not name it does not know, or no longer.
    fn states(&mut self, launch: &LaunchFolder) -> Result<BTreeMap<u32, QueueState>, LaunchError>;

    /// How long to wait between two looks at the queue.
    fn interval(&self) -> Duration;

    /// How long a task that never began may be missing from the queue before it is submitted again: file systems show a file of another host
    /// some time after it was written.
    fn grace(&self) -> Duration;

    /// The lab is asked to end: has the tasks stopped that cannot do without it.
    fn stop(&mut self, how: StopHow) -> Leaving;
}
