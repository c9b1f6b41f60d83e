//! A rustc that has the target, and the folders that it looks in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::{Task, run};
use crate::{Environment, Error};

/// The target of every guest. Not a WASI one: those import the system as soon as `std` is used.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The variable that names a compiler with that target.
pub const VARIABLE: &str = "SLHF_LAB_WASM_RUSTC";

/// A `rustc` that has the standard library of [`TARGET`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmCompiler {
    /// The compiler, as cargo's `RUSTC` takes it.
    pub rustc: PathBuf,
    /// Where it was found.
    pub source: Source,
}

/// Where a compiler was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The variable `SLHF_LAB_WASM_RUSTC`.
    Variable,
    /// The active toolchain has the target.
    ActiveToolchain,
    /// The cache folder, where an installation put Debian's.
    Cache,
}

impl WasmCompiler {
    /// A cargo command that compiles with this compiler, for guests: what the environment says about the
    /// host's compiler, flags and target is removed, since it would break or change guests. The caller
    /// adds `build --release --target wasm32-unknown-unknown` and where.
    pub fn cargo(&self, environment: &Environment) -> Command {
        let cargo = environment.get("CARGO").unwrap_or("cargo".as_ref());
        let mut command = environment.command(cargo);
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_RUSTC",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        ] {
            command.env_remove(name);
        }
        command.env("RUSTC", &self.rustc);
        command
    }
}

/// The compiler that plain cargo would use.
pub(super) fn active_rustc(environment: &Environment) -> Option<PathBuf> {
    environment.program(environment.get("RUSTC").unwrap_or("rustc".as_ref()))
}

/// The folder in which `rustc` would look for the target's standard library. It answers also when the
/// target is absent.
pub(super) fn target_library(environment: &Environment, rustc: &Path) -> Result<PathBuf, Error> {
    ask(environment, rustc, &["--print", "target-libdir", "--target", TARGET])
}

/// The folder of a toolchain.
pub(super) fn sysroot(environment: &Environment, rustc: &Path) -> Result<PathBuf, Error> {
    ask(environment, rustc, &["--print", "sysroot"])
}

fn ask(environment: &Environment, rustc: &Path, arguments: &[&str]) -> Result<PathBuf, Error> {
    let task = Task { doing: "asking rustc for its folders", mend: "check that `rustc --version` works" };
    let said = run(environment.command(rustc).args(arguments), task)?;
    Ok(PathBuf::from(said.trim()))
}

pub(super) fn has_standard_library(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        })
    })
}
