//! A record whose runs were stopped in the middle, and what is in folders.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use slhf_tests::Lab;

use crate::watched::{self, Watched, experiment};

/// Rows after which every run has several checkpoints.
const ROWS: u64 = 2500;

/// `game.toml`, stopped with Ctrl-C when some checkpoints were written. Made once; every test gets its own copy.
pub(crate) fn stopped() -> Lab {
    static STOPPED: OnceLock<Lab> = OnceLock::new();
    let original = STOPPED.get_or_init(|| {
        let lab = Lab::new();
        lab.write("game.toml", experiment(watched::Path::Scalar));
        let mut watched = Watched::start(&lab, &["run", "game.toml"]);
        assert!(watched.wait_for_new_rows(ROWS), "the run is long enough to be stopped");
        watched.signal("INT");
        assert_eq!(watched.wait().code, Some(130));
        drop(watched);
        lab
    });
    let lab = Lab::new();
    copy_folder(&original.folder(), &lab.folder());
    lab
}

/// What an uninterrupted run computes.
pub(crate) fn uninterrupted() -> &'static str {
    static NUMBERS: OnceLock<String> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let lab = Lab::new();
        lab.write("game.toml", experiment(watched::Path::Scalar));
        let _ = lab.run(&["run", "game.toml"]).success();
        numbers_of(&lab, "lab.db")
    })
}

/// A query's rows.
pub(crate) fn json(lab: &Lab, db: &str, sql: &str) -> serde_json::Value {
    lab.run(&["query", sql, "--format", "json", "--db", db]).json()
}

/// Every number of the first execution in a record.
pub(crate) fn numbers_of(lab: &Lab, db: &str) -> String {
    let by_run = "r.cell, r.seed FROM runs r JOIN";
    [
        format!("SELECT m.step, m.key, m.value, m.non_finite, {by_run} metrics m ON m.run = r.run WHERE r.execution = 1 ORDER BY 5, 6, 1, 2"),
        format!("SELECT s.*, {by_run} schedules s ON s.run = r.run WHERE r.execution = 1 ORDER BY r.cell, r.seed, s.step"),
        format!("SELECT e.step, e.name, e.subject, e.value, {by_run} evaluations e ON e.run = r.run WHERE r.execution = 1 ORDER BY 5, 6, 1, 2, 3"),
    ]
    .iter()
    .map(|sql| lab.run(&["query", sql, "--format", "csv", "--db", db]).success())
    .collect()
}

/// Files below a folder, with what they hold; links and pipes are left out.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.insert(entry.path(), fs::read(entry.path()).expect("a file"));
        }
    }
    found
}

/// `cp -r`
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from.join(".")).arg(to).status().expect("cp");
    assert!(status.success());
}

/// As `sha256sum` prints it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum");
    child.stdin.take().expect("piped").write_all(bytes).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("text")[..64].to_owned()
}
