//! Tasks as job arrays of Slurm: `sbatch`, `squeue`, `scontrol`.
//!
//! What Slurm says is believed of what waits and of what was started, never of what is done: jobs are found by their name and their
//! comment, as a controller that was killed gives the numbers of jobs away again. Tried with 22.05.8 (docs/scaling.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::LaunchError;
use crate::folder::LaunchFolder;
use crate::launcher::{Launcher, Leaving, QueueState, StopHow};

mod program;

use program::ask;

/// `sbatch` waits two minutes where the queue is full, and fails then.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(150);
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// Seconds before its time limit at which a task is told to stop: Slurm looks at that every half a minute or so.
const STOP_BEFORE_END_S: u32 = 120;

/// What a user says of a cluster: `[launcher.slurm]` of `config.toml`. Nothing here changes a number, and no content hash has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlurmOptions {
    /// `--partition`.
    pub partition: Option<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--qos`.
    pub qos: Option<String>,
    /// `--time`: a task that needs longer stops before with a checkpoint, and is queued again.
    pub time: Option<String>,
    /// `--gres`, such as `gpu:1`.
    pub gres: Option<String>,
    /// `--cpus-per-task`.
    pub cpus_per_task: Option<u32>,
    /// `--mem`, such as `16G`.
    pub mem: Option<String>,
    /// `--constraint`.
    pub constraint: Option<String>,
    /// Further options of `sbatch`, one a text.
    #[serde(default)]
    pub options: Vec<String>,
    /// Lines of the shell before the task, such as `module load cuda`.
    pub prologue: Option<String>,
}

impl SlurmOptions {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let cpus = self.cpus_per_task.map(|cpus| cpus.to_string());
        for (option, value) in [
            ("partition", self.partition.as_ref()),
            ("account", self.account.as_ref()),
            ("qos", self.qos.as_ref()),
            ("time", self.time.as_ref()),
            ("gres", self.gres.as_ref()),
            ("cpus-per-task", cpus.as_ref()),
            ("mem", self.mem.as_ref()),
            ("constraint", self.constraint.as_ref()),
        ] {
            arguments.extend(value.map(|value| format!("--{option}={value}")));
        }
        arguments.extend(self.options.iter().cloned());
        arguments
    }
}

/// Submits arrays of tasks.
#[derive(Debug)]
pub struct SlurmLauncher {
    program: PathBuf,
    at_once: Option<NonZeroUsize>,
    options: SlurmOptions,
    /// Tasks of one array; asked for once.
    array_size: Option<u32>,
}

impl SlurmLauncher {
    /// `program` is called as `program task FOLDER NUMBER`; of each array at most `at_once` tasks run at the same time.
    #[must_use]
    pub fn new(program: PathBuf, at_once: Option<NonZeroUsize>, options: SlurmOptions) -> Self {
        Self { program, at_once, options, array_size: None }
    }

    fn array_size(&mut self) -> Result<u32, LaunchError> {
        if let Some(size) = self.array_size {
            return Ok(size);
        }
        let config = ask("scontrol", &["show", "config"], None, ASK_TIMEOUT)?;
        let size = array_size_of(&config).ok_or_else(|| LaunchError::Queue {
            program: "scontrol",
            problem: "show config says nothing of MaxArraySize, or 0: this cluster takes no job arrays".to_owned(),
        })?;
        self.array_size = Some(size);
        Ok(size)
    }

    fn arguments(&self, launch: &LaunchFolder, array: &Array) -> Vec<String> {
        // What is a pattern to Slurm is doubled where it is part of a name.
        let log = format!("{}/slurm-%A_%a.log", launch.path().display().to_string().replace('%', "%%"));
        let mut arguments = vec![
            "--parsable".to_owned(),
            format!("--job-name={}", launch.job_name()),
            format!("--comment={}", comment_of(launch, array.offset)),
            format!("--array={}", array.indices(self.at_once)),
            format!("--output={log}"),
            "--open-mode=append".to_owned(),
            "--requeue".to_owned(),
            format!("--signal=B:TERM@{STOP_BEFORE_END_S}"),
        ];
        arguments.extend(self.options.arguments());
        arguments
    }

    /// The shell is replaced by the task, so that signals reach it, and nothing is left behind where it is killed.
    fn script(&self, launch: &LaunchFolder, offset: u32) -> String {
        let mut script = "#!/bin/sh\n".to_owned();
        if let Some(prologue) = &self.options.prologue {
            script.push_str(prologue);
            script.push('\n');
        }
        let (program, folder) = (quoted(&self.program), quoted(launch.path()));
        let _ = writeln!(script, "exec {program} task {folder} \"$(({offset} + SLURM_ARRAY_TASK_ID))\"");
        script
    }
}

impl Launcher for SlurmLauncher {
    fn check(&mut self) -> Result<(), LaunchError> {
        self.array_size().map(drop)
    }

    fn submit(&mut self, launch: &LaunchFolder, tasks: &[u32]) -> Result<(), LaunchError> {
        let size = self.array_size()?;
        for array in Array::cut(tasks, size) {
            let arguments = self.arguments(launch, &array);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let script = self.script(launch, array.offset);
            let said = ask("sbatch", &arguments, Some(&script), SUBMIT_TIMEOUT)?;
            let id = said.trim().split(';').next().unwrap_or_default();
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                let problem = format!("printed no number of a job but \"{}\"", said.trim());
                return Err(LaunchError::Queue { program: "sbatch", problem });
            }
        }
        Ok(())
    }

    fn states(&mut self, launch: &LaunchFolder) -> Result<BTreeMap<u32, QueueState>, LaunchError> {
        let name = launch.job_name();
        let said = ask("squeue", &["-h", "-r", "-n", &name, "-o", "%K %T %k"], None, ASK_TIMEOUT)?;
        Ok(states_of(&said, &launch.plan().token))
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn grace(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn stop(&mut self, _: StopHow) -> Leaving {
        Leaving::TasksGoOn
    }
}

/// Puts this very job back into the queue, where it is one of Slurm's that was told to stop because its time is up; a job that somebody
/// cancelled stays cancelled. Returns whether it did.
pub fn requeue_this_job() -> Result<bool, LaunchError> {
    let Ok(job) = std::env::var("SLURM_JOB_ID") else { return Ok(false) };
    let state = ask("squeue", &["-h", "-j", &job, "-o", "%T"], None, ASK_TIMEOUT)?;
    if state.trim() != "RUNNING" {
        return Ok(false);
    }
    ask("scontrol", &["requeue", &job], None, ASK_TIMEOUT)?;
    Ok(true)
}

/// What tells a job of the launch from one that somebody else has given its name, with the number that its indices count from.
fn comment_of(launch: &LaunchFolder, offset: u32) -> String {
    format!("{}:{offset}", launch.plan().token)
}

/// Tasks of one array.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Array {
    /// Its index 0 is this task.
    offset: u32,
    indices: BTreeSet<u32>,
}

impl Array {
    /// Tasks by the arrays that they belong to, of `size` each.
    fn cut(tasks: &[u32], size: u32) -> Vec<Self> {
        let mut arrays: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for task in tasks {
            arrays.entry(task / size * size).or_default().insert(task % size);
        }
        arrays.into_iter().map(|(offset, indices)| Self { offset, indices }).collect()
    }

    /// `0-3,7%2`.
    fn indices(&self, at_once: Option<NonZeroUsize>) -> String {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for index in &self.indices {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *index => *last = *index,
                _ => ranges.push((*index, *index)),
            }
        }
        let range = |(first, last): &(u32, u32)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let mut text = ranges.iter().map(range).collect::<Vec<_>>().join(",");
        if let Some(at_once) = at_once {
            let _ = write!(text, "%{at_once}");
        }
        text
    }
}

/// `MaxArraySize` of `scontrol show config`: one more than the last index.
fn array_size_of(config: &str) -> Option<u32> {
    let line = config.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    line.trim_start().strip_prefix('=')?.trim().parse().ok().filter(|size| *size > 0)
}

/// Of `squeue`'s lines of index, state and comment.
fn states_of(said: &str, token: &str) -> BTreeMap<u32, QueueState> {
    let mut states = BTreeMap::new();
    for line in said.lines() {
        let mut words = line.split_whitespace();
        let (Some(index), Some(state), Some(comment)) = (words.next(), words.next(), words.next()) else { continue };
        let Some((found, offset)) = comment.split_once(':') else { continue };
        let (Ok(index), Ok(offset)) = (index.parse::<u32>(), offset.parse::<u32>()) else { continue };
        if found != token {
            continue;
        }
        let state = match state {
            "PENDING" | "REQUEUED" | "REQUEUE_FED" | "CONFIGURING" => QueueState::Queued,
            _ => QueueState::Started,
        };
        // Of two jobs of one task the one that was started counts.
        let known = states.entry(offset.saturating_add(index)).or_insert(state);
        if state == QueueState::Started {
            *known = state;
        }
    }
    states
}

/// As a word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{Launched, TaskSettings};
    use crate::launcher_kind::LauncherKind;

    #[test]
    fn arrays_are_cut_where_the_controller_asks() {
        let check = |tasks: &[u32], size: u32, at_once: Option<usize>, expected: &[(u32, &str)]| {
            let at_once = at_once.and_then(NonZeroUsize::new);
            let found: Vec<(u32, String)> =
                Array::cut(tasks, size).iter().map(|array| (array.offset, array.indices(at_once))).collect();
            let expected: Vec<(u32, String)> =
                expected.iter().map(|(offset, text)| (*offset, (*text).to_owned())).collect();
            assert_eq!(found, expected);
        };
        check(&[0], 1001, None, &[(0, "0")]);
        check(&[0, 1, 2, 3], 1001, Some(2), &[(0, "0-3%2")]);
        check(&[0, 1, 2, 5, 7, 8], 4, None, &[(0, "0-2"), (4, "1,3"), (8, "0")]);
        let all: Vec<u32> = (0..2500).collect();
        check(&all, 1001, Some(8), &[(0, "0-1000%8"), (1001, "0-1000%8"), (2002, "0-497%8")]);
        check(&[], 10, None, &[]);
    }

    #[test]
    fn what_the_queue_says_is_read_by_name_and_token() {
        let said = "0 RUNNING ab:0\n1 PENDING ab:0\n1 COMPLETING ab:0\n3 PENDING ab:1001\n2 RUNNING other:0\nN/A RUNNING (null)\n\n";
        let found = states_of(said, "ab");
        let expected = [(0, QueueState::Started), (1, QueueState::Started), (1004, QueueState::Queued)];
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn the_size_of_arrays_is_read() {
        assert_eq!(array_size_of("Foo = 1\nMaxArraySize            = 1001\nBar = 2"), Some(1001));
        assert_eq!(array_size_of("MaxArraySize = 0"), None);
        assert_eq!(array_size_of("nothing"), None);
    }

    #[test]
    fn the_script_is_the_task_and_options_are_sbatchs() {
        let folder = tempfile::tempdir().expect("a folder");
        let launch = LaunchFolder::create(
            &folder.path().join("it's here"),
            Launched {
                launcher: LauncherKind::Slurm,
                record: "r".to_owned(),
                experiment: "e".to_owned(),
                launched_at_ms: 1,
                settings: TaskSettings::default(),
                tasks: vec![vec![1], vec![2]],
            },
        )
        .expect("made");
        let options = SlurmOptions {
            partition: Some("gpu".to_owned()),
            cpus_per_task: Some(4),
            options: vec!["--exclusive".to_owned()],
            prologue: Some("module load cuda".to_owned()),
            ..SlurmOptions::default()
        };
        let launcher = SlurmLauncher::new(PathBuf::from("/opt/slhf lab"), None, options);
        let place = launch.path().display().to_string().replace('\'', r"'\''");
        assert_eq!(
            launcher.script(&launch, 1001),
            format!(
                "#!/bin/sh\nmodule load cuda\nexec '/opt/slhf lab' task '{place}' \"$((1001 + SLURM_ARRAY_TASK_ID))\"\n"
            )
        );
        let array = Array { offset: 0, indices: BTreeSet::from([0, 1]) };
        let arguments = launcher.arguments(&launch, &array);
        let token = &launch.plan().token;
        for expected in [
            format!("--job-name=slhf-{token}"),
            format!("--comment={token}:0"),
            "--array=0-1".to_owned(),
            "--partition=gpu".to_owned(),
            "--cpus-per-task=4".to_owned(),
            "--exclusive".to_owned(),
        ] {
            assert!(arguments.contains(&expected), "{expected}: {arguments:?}");
        }
    }
}
