//! Drives the real `slhf-lab` as a user does: a scratch folder, a clean environment, and what came of it as text.
//!
//! A snapshot test reads like documentation:
//!
//! ```no_run
//! let lab = slhf_tests::Lab::new();
//! lab.write("game.csv", "a,b\n0.5,0.9\n0.1,0.5\n");
//! insta::assert_snapshot!("solve_two_actions", lab.run(&["solve", "game.csv"]));
//! ```
//!
//! Without `cargo-insta`, `INSTA_UPDATE=always cargo test -p slhf-tests --test NAME` writes the snapshots; read the
//! diff before committing it.

#![expect(clippy::panic, reason = "a helper of tests fails a test by panicking, with the reason")]

mod binary;
mod browser;
mod experiments;
mod normal;
mod page_server;
mod pages;
mod processes;
mod random;
mod server;
mod slurm;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub use binary::{lab_binary, plugins_folder, repository, shared_data, worker_binary};
pub use browser::{browser_packages, chromium};
pub use experiments::{Found, GAME_EVALUATIONS, disturbed_game, disturbed_language_model};
pub use page_server::{PageServer, Reply};
pub use pages::{Block, Network, blocks, shell};
pub use processes::{children, is_gone, send, tasks_of_launches, worker_of};
pub use random::Random;
pub use server::{Call, ChoosingServer, Loopback};
pub use slurm::Slurm;

/// A scratch folder in which verbs run, with an environment of its own. Gone when it is dropped.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    home: TempDir,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    /// An empty folder.
    ///
    /// # Panics
    /// When the system has no room for temporary files.
    #[must_use]
    pub fn new() -> Self {
        let folder = || tempfile::Builder::new().prefix("slhf-tests-").tempdir().expect("a temporary folder");
        Self { folder: folder(), home: folder() }
    }

    /// The folder, as the operating system names it.
    ///
    /// # Panics
    /// When the folder was removed.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the scratch folder exists")
    }

    /// A path inside the folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file into the folder, making the folders on the way.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
        fs::write(&path, content).expect("the file can be written");
        path
    }

    /// Reads a file of the folder as text.
    ///
    /// # Panics
    /// When it is not there or not text.
    #[must_use]
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Copies a shipped experiment with everything in `experiments/data/` into the folder; returns the TOML's path.
    ///
    /// # Panics
    /// When there is no such experiment.
    pub fn shipped_experiment(&self, name: &str) -> PathBuf {
        let experiments = repository().join("experiments");
        self.copy(&experiments.join("data"), Path::new("data"));
        let toml = fs::read(experiments.join(name)).unwrap_or_else(|error| panic!("experiments/{name}: {error}"));
        self.write(name, toml)
    }

    /// Everything in a folder, under another name.
    fn copy(&self, from: &Path, to: &Path) {
        for entry in fs::read_dir(from).expect("a folder").flatten() {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                self.copy(&from, &to);
            } else {
                self.write(to, fs::read(from).expect("a data file"));
            }
        }
    }

    /// `slhf-lab` with these arguments, in the folder, with a clean environment, not started yet: for tests that send
    /// signals, set variables or feed it something.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(lab_binary());
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null()).env_clear();
        for kept in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        // Compiled components may be shared by all tests; everything else a verb keeps is this test's own.
        command
            .env("HOME", self.home.path())
            .env("XDG_CACHE_HOME", binary::shared_cache())
            .env("COLUMNS", "120")
            .env("TERM", "dumb");
        command
    }

    /// Runs a verb to its end.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.outcome(&mut self.command(arguments))
    }

    /// Runs a prepared command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn outcome(&self, command: &mut Command) -> Outcome {
        let output =
            command.output().unwrap_or_else(|error| panic!("{} cannot be started: {error}", lab_binary().display()));
        self.outcome_of(
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// What came of a verb that a test started itself, to signal or kill it.
    #[must_use]
    pub fn outcome_of(&self, code: Option<i32>, stdout: String, stderr: String) -> Outcome {
        Outcome {
            code,
            stdout,
            stderr,
            folders: vec![
                (self.folder(), "[FOLDER]"),
                (self.home.path().to_path_buf(), "[HOME]"),
                (binary::shared_cache(), "[CACHE]"),
                (binary::target_folder(), "[TARGET]"),
                (repository(), "[REPOSITORY]"),
            ],
        }
    }
}

/// What came of a verb. Its `Display` is what a snapshot pins: exit code, stdout, stderr, with paths, times and hashes
/// replaced by their names.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// As printed.
    pub stdout: String,
    /// As printed.
    pub stderr: String,
    folders: Vec<(PathBuf, &'static str)>,
}

impl Outcome {
    /// Asserts success and returns stdout.
    ///
    /// # Panics
    /// When the exit code is not 0.
    #[must_use]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "the verb failed:\n{self}");
        self.stdout
    }

    /// Asserts success and reads stdout as JSON.
    ///
    /// # Panics
    /// When the exit code is not 0 or stdout is not JSON.
    #[must_use]
    pub fn json(self) -> serde_json::Value {
        let text = self.success();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("stdout is no JSON ({error}):\n{text}"))
    }

    /// Text with paths, times and hashes replaced by their names.
    #[must_use]
    pub fn normal(&self, text: &str) -> String {
        normal::normal(text, &self.folders)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(formatter, "exit code: {code}")?,
            None => writeln!(formatter, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            write!(formatter, "----- {name} -----\n{}", self.normal(text))?;
            if !text.is_empty() && !text.ends_with('\n') {
                writeln!(formatter, " (no newline at the end)")?;
            }
        }
        Ok(())
    }
}

/// Puts an executable copy of `from` at `to`, making folders on the way.
///
/// By a process of its own: a file that this process had open for writing would be open in every child that another
/// test starts at that moment, and the kernel runs no program that somebody can still write ("Text file busy").
///
/// # Panics
/// When it cannot be copied.
pub fn install_program(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-D", "-m", "755"]).arg(from).arg(to).status();
    let status = status.unwrap_or_else(|error| panic!("`install` cannot be started: {error}"));
    assert!(status.success(), "{} could not be installed as {}", from.display(), to.display());
}

/// Puts a tiny language model with random weights into the lab's folder, under that name.
///
/// # Panics
/// When it cannot be copied.
pub fn tiny_model(lab: &Lab, name: &str) {
    copy_model(lab, "llama-tied", name);
}

/// Puts a tiny reward model with random weights and one head, `reward`, into the lab's folder, under that name.
///
/// # Panics
/// When it cannot be copied.
pub fn reward_model(lab: &Lab, name: &str) {
    copy_model(lab, "rewards/llama", name);
}

/// One of four values likewise: `LABEL_0` to `LABEL_3`, as a general-preference head of two blocks has.
///
/// # Panics
/// When it cannot be copied.
pub fn reward_model_of_four(lab: &Lab, name: &str) {
    copy_model(lab, "rewards/llama-scaled", name);
    // It has no tokenizer of its own.
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        let from = repository().join("host/policy/tests/fixtures/rewards/llama").join(file);
        lab.write(Path::new(name).join(file), fs::read(from).expect("a file"));
    }
}

fn copy_model(lab: &Lab, fixture: &str, name: &str) {
    let model = repository().join("host/policy/tests/fixtures").join(fixture);
    for entry in fs::read_dir(model).expect("the fixture").flatten() {
        lab.write(Path::new(name).join(entry.file_name()), fs::read(entry.path()).expect("a file"));
    }
}

/// A lab with the tiny model as `tiny`, twelve questions as `prompts.jsonl`, and an experiment as `tiny.toml`.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn language_lab(experiment: &str) -> Lab {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let prompts: Vec<String> = (0..12).map(|number| format!("{{\"prompt\": \"Count to {number}.\"}}\n")).collect();
    lab.write("prompts.jsonl", prompts.concat());
    lab.write("tiny.toml", experiment);
    lab
}
