//! A tool that makes components, wherever it comes from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::Environment;

/// A tool that makes components, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Componentizer {
    /// Its name and version, as "componentize-py 0.25.1".
    pub name: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

impl Componentizer {
    /// A command that goes on with the tool's own arguments.
    pub fn command(&self, environment: &Environment) -> Command {
        let mut command = environment.command(&self.program);
        command.args(&self.arguments);
        command
    }
}
