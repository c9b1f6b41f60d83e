// Shared by the build scripts of `slhf-lab` and `slhf-lab-worker`: the hash of the sources a worker is built from. At
// their handshake the two compare it, so that a worker left over from other sources is refused.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};

/// The worker and everything of the project it is made of, relative to the root; a new dependency of the worker on a
/// room of the house belongs here.
const SOURCES: [&str; 14] = [
    "Cargo.lock",
    "host/worker/src",
    "host/learn/src",
    "host/policy/src",
    "host/model/src",
    "host/torch-shim/src",
    "host/torch-shim/build.rs",
    "host/judge/src",
    "host/data/src",
    "host/plan/src",
    "host/game/src",
    "host/statistics/src",
    "host/random/src",
    "sdk/wit",
];

/// Sets `SLHF_BUILD_ID` for the package that is being built. Both callers lie two folders below the root.
pub(crate) fn emit() {
    let root = Path::new("../..");
    println!("cargo::rerun-if-changed=../worker/build_id.rs");
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        let path = root.join(source);
        println!("cargo::rerun-if-changed={}", path.display());
        add(&path, &mut hasher);
    }
    println!("cargo::rustc-env=SLHF_BUILD_ID={:016x}", hasher.finish());
}

/// Adds names and contents, in an order that does not depend on the file system.
fn add(path: &Path, hasher: &mut DefaultHasher) {
    if path.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            add(&path, hasher);
        }
    } else if let Ok(content) = fs::read(path) {
        hasher.write(path.as_os_str().as_encoded_bytes());
        hasher.write_usize(content.len());
        hasher.write(&content);
    }
}
