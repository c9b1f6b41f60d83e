//! What this binary was built from: the worker's build id, the commit, the compiler, the libraries that matter.

use std::path::Path;
use std::process::Command;

#[path = "../worker/build_id.rs"]
mod build_id;

/// Libraries whose version can change a number or a verdict.
const LIBRARIES: [&str; 5] = ["tch", "wasmtime", "sqlx", "libsqlite3-sys", "postcard"];

fn main() {
    build_id::emit();
    let root = Path::new("../..");
    for watched in ["host", "sdk/wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    // Git's own files are not watched: what counts is the commit, and whether there were changes, when this was built.
    let commit = output("git", &["rev-parse", "HEAD"]).unwrap_or_default();
    let dirty = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    let dirty = dirty.map(|lines| (!lines.is_empty()).to_string()).unwrap_or_default();
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    println!("cargo::rustc-env=SLHF_SOURCE_COMMIT={commit}");
    println!("cargo::rustc-env=SLHF_SOURCE_DIRTY={dirty}");
    println!("cargo::rustc-env=SLHF_RUSTC_VERSION={}", output(&compiler, &["--version"]).unwrap_or_default());
    println!("cargo::rustc-env=SLHF_LIBRARY_VERSIONS={}", library_versions(&root.join("Cargo.lock")));
}

/// `name=version`, joined by commas, from the lock file.
fn library_versions(lock: &Path) -> String {
    let lock = std::fs::read_to_string(lock).unwrap_or_default();
    let version_of = |library: &&str| {
        let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("\nname = \"{library}\"\n")))?;
        let version = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
        Some(format!("{library}={}", version.trim_end_matches('"')))
    };
    LIBRARIES.iter().filter_map(version_of).collect::<Vec<_>>().join(",")
}

/// What a program prints, or `None` where it is missing or fails (a source archive without git is fine).
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    // Without the lock git leaves the index as it is; writing it would make cargo run this script again.
    let output = Command::new(program).args(arguments).env("GIT_OPTIONAL_LOCKS", "0").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
