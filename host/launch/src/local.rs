//! Tasks as processes on this machine: the same path as a cluster's, without one.
//!
//! A task's process is in a process group of its own. It outlives the lab that started it, and a Ctrl-C on the terminal reaches the lab
//! alone.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::LaunchError;
use crate::folder::LaunchFolder;
use crate::launcher::{Launcher, Leaving, QueueState, StopHow};

/// Starts a process a task, so many at once.
#[derive(Debug)]
pub struct LocalLauncher {
    program: PathBuf,
    at_once: NonZeroUsize,
    waiting: VecDeque<(PathBuf, u32)>,
    started: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    launch: PathBuf,
    task: u32,
    child: Child,
}

impl LocalLauncher {
    /// `program` is called as `program task FOLDER NUMBER`, at most `at_once` at the same time.
    #[must_use]
    pub fn new(program: PathBuf, at_once: NonZeroUsize) -> Self {
        Self { program, at_once, waiting: VecDeque::new(), started: Vec::new() }
    }

    fn start(&mut self, folder: &Path, task: u32) -> Result<(), LaunchError> {
        let launch = LaunchFolder::open(folder)?;
        let log = launch.task(task)?.log();
        let opened = File::options().create(true).append(true).open(&log);
        let output = opened.map_err(LaunchError::files("writing", &log))?;
        let errors = output.try_clone().map_err(LaunchError::files("writing", &log))?;
        let child = Command::new(&self.program)
            .arg("task")
            .arg(folder)
            .arg(task.to_string())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| LaunchError::Start { task, source })?;
        self.started.push(Process { launch: folder.to_owned(), task, child });
        Ok(())
    }

    /// Lets go of those that ended and starts others in their place.
    fn turn(&mut self) -> Result<(), LaunchError> {
        self.started.retain_mut(|process| matches!(process.child.try_wait(), Ok(None)));
        while self.started.len() < self.at_once.get() {
            let Some((folder, task)) = self.waiting.pop_front() else { break };
            self.start(&folder, task)?;
        }
        Ok(())
    }
}

impl Launcher for LocalLauncher {
    fn check(&mut self) -> Result<(), LaunchError> {
        Ok(())
    }

    fn submit(&mut self, launch: &LaunchFolder, tasks: &[u32]) -> Result<(), LaunchError> {
        self.waiting.extend(tasks.iter().map(|task| (launch.path().to_owned(), *task)));
        self.turn()
    }

    fn states(&mut self, launch: &LaunchFolder) -> Result<BTreeMap<u32, QueueState>, LaunchError> {
        self.turn()?;
        let waiting = self.waiting.iter().filter(|(folder, _)| folder == launch.path());
        let started = self.started.iter().filter(|process| process.launch == launch.path());
        let mut states: BTreeMap<u32, QueueState> = waiting.map(|(_, task)| (*task, QueueState::Queued)).collect();
        states.extend(started.map(|process| (process.task, QueueState::Started)));
        Ok(states)
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    fn stop(&mut self, how: StopHow) -> Leaving {
        self.waiting.clear();
        let signal = match how {
            StopHow::AfterStep => Signal::TERM,
            StopHow::AtOnce => Signal::KILL,
        };
        for process in &self.started {
            if let Some(pid) = i32::try_from(process.child.id()).ok().and_then(Pid::from_raw) {
                // One that has just ended is no longer there to be told.
                let _ = kill_process(pid, signal);
            }
        }
        Leaving::TasksEnd
    }
}
