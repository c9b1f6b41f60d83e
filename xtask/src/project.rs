//! Where the clone and its built binaries lie, and how cargo and `slhf-lab` are started.

use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use slhf_toolchain::{Environment, libtorch};

use crate::failure::Failure;

/// The variables cargo gives to a program it runs. Handed on to another cargo they would look like
/// changed inputs to some build scripts, and things would be compiled again.
const OF_CARGO_RUN: [&str; 8] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// A clone, and the folder this profile's binaries go to.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The folder of the workspace manifest.
    pub(crate) root: PathBuf,
    /// `target/<profile>`: where this program lies, and its siblings.
    pub(crate) binaries: PathBuf,
    /// What programs started from here see.
    pub(crate) environment: Environment,
}

impl Project {
    /// The clone this program was built from.
    pub(crate) fn open() -> Result<Self, Failure> {
        let process = Environment::of_process();
        let manifest = process.get("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").as_ref());
        let root = Path::new(manifest)
            .parent()
            .filter(|root| root.join("Cargo.toml").exists())
            .ok_or_else(|| Failure::Usage("start this as `cargo xtask` inside a clone of the project".to_owned()))?;
        let program = std::env::current_exe().map_err(Failure::file("find", Path::new("this program")))?;
        let binaries = program.parent().unwrap_or(root).to_owned();
        let mut environment = process.clone().without_prefix("CARGO_PKG_");
        for name in OF_CARGO_RUN {
            environment = environment.without(name);
        }
        Ok(Self { root: root.to_owned(), binaries, environment })
    }

    /// The same, with cargo and all it starts told which libtorch to use.
    pub(crate) fn with_libtorch(mut self, folder: &Path) -> Self {
        self.environment = self.environment.with(libtorch::VARIABLE, folder);
        self
    }

    /// The folder above the profiles: `target`.
    pub(crate) fn target(&self) -> &Path {
        self.binaries.parent().unwrap_or(&self.binaries)
    }

    /// The binary called `name`, built or not.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// A cargo command in the clone, so that its configuration is found.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = self.environment.get("CARGO").unwrap_or("cargo".as_ref());
        let mut command = self.environment.command(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A `slhf-lab` command in the clone.
    pub(crate) fn slhf_lab(&self, arguments: &[&str]) -> Command {
        let mut command = self.environment.command(self.binary("slhf-lab"));
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Builds `slhf-lab` and `slhf-lab-worker` side by side; silent when there is nothing to do.
    ///
    /// The whole workspace is named, not the two packages: so the features of shared dependencies are
    /// those of plain `cargo build` and `cargo test`, and nothing is compiled twice.
    pub(crate) fn build_binaries(&self) -> Result<(), Failure> {
        let mut command = self.cargo(&["build", "--workspace", "--bin", "slhf-lab", "--bin", "slhf-lab-worker"]);
        if io::stderr().is_terminal() {
            command.args(["--color", "always"]);
        }
        let mut child = command
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::Failed(format!("cannot start cargo: {error}")))?;
        for line in child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
            let line = line.unwrap_or_default();
            if !line.contains("Finished") {
                say(&line);
            }
        }
        let status = child.wait().map_err(|error| Failure::Failed(format!("lost sight of cargo: {error}")))?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::Failed("slhf-lab and its worker did not build: the compiler's words are above".to_owned()))
        }
    }
}

/// Runs a command whose words go to stderr (stdout belongs to others); `sentence` says what it failed at.
pub(crate) fn run(command: &mut Command, sentence: &str) -> Result<(), Failure> {
    let status = command
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(|error| Failure::Failed(format!("cannot start `{}`: {error}", name_of(command))))?;
    if status.success() { Ok(()) } else { Err(Failure::Failed(format!("{sentence} ({status})"))) }
}

/// Runs a command for what it prints; its complaints go to stderr.
pub(crate) fn output_of(command: &mut Command, sentence: &str) -> Result<String, Failure> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::Failed(format!("cannot start `{}`: {error}", name_of(command))))?;
    if !output.status.success() {
        return Err(Failure::Failed(format!("{sentence} ({})", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::Failed(format!("{sentence}: it printed no UTF-8")))
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Prints a line to stderr. Nobody left to read it is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
