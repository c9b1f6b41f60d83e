//! Checkpoint files: one a group and step, holding the states of its live runs.
//!
//! Layout: `slhfckpt`, the version as a little-endian u32, then the runs and their states in postcard. A file is either
//! whole or not there: it is written beside its place, synced, renamed, and the folder is synced. None is ever removed
//! or overwritten here: that is the lab's to do, once its record no longer needs the file.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use slhf_judge::sha256_hex;
use slhf_plan::{CheckpointWritten, ResumePoint};

use crate::error::WorkerError;

const MAGIC: [u8; 8] = *b"slhfckpt";
const VERSION: u32 = 1;

/// Writes the states of runs at `step` into `directory`.
pub(crate) fn write(directory: &Path, step: u64, states: &[(i64, Vec<u8>)]) -> Result<CheckpointWritten, WorkerError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| WorkerError::CheckpointFile { path, doing, source }
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let bytes = postcard::to_extend(states, bytes)
        .map_err(|error| WorkerError::CheckpointFormat { path: directory.to_owned(), problem: error.to_string() })?;
    let sha256 = sha256_hex(&bytes);
    let first = states.first().map_or(0, |(run, _)| *run);
    // The hash keeps two groups that share a first run, as a resumed part of one may, from the same name.
    let path = directory.join(format!("run-{first}-step-{step}-{}.checkpoint", &sha256[..12]));

    fs::create_dir_all(directory).map_err(failed("its folder cannot be made", directory))?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed("it cannot be created", &path))?;
    file.write_all(&bytes).map_err(failed("it cannot be written", &path))?;
    file.as_file().sync_all().map_err(failed("it cannot be synced", &path))?;
    file.persist(&path).map_err(|error| failed("it cannot be renamed into place", &path)(error.error))?;
    let folder = File::open(directory).and_then(|folder| folder.sync_all());
    folder.map_err(failed("its folder cannot be synced", directory))?;
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
}

impl Checkpoint {
    /// Reads the file that a resume point names.
    pub(crate) fn read(point: &ResumePoint) -> Result<Self, WorkerError> {
        let path = PathBuf::from(&point.path);
        let bytes = slhf_files::read(&path, slhf_files::WEIGHTS_BYTES_MAX)
            .map_err(|source| WorkerError::CheckpointFile { path: path.clone(), doing: "it cannot be read", source })?;
        let found = sha256_hex(&bytes);
        if found != point.sha256 {
            return Err(WorkerError::CheckpointHash { path, expected: point.sha256.clone(), found });
        }
        let format = |problem: String| WorkerError::CheckpointFormat { path: path.clone(), problem };
        let body = bytes.strip_prefix(&MAGIC).ok_or_else(|| format("it does not start as one".to_owned()))?;
        let body =
            body.strip_prefix(&VERSION.to_le_bytes()).ok_or_else(|| format(format!("its version is not {VERSION}")))?;
        let states = postcard::from_bytes(body).map_err(|error| format(error.to_string()))?;
        Ok(Self { path, states })
    }

    /// The state of one run in it.
    pub(crate) fn state(&self, run: i64) -> Result<&[u8], WorkerError> {
        let state = self.states.iter().find(|(own, _)| *own == run).map(|(_, state)| state.as_slice());
        state.ok_or_else(|| WorkerError::CheckpointFormat {
            path: self.path.clone(),
            problem: format!("it does not hold run {run}"),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(written: &CheckpointWritten) -> ResumePoint {
        ResumePoint { run: 3, step: 7, path: written.path.clone(), sha256: written.sha256.clone() }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("new");
        let states = [(3, vec![1, 2, 3]), (-4, vec![])];
        let written = write(&directory, 7, &states).expect("written");
        assert_eq!((written.runs.as_slice(), written.step), ([3, -4].as_slice(), 7));
        let checkpoint = Checkpoint::read(&point(&written)).expect("read");
        assert_eq!(checkpoint.state(3).expect("there"), [1, 2, 3]);
        assert!(checkpoint.state(5).expect_err("absent").to_string().ends_with("it does not hold run 5"));
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1);
        // Again: the same name and the same bytes.
        assert_eq!(write(&directory, 7, &states).expect("written"), written);
    }

    #[test]
    fn a_changed_file_is_refused_by_its_hash() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = write(folder.path(), 7, &[(3, vec![1])]).expect("written");
        let mut bytes = fs::read(&written.path).expect("read");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(&written.path, &bytes).expect("written");
        let error = Checkpoint::read(&point(&written)).expect_err("changed").to_string();
        assert!(error.contains("it was changed or cut short; resume from an earlier checkpoint"), "{error}");
    }
}
