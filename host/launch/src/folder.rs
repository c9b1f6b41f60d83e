//! The folder of a launch: what its tasks are, beside the frozen plan.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slhf_files::replace_own;
use slhf_record::ProcessIdentity;

use crate::LaunchError;
use crate::files::{folders, read_json, token, write_json};
use crate::launcher_kind::LauncherKind;
use crate::task::Task;

/// Version of the files in a launch's folder.
pub const FORMAT: u32 = 1;

/// Of the folder beside the record, after the record's own name.
const SUFFIX: &str = "-launches";
const PLAN: &str = "launch.json";
const COMPLETE: &str = "complete";
const READY: &str = "ready";
const RECORD: &str = "plan.db";

/// What a launch is to compute, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPlan {
    /// [`FORMAT`] of the version that wrote it.
    pub format: u32,
    /// Random; part of the name of whatever a queue is given.
    pub token: String,
    /// Who starts its tasks.
    pub launcher: LauncherKind,
    /// Random id of the record that it is of.
    pub record: String,
    /// The experiment, for people.
    pub experiment: String,
    /// When it was made, in ms since 1970.
    pub launched_at_ms: i64,
    /// The lab that made it. Where it starts the tasks itself they wait for it alone.
    pub lab: ProcessIdentity,
    /// How every task computes.
    pub settings: TaskSettings,
    /// The numbers that each task's runs have in the record.
    pub tasks: Vec<Vec<i64>>,
}

/// How a task computes its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSettings {
    /// Workers at once within a task; `None`: as many as the cores that it gets carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<NonZeroUsize>,
    /// Processes that compute a run together, in the place of those of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Tokens that a run may spend at each served model, in the place of those of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    /// Whether a run goes on where the worker, libtorch or the CPU are others than before.
    #[serde(default)]
    pub allow_divergence: bool,
}

/// What is new in a launch.
#[derive(Clone, Debug)]
pub struct Launched {
    /// Who starts its tasks.
    pub launcher: LauncherKind,
    /// Random id of the record.
    pub record: String,
    /// The experiment, for people.
    pub experiment: String,
    /// Now, in ms since 1970.
    pub launched_at_ms: i64,
    /// How every task computes.
    pub settings: TaskSettings,
    /// The numbers of each task's runs.
    pub tasks: Vec<Vec<i64>>,
}

/// A launch: a folder that exists, with a plan that was read.
#[derive(Clone, Debug)]
pub struct LaunchFolder {
    path: PathBuf,
    plan: LaunchPlan,
}

impl LaunchFolder {
    /// Where the launches of a record are.
    #[must_use]
    pub fn root_of(record: &Path) -> PathBuf {
        let mut name = record.as_os_str().to_owned();
        name.push(SUFFIX);
        PathBuf::from(name)
    }

    /// Makes the folder, below `root`. It is no launch before [`LaunchFolder::mark_ready`].
    pub fn create(root: &Path, launched: Launched) -> Result<Self, LaunchError> {
        let token = token()?;
        // Queues start tasks elsewhere: whatever names a file there is absolute.
        let root = std::path::absolute(root).map_err(LaunchError::files("looking for", root))?;
        let path = root.join(&token);
        fs::create_dir_all(&path).map_err(LaunchError::files("making", &path))?;
        let Launched { launcher, record, experiment, launched_at_ms, settings, tasks } = launched;
        let plan = LaunchPlan {
            format: FORMAT,
            token,
            launcher,
            record,
            experiment,
            launched_at_ms,
            lab: ProcessIdentity::current(),
            settings,
            tasks,
        };
        write_json(&path.join(PLAN), &plan)?;
        Ok(Self { path, plan })
    }

    /// Reads a launch.
    pub fn open(path: &Path) -> Result<Self, LaunchError> {
        let path = std::path::absolute(path).map_err(LaunchError::files("looking for", path))?;
        let file = path.join(PLAN);
        let plan: LaunchPlan = read_json(&file)?;
        if plan.format != FORMAT {
            let why = format!("it has format {}, and this slhf-lab reads {FORMAT}", plan.format);
            return Err(LaunchError::Unreadable { path: file, why });
        }
        Ok(Self { path, plan })
    }

    /// The launches of a record that are not complete, the earliest first; and what is wrong with those that cannot be read.
    pub fn unfinished(record: &Path) -> Result<(Vec<Self>, Vec<LaunchError>), LaunchError> {
        let root = Self::root_of(record);
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for path in folders(&root)? {
            // A lab that was killed while it made the launch: nothing was submitted.
            if path.join(COMPLETE).exists() || !path.join(READY).exists() {
                continue;
            }
            match Self::open(&path) {
                Ok(launch) => found.push(launch),
                Err(error) => unreadable.push(error),
            }
        }
        found.sort_by(|one, other| {
            let key = |launch: &Self| (launch.plan.launched_at_ms, launch.plan.token.clone());
            key(one).cmp(&key(other))
        });
        Ok((found, unreadable))
    }

    /// Whether somebody has deleted it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        !self.path.join(PLAN).exists()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be computed.
    #[must_use]
    pub fn plan(&self) -> &LaunchPlan {
        &self.plan
    }

    /// What its tasks are called in a queue.
    #[must_use]
    pub fn job_name(&self) -> String {
        format!("slhf-{}", self.plan.token)
    }

    /// The record that tasks take their runs from. The lab writes it before anything is submitted, and nobody after that.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.path.join(RECORD)
    }

    /// All tasks.
    pub fn tasks(&self) -> impl Iterator<Item = Task<'_>> {
        let many = u32::try_from(self.plan.tasks.len()).unwrap_or(u32::MAX);
        (0..many).filter_map(|number| self.task(number).ok())
    }

    /// One task.
    pub fn task(&self, number: u32) -> Result<Task<'_>, LaunchError> {
        let runs = self.plan.tasks.get(number as usize);
        runs.map(|runs| Task::new((&self.path, &self.plan.token), number, runs)).ok_or_else(|| {
            LaunchError::NoSuchTask {
                path: self.path.clone(),
                task: number,
                last: u32::try_from(self.plan.tasks.len().saturating_sub(1)).unwrap_or(u32::MAX),
            }
        })
    }

    /// Says that its record is whole: from now on the launch counts.
    pub fn mark_ready(&self) -> Result<(), LaunchError> {
        self.mark(READY)
    }

    /// Says that all that its tasks did was collected.
    pub fn mark_complete(&self) -> Result<(), LaunchError> {
        self.mark(COMPLETE)
    }

    fn mark(&self, name: &str) -> Result<(), LaunchError> {
        let path = self.path.join(name);
        replace_own(&path, b"").map_err(LaunchError::files("writing", &path))
    }
}
