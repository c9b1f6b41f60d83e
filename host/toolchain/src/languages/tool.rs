//! A tool that makes components, and the languages that need one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::Environment;

/// A language whose plugins are made by a tool that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// By componentize-py: `CPython` and the plugin's modules, initialized, in one component.
    Python,
    /// By componentize-qjs: `QuickJS` likewise.
    JavaScript,
}

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
