//! Processes that a lab has started.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Whoever tells it to go is gone within it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Processes whose parent it is: workers, and whoever reads files of others.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    let of = |entry: fs::DirEntry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        (stat(process)?.1 == Some(parent)).then_some(process)
    };
    fs::read_dir("/proc").map(|entries| entries.flatten().filter_map(of).collect()).unwrap_or_default()
}

/// Processes that compute tasks of launches in a folder, whoever started them.
///
/// # Panics
/// Where there is no `/proc`.
#[must_use]
pub fn tasks_of_launches(folder: &Path) -> Vec<u32> {
    let folder = folder.display().to_string();
    let of = |entry: fs::DirEntry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let is_task = words.get(1).is_some_and(|verb| verb == "task")
            && words.get(2).is_some_and(|launch| launch.starts_with(&folder));
        is_task.then_some(process)
    };
    fs::read_dir("/proc").expect("listed").flatten().filter_map(of).collect()
}

/// The worker of a lab, if it has one.
#[must_use]
pub fn worker_of(lab: u32) -> Option<u32> {
    let is_worker = |process: &u32| {
        fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim_end() == "slhf-lab-worker")
    };
    children(lab).into_iter().find(is_worker)
}

/// Sends a signal to a process that may have ended by itself in the meantime. std has none but SIGKILL to its own children.
pub fn send(signal: &str, process: u32) {
    let _ = Command::new("sh").args(["-c", &format!("kill -{signal} {process} 2>/dev/null")]).status();
}

/// Waits, not for ever, until a process is gone.
#[must_use]
pub fn is_gone(process: u32) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if matches!(stat(process).as_ref().map(|(state, _)| state.as_str()), None | Some("Z" | "X")) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// State and parent.
fn stat(process: u32) -> Option<(String, Option<u32>)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next().and_then(|parent| parent.parse().ok())))
}
