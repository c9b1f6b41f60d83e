//! A real browser for tests and benchmarks of `slhf-lab ui`, and the packages that drive it.

use std::path::PathBuf;
use std::process::Command;

use crate::repository;

const CHROMIUMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The name of a Chromium on the `PATH`.
///
/// # Panics
/// There is none.
#[must_use]
pub fn chromium() -> String {
    let search = format!("command -v {}", CHROMIUMS.join(" || command -v "));
    let output = Command::new("sh").args(["-c", &search]).output().expect("a shell");
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!found.is_empty(), "no Chromium is on the PATH; Debian's is `apt-get install chromium`");
    found
}

/// A folder of the target with our scripts and the packages that they need, fetched once.
///
/// # Panics
/// npm cannot fetch them.
#[must_use]
pub fn browser_packages() -> PathBuf {
    let folder = repository().join("target/browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    for file in ["package.json", "package-lock.json", "ui.mjs", "speed.mjs"] {
        let _ = std::fs::copy(repository().join("tests/browser").join(file), folder.join(file)).expect("copied");
    }
    if !folder.join("node_modules/.package-lock.json").exists() {
        let status = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).status();
        assert!(status.expect("npm starts").success(), "npm cannot fetch playwright-core and axe-core");
    }
    folder
}
