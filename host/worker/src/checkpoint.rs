//! Checkpoint files: one a group and step, holding the states of its live runs.
//!
//! Layout: two lines that say what it is ([`CheckpointHeader`]), then the runs and their states in postcard. A file is either
//! whole or not there, also where the worker is killed as it writes ([`slhf_files::replace`]). None is ever removed
//! here: that is the lab's to do, once it has read a newer one back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use slhf_files::sha256_hex;
use slhf_plan::{CheckpointHeader, CheckpointKind, CheckpointStart, CheckpointWritten, ResumePoint};

use crate::error::WorkerError;

/// Writes the states of runs at `step` into `directory`.
pub(crate) fn write(
    directory: &Path,
    holds: CheckpointKind,
    step: u64,
    states: &[(i64, Vec<u8>)],
    plugin_output_bytes: BTreeMap<String, u64>,
) -> Result<CheckpointWritten, WorkerError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| WorkerError::CheckpointFile { path, doing, source }
    };
    let format = |problem: String| WorkerError::CheckpointFormat { path: directory.to_owned(), problem };
    let runs = states.iter().map(|(run, _)| *run).collect();
    let header = CheckpointHeader { plugin_output_bytes, ..CheckpointHeader::new(holds, runs, step) };
    let bytes = header.to_bytes().map_err(|error| format(error.to_string()))?;
    let bytes = postcard::to_extend(states, bytes).map_err(|error| format(error.to_string()))?;
    let sha256 = sha256_hex(&bytes);
    let first = states.first().map_or(0, |(run, _)| *run);
    // The hash keeps two groups that share a first run, as a resumed part of one may, from the same name.
    let path = directory.join(format!("run-{first}-step-{step}-{}.checkpoint", &sha256[..12]));

    fs::create_dir_all(directory).map_err(failed("its folder cannot be made", directory))?;
    slhf_files::replace_own(&path, &bytes).map_err(failed("it cannot be written", &path))?;
    Ok(CheckpointWritten {
        runs: states.iter().map(|(run, _)| *run).collect(),
        step,
        path: path.display().to_string(),
        sha256,
        size_bytes: bytes.len() as u64,
    })
}

/// A checkpoint that was read and whose hash was right.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    states: Vec<(i64, Vec<u8>)>,
    plugin_output_bytes: BTreeMap<String, u64>,
}

impl Checkpoint {
    /// Reads the file that a resume point names.
    pub(crate) fn read(point: &ResumePoint) -> Result<Self, WorkerError> {
        let path = PathBuf::from(&point.path);
        let bytes = read_regular(&path).map_err(|source| WorkerError::CheckpointFile {
            path: path.clone(),
            doing: "it cannot be read",
            source,
        })?;
        let found = sha256_hex(&bytes);
        if found != point.sha256 {
            return Err(WorkerError::CheckpointHash { path, expected: point.sha256.clone(), found });
        }
        let format = |problem: String| WorkerError::CheckpointFormat { path: path.clone(), problem };
        let (start, body) = CheckpointStart::read(&bytes).map_err(|problem| format(format!("it {problem}")))?;
        let states = postcard::from_bytes(body).map_err(|error| format(error.to_string()))?;
        Ok(Self { path, states, plugin_output_bytes: start.plugin_output_bytes() })
    }

    /// The state of one run in it.
    pub(crate) fn state(&self, run: i64) -> Result<&[u8], WorkerError> {
        let state = self.states.iter().find(|(own, _)| *own == run).map(|(_, state)| state.as_slice());
        state.ok_or_else(|| WorkerError::CheckpointFormat {
            path: self.path.clone(),
            problem: format!("it does not hold run {run}"),
        })
    }

    /// What plugins had put into the record by then, by the part that each plays.
    pub(crate) fn plugin_output_bytes(&self) -> &BTreeMap<String, u64> {
        &self.plugin_output_bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A link, a device or a pipe is no checkpoint.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use slhf_learn::RunState;
    use slhf_learn::language::policies_in_checkpoint;

    use super::*;

    fn point(written: &CheckpointWritten) -> ResumePoint {
        ResumePoint { run: 3, step: 7, path: written.path.clone(), sha256: written.sha256.clone() }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("new");
        let states = [(3, vec![1, 2, 3]), (-4, vec![])];
        let spent = BTreeMap::from([("judge".to_owned(), 7)]);
        let written = write(&directory, CheckpointKind::GameRuns, 7, &states, spent.clone()).expect("written");
        assert_eq!((written.runs.as_slice(), written.step), ([3, -4].as_slice(), 7));
        let checkpoint = Checkpoint::read(&point(&written)).expect("read");
        assert_eq!(checkpoint.state(3).expect("there"), [1, 2, 3]);
        assert_eq!(checkpoint.plugin_output_bytes(), &spent);
        assert!(checkpoint.state(5).expect_err("absent").to_string().ends_with("it does not hold run 5"));
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1);
        // Again: the same name and the same bytes.
        assert_eq!(write(&directory, CheckpointKind::GameRuns, 7, &states, spent.clone()).expect("written"), written);
    }

    #[test]
    fn a_changed_file_is_refused_by_its_hash() {
        let folder = tempfile::tempdir().expect("a folder");
        let written =
            write(folder.path(), CheckpointKind::GameRuns, 7, &[(3, vec![1])], BTreeMap::new()).expect("written");
        let mut bytes = fs::read(&written.path).expect("read");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(&written.path, &bytes).expect("written");
        let error = Checkpoint::read(&point(&written)).expect_err("changed").to_string();
        assert!(error.contains("it was changed or cut short; resume from an earlier checkpoint"), "{error}");
    }

    /// Whatever a version shipped is read by every later one. A fixture is added with each new version, none is taken away.
    #[test]
    fn checkpoints_of_every_shipped_version_are_read() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        for version in ["record-of-schema-11", "record-of-schema-13"] {
            let folder = fixtures.join(version).join("lab.db-checkpoints");
            let only = |group: &str| {
                let files = fs::read_dir(folder.join(group)).expect("a folder").flatten().map(|entry| entry.path());
                let mut checkpoints = files.filter(|path| path.extension().is_some_and(|e| e == "checkpoint"));
                let path = checkpoints.next().expect("a checkpoint");
                let sha256 = sha256_hex(fs::read(&path).expect("a file"));
                let point = ResumePoint { run: 0, step: 0, path: path.display().to_string(), sha256 };
                Checkpoint::read(&point).expect("it is read")
            };
            let (_, weights) = policies_in_checkpoint(1, only("group-1").state(1).expect("run 1"))
                .map_or_else(|error| panic!("{version}: {error}"), |(step, weights)| (step, weights.to_vec()));
            assert!(weights.len() > 20_000, "{version}: {}", weights.len());
            let games = only("group-2");
            for run in [2, 3] {
                let state = RunState::from_bytes(run, games.state(run).expect("the run")).expect("a state");
                assert!(state.step() > 100_000 && state.leader_logits().len() == 3, "{version}");
                // The game's equilibrium, which both had reached.
                let policy = softmax(state.leader_logits());
                for (found, expected) in policy.iter().zip([0.4207, 0.1589, 0.4204]) {
                    assert!((found - expected).abs() < 1e-3, "{version}: {policy:?}");
                }
            }
        }
    }

    fn softmax(logits: &[f64]) -> Vec<f64> {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        logits.iter().map(|logit| logit.exp() / sum).collect()
    }
}
