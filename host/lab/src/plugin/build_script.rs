//! From Python or JavaScript to a component, with a tool of other people that the lab fetches.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use slhf_judge::FileFault;
use slhf_toolchain::{Environment, Language as Tool, componentizer};
use thiserror::Error;

use super::component::{self, ComponentError, Written};
use super::kind::Language;
use super::project::Project;
use crate::output;

/// Why there is no component.
#[derive(Debug, Error)]
pub(crate) enum ScriptError {
    /// The tool is not there and cannot be fetched.
    #[error(transparent)]
    Tool(#[from] slhf_toolchain::Error),
    /// A file of the plugin is missing.
    #[error("{} is not there: {what}; `slhf-lab plugin new` writes it", path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The tool refused.
    #[error("{} did not become a component ({status}): the messages of {tool} are above", folder.display())]
    NotMade {
        /// The plugin's folder.
        folder: PathBuf,
        /// Name and version.
        tool: &'static str,
        /// How the tool ended.
        status: ExitStatus,
    },
    /// It made something else.
    #[error("what {tool} made of {} is no plugin: it {fault}", folder.display())]
    NoPlugin {
        /// The plugin's folder.
        folder: PathBuf,
        /// Name and version.
        tool: &'static str,
        /// The rest of the sentence.
        fault: FileFault,
    },
    /// The component cannot be put in its place.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A file operation.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Makes the component of the plugin in `folder` and puts it at `target`, all or nothing.
pub(crate) fn build(folder: &Path, project: &Project, target: &Path) -> Result<Written, ScriptError> {
    let wit = folder.join("wit");
    if !wit.is_dir() {
        return Err(ScriptError::Missing { path: wit, what: "the folder of the contract, lab.wit" });
    }
    // A backtrace of the tool's own is nothing that helps.
    let environment = Environment::of_process().without("RUST_BACKTRACE").without("RUST_LIB_BACKTRACE");
    let (language, entry) = match project.language {
        Language::JavaScript => (Tool::JavaScript, "plugin.js"),
        Language::Python | Language::Rust => (Tool::Python, "plugin.py"),
    };
    if !folder.join(entry).is_file() {
        return Err(ScriptError::Missing { path: folder.join(entry), what: "it hands the lab's calls to the plugin" });
    }
    let tool = componentizer(language, &environment, &mut |line| output::say(line))?;
    let scratch = tempfile::tempdir().map_err(|source| ScriptError::File {
        action: "make a temporary folder in",
        path: std::env::temp_dir(),
        source,
    })?;
    let made = scratch.path().join("plugin.wasm");
    let mut command = tool.command(&environment);
    command.current_dir(folder);
    match language {
        Tool::Python => of_python(&mut command, project, &made),
        Tool::JavaScript => of_javascript(&mut command, project, &made),
    }
    run(&mut command, folder, tool.name)?;
    let bytes = slhf_files::read(&made, slhf_judge::FILE_BYTES_MAX).map_err(|source| ScriptError::File {
        action: "read what was made,",
        path: made.clone(),
        source,
    })?;
    slhf_judge::inspect(&bytes).and_then(|inspection| inspection.check()).map_err(|fault| ScriptError::NoPlugin {
        folder: folder.to_owned(),
        tool: tool.name,
        fault,
    })?;
    Ok(component::put(&bytes, target)?)
}

fn of_python(command: &mut Command, project: &Project, made: &Path) {
    command
        .args(["--quiet", "--wit-path", "wit", "--world", &project.world])
        // What would need a machine traps: a plugin has none.
        .args(["componentize", "--stub-wasi", "--python-path", ".", "--output"])
        .arg(made)
        .arg("plugin");
}

fn of_javascript(command: &mut Command, project: &Project, made: &Path) {
    command
        .args(["--wit", "wit", "--world", &project.world, "--js", "plugin.js"])
        // Likewise; and calls come back before they return.
        .args(["--stub-wasi", "--sync", "--output"])
        .arg(made);
}

/// Runs the tool; what it says is shown where it fails.
fn run(command: &mut Command, folder: &Path, tool: &'static str) -> Result<(), ScriptError> {
    output::say(format_args!("{tool} makes a component of {} (some seconds)", folder.display()));
    let program = PathBuf::from(command.get_program());
    let ended = command.output().map_err(|source| ScriptError::File { action: "start", path: program, source })?;
    if ended.status.success() {
        return Ok(());
    }
    output::say(String::from_utf8_lossy(&ended.stderr).trim_end());
    Err(ScriptError::NotMade { folder: folder.to_owned(), tool, status: ended.status })
}
