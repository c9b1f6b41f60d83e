//! `slhf-lab plugin build`: sources to components. Rust with whichever compiler for WebAssembly is there; Python and JavaScript with a
//! tool that is fetched.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;
use serde::Deserialize;
use slhf_toolchain::{Environment, wasm};
use thiserror::Error;

use super::build_script::{self, ScriptError};
use super::component::{self, ComponentError, Written};
use super::packages::{self, Package, PackageError};
use super::project::Project;
use crate::failure::Failure;

/// Arguments of `plugin build`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folders of plugins' sources
    #[arg(value_name = "FOLDER", default_value = ".")]
    folders: Vec<PathBuf>,
    /// Where NAME.wasm is put; by default each plugin's own folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Why a plugin was not built.
#[derive(Debug, Error)]
enum BuildError {
    #[error(
        "no Rust compiler here has the target {}: run `rustup target add {}`, or `cargo xtask setup` in the repository of slhf-lab, or name one in {}",
        wasm::TARGET,
        wasm::TARGET,
        wasm::VARIABLE
    )]
    NoCompiler,
    #[error("cannot run cargo")]
    Cargo(#[source] std::io::Error),
    #[error("{} did not compile ({status}): the compiler's messages are above", names.join(", "))]
    NotCompiled { names: Vec<String>, status: ExitStatus },
    #[error("cargo built {name} and did not say where its module lies")]
    NoModule { name: String },
}

/// Builds every plugin named, and prints where each lies.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut crates = Vec::new();
    let mut scripts = Vec::new();
    for folder in &arguments.folders {
        match Project::of(folder).map_err(Failure::bad_input)? {
            Some(project) => scripts.push((folder, project)),
            None => crates.push(folder.clone()),
        }
    }
    if !crates.is_empty() {
        build_crates(&crates, arguments.out.as_deref())?;
    }
    for (folder, project) in scripts {
        let target = arguments.out.as_deref().unwrap_or(folder).join(format!("{}.wasm", project.name));
        let written = build_script::build(folder, &project, &target).map_err(script_failure)?;
        print(&written).map_err(Failure::failed)?;
    }
    Ok(())
}

fn build_crates(folders: &[PathBuf], out: Option<&Path>) -> Result<(), Failure> {
    let environment = guest_environment();
    let compiler = wasm::find(&environment)
        .map_err(Failure::bad_input)?
        .ok_or_else(|| Failure::bad_input(BuildError::NoCompiler))?;
    let workspaces = packages::by_workspace(folders, || compiler.cargo(&environment)).map_err(package_failure)?;
    for (root, packages) in &workspaces {
        let modules = compile(root, packages, compiler.cargo(&environment)).map_err(Failure::failed)?;
        for package in packages {
            let missing = || Failure::failed(BuildError::NoModule { name: package.name.clone() });
            let module = modules.get(&package.manifest).ok_or_else(missing)?;
            let target = out.unwrap_or(&package.folder).join(format!("{}.wasm", package.name));
            let written = component::write(module, &target).map_err(component_failure)?;
            print(&written).map_err(Failure::failed)?;
        }
    }
    Ok(())
}

fn script_failure(error: ScriptError) -> Failure {
    match error {
        ScriptError::NotMade { .. } | ScriptError::Component(_) | ScriptError::File { .. } => Failure::failed(error),
        _ => Failure::bad_input(error),
    }
}

/// Guests have a target folder of their own: the house's is another target's, and may be locked by who called us.
fn guest_environment() -> Environment {
    Environment::of_process().without("CARGO_TARGET_DIR").without("CARGO_BUILD_TARGET_DIR").without("CARGO_MAKEFLAGS")
}

fn package_failure(error: PackageError) -> Failure {
    Failure::bad_input(error)
}

fn component_failure(error: ComponentError) -> Failure {
    Failure::failed(error)
}

/// One line of what cargo says in JSON.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum CargoMessage {
    CompilerArtifact {
        manifest_path: PathBuf,
        filenames: Vec<PathBuf>,
    },
    #[serde(other)]
    Other,
}

/// Compiles packages of one workspace; returns each module by its package's manifest.
fn compile(root: &Path, packages: &[Package], mut cargo: Command) -> Result<BTreeMap<PathBuf, PathBuf>, BuildError> {
    cargo
        .args(["build", "--release", "--target", wasm::TARGET, "--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    for package in packages {
        cargo.arg("--package").arg(&package.name);
    }
    let mut child = cargo.spawn().map_err(BuildError::Cargo)?;
    let mut modules = BTreeMap::new();
    if let Some(said) = child.stdout.take() {
        for line in BufReader::new(said).lines() {
            let line = line.map_err(BuildError::Cargo)?;
            // Lines that are not cargo's own (a build script's, say) are nobody's business here.
            let Ok(CargoMessage::CompilerArtifact { manifest_path, filenames }) = serde_json::from_str(&line) else {
                continue;
            };
            let is_module = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
            if let Some(module) = filenames.into_iter().find(is_module) {
                modules.insert(manifest_path, module);
            }
        }
    }
    let status = child.wait().map_err(BuildError::Cargo)?;
    if status.success() {
        Ok(modules)
    } else {
        let names = packages.iter().map(|package| package.name.clone()).collect();
        Err(BuildError::NotCompiled { names, status })
    }
}

/// Path, size and hash on one line.
fn print(written: &Written) -> std::io::Result<()> {
    let Written { path, size_bytes, sha256 } = written;
    writeln!(std::io::stdout().lock(), "{}  {} KiB  sha256 {sha256}", path.display(), size_bytes.div_ceil(1024))
}
