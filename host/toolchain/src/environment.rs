//! The environment variables a search looks at, as a value: so that a test can give its own, and a
//! caller can leave one out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::Error;

/// A set of environment variables. Programs started through it see exactly these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// The same with `name` set to `value`.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same without `name`.
    #[must_use]
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// The same without the variables whose names start with `prefix`.
    #[must_use]
    pub fn without_prefix(mut self, prefix: &str) -> Self {
        self.variables.retain(|name, _| !name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        self
    }

    /// The value of a variable; one that is set to nothing counts as unset.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The first executable file called `name` on `PATH`; a name with a slash is taken as it is.
    pub fn program(&self, name: impl AsRef<OsStr>) -> Option<PathBuf> {
        let name = name.as_ref();
        if Path::new(name).components().count() > 1 {
            return Some(PathBuf::from(name)).filter(|path| is_executable(path));
        }
        let path = self.get("PATH")?;
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| is_executable(candidate))
    }

    /// A command that sees this environment and has no input to wait for.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What a failed command is reported as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    /// What it does, as the start of a sentence: "fetching torch 2.11.0".
    pub doing: &'a str,
    /// What to try when it fails.
    pub mend: &'a str,
}

/// Runs a command to its end; its stdout when it succeeded, else one sentence.
pub(crate) fn run(command: &mut Command, task: Task<'_>) -> Result<String, Error> {
    let output = command.output().map_err(|source| not_started(command, source))?;
    succeeded(&output, task)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Turns a program's failure into one sentence.
pub(crate) fn succeeded(output: &Output, task: Task<'_>) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::ProgramFailed {
        doing: task.doing.to_owned(),
        status: output.status.to_string(),
        said: telling_line(&said).to_owned(),
        mend: task.mend.to_owned(),
    })
}

pub(crate) fn not_started(command: &Command, source: io::Error) -> Error {
    Error::NotStarted { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// The line of a program's complaint that tells most: the first that is marked as an error, else the
/// last that is not empty.
fn telling_line(said: &str) -> &str {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_marked = |line: &&str| {
        // pip and apt begin with the mark; compilers put their own name or a place before it.
        line.starts_with("ERROR:") || line.starts_with("E:") || line.starts_with("error") || line.contains("error: ")
    };
    lines().find(is_marked).or_else(|| lines().next_back()).unwrap_or("it printed nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_set_to_nothing_counts_as_unset() {
        let environment = Environment::default().with("LIBTORCH", "").with("HOME", "/h");
        assert_eq!(environment.get("LIBTORCH"), None);
        assert_eq!(environment.get("HOME"), Some(OsStr::new("/h")));
        assert_eq!(environment.clone().without_prefix("HO").get("HOME"), None);
        assert_eq!(environment.without("HOME").get("HOME"), None);
    }

    #[test]
    fn programs_are_executable_files_on_the_path() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").expect("file");
        let environment = Environment::default().with(
            "PATH",
            std::env::join_paths([folder.path(), Path::new("/bin"), Path::new("/usr/bin")])
                .expect("no colon in the paths"),
        );
        assert_eq!(environment.program("plain"), None, "not executable");
        assert!(environment.program("sh").is_some());
        assert_eq!(environment.program("/bin/sh"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(Environment::default().program("sh"), None, "no PATH");
    }

    #[test]
    fn a_failed_program_is_one_sentence() {
        let check = |script: &str, expect: &str| {
            let mut command = Environment::default().command("/bin/sh");
            let task = Task { doing: "fetching torch", mend: "try again" };
            let error = run(command.args(["-c", script]), task).expect_err("it fails");
            assert_eq!(error.to_string(), expect);
        };
        check(
            "echo warning >&2; echo 'ERROR: no such version' >&2; echo trailer >&2; exit 3",
            "fetching torch failed (exit status: 3): ERROR: no such version; try again",
        );
        check("echo first >&2; echo last >&2; exit 1", "fetching torch failed (exit status: 1): last; try again");
        check(
            "echo 'c++: fatal error: no as' >&2; echo 'compilation terminated.' >&2; exit 1",
            "fetching torch failed (exit status: 1): c++: fatal error: no as; try again",
        );
        check("exit 1", "fetching torch failed (exit status: 1): it printed nothing; try again");
    }
}
