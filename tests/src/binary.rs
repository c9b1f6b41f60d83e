//! Where the built things lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The repository's root.
///
/// # Panics
/// When the crate was moved out of it.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// The folder of preference data beside the repository, where there is one: tests that need it say so and skip.
#[must_use]
pub fn shared_data() -> Option<PathBuf> {
    let folder = repository().parent()?.join("shared").join("data");
    folder.is_dir().then_some(folder)
}

/// `slhf-lab`, built and up to date.
///
/// # Panics
/// When it is missing or older than its sources; the message names the command that builds it.
#[must_use]
pub fn lab_binary() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| built("slhf-lab")).clone()
}

/// `slhf-lab-worker`, built and up to date.
///
/// # Panics
/// As [`lab_binary`].
#[must_use]
pub fn worker_binary() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| built("slhf-lab-worker")).clone()
}

/// The folder of the shipped plugins.
///
/// # Panics
/// When they were not built.
#[must_use]
pub fn plugins_folder() -> PathBuf {
    let folder = target_folder().join("plugins");
    assert!(folder.is_dir(), "{} is missing; build the plugins: cargo xtask guests", folder.display());
    folder
}

/// `target/<profile>`: the test's own executable lies in its `deps`.
fn profile_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("the test's own path");
    executable.ancestors().nth(2).expect("target/<profile>/deps").to_path_buf()
}

/// `target`.
pub(crate) fn target_folder() -> PathBuf {
    profile_folder().parent().expect("target").to_path_buf()
}

/// Compiled components, kept from test to test.
pub(crate) fn shared_cache() -> PathBuf {
    target_folder().join("tests-cache")
}

fn built(name: &str) -> PathBuf {
    let path = profile_folder().join(name);
    let command = "cargo build --workspace --bins";
    let Some(built) = modified(&path) else { panic!("{} is not built: {command}", path.display()) };
    if let Some(source) = newer_source(&path, built) {
        panic!("{} is older than {}: {command}", path.display(), source.display());
    }
    path
}

/// A source of the binary that changed since it was built, by cargo's own list of them (`<binary>.d`). A test of a
/// stale binary tells nothing.
fn newer_source(binary: &Path, built: SystemTime) -> Option<PathBuf> {
    let list = fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let sources = sources.replace("\\ ", "\0");
    sources
        .split_whitespace()
        .map(|source| PathBuf::from(source.replace('\0', " ")))
        .find(|source| source.is_file() && modified(source).is_some_and(|changed| changed > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
