//! How a checkpoint file begins: two lines that say what it is, so that a person, and every later version, can tell.
//!
//! Version 2: the line `slhf-lab checkpoint 2`, a line of JSON (a [`CheckpointHeader`]), then the body. Version 1 began with
//! `slhfckpt` and a little-endian u32. The body of both is the runs with their states, in postcard, each state with a header
//! and a version of its own. Whatever was shipped once is read for ever.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// The version that is written.
pub const CHECKPOINT_VERSION: u32 = 2;

/// No header is longer.
pub const CHECKPOINT_HEADER_BYTES_MAX: usize = 1 << 16;

/// How many checkpoints a finished run keeps. One that is not finished keeps one more, to fall back on. Left out of a plan's
/// JSON where it is one, as in plans from before it could be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckpointKeep(pub NonZeroU32);

impl Default for CheckpointKeep {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl CheckpointKeep {
    /// Whether it is what it is if nobody says otherwise.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

const NAME: &str = "slhf-lab checkpoint ";
const FIRST_MAGIC: &[u8] = b"slhfckpt\x01\x00\x00\x00";

/// What a checkpoint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointKind {
    /// Policies of runs on finite games.
    GameRuns,
    /// What a language model has learned in one run, with the optimizer's moments.
    LanguageModelRun,
    /// What a reward model has learned in one run, with the optimizer's moments.
    RewardModelRun,
}

/// What a checkpoint file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// What it holds.
    pub holds: CheckpointKind,
    /// Of which runs.
    pub runs: Vec<i64>,
    /// After how many steps.
    pub step: u64,
    /// How the rest of the file is written, in words.
    pub body: String,
    /// What the plugins have put into the record so far, of `run_output_mib`, by the part that each plays in the run. Absent in
    /// files from before it was kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugin_output_bytes: BTreeMap<String, u64>,
}

/// How a file begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointStart {
    /// Version 1, which said nothing of itself.
    Unnamed,
    /// Version 2.
    Named(CheckpointHeader),
}

impl CheckpointHeader {
    /// A header of the version that is written.
    #[must_use]
    pub fn new(holds: CheckpointKind, runs: Vec<i64>, step: u64) -> Self {
        let body = "postcard, a list of (run, state)".to_owned();
        Self { holds, runs, step, body, plugin_output_bytes: BTreeMap::new() }
    }

    /// Its two lines.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(format!("{NAME}{CHECKPOINT_VERSION}\n{}\n", serde_json::to_string(self)?).into_bytes())
    }
}

impl CheckpointStart {
    /// Reads how a file begins; `bytes` are the file, or its first [`CHECKPOINT_HEADER_BYTES_MAX`] bytes. Returns what follows
    /// the header, too.
    ///
    /// # Errors
    /// In words, to follow the file's name: what is wrong.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        if let Some(body) = bytes.strip_prefix(FIRST_MAGIC) {
            return Ok((Self::Unnamed, body));
        }
        let foreign = || "does not begin as a checkpoint of slhf-lab does".to_owned();
        let rest = bytes.strip_prefix(NAME.as_bytes()).ok_or_else(foreign)?;
        let (version, rest) = line(rest).ok_or_else(foreign)?;
        let version: u32 = std::str::from_utf8(version).ok().and_then(|text| text.parse().ok()).ok_or_else(foreign)?;
        if version != CHECKPOINT_VERSION {
            return Err(format!(
                "is of version {version}, and this slhf-lab reads versions 1 and {CHECKPOINT_VERSION}: use a newer slhf-lab"
            ));
        }
        let (json, body) = line(rest).ok_or_else(|| "is cut short in its header".to_owned())?;
        let header =
            serde_json::from_slice(json).map_err(|error| format!("has a header that cannot be read: {error}"))?;
        Ok((Self::Named(header), body))
    }

    /// What the plugins had put into the record.
    #[must_use]
    pub fn plugin_output_bytes(&self) -> BTreeMap<String, u64> {
        match self {
            Self::Unnamed => BTreeMap::new(),
            Self::Named(header) => header.plugin_output_bytes.clone(),
        }
    }

    /// Whether this may be the state of a run after so many steps; a header of before says nothing of it.
    #[must_use]
    pub fn may_hold(&self, run: i64, step: u64) -> bool {
        match self {
            Self::Unnamed => true,
            Self::Named(header) => header.step == step && header.runs.contains(&run),
        }
    }
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(CHECKPOINT_HEADER_BYTES_MAX).position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// A checkpoint to go on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// The run.
    pub run: i64,
    /// Steps done.
    pub step: u64,
    /// Absolute path of the checkpoint file (it may hold further runs of the group).
    pub path: String,
    /// SHA-256 of that file.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_says_what_follows() {
        let mut header = CheckpointHeader::new(CheckpointKind::LanguageModelRun, vec![7], 12);
        let mut bytes = header.to_bytes().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "slhf-lab checkpoint 2\n{\"holds\":\"language-model-run\",\"runs\":[7],\"step\":12,\"body\":\"postcard, a list \
             of (run, state)\"}\n"
        );
        bytes.extend_from_slice(b"\n1\n");
        let (start, body) = CheckpointStart::read(&bytes).unwrap();
        assert_eq!((&start, body), (&CheckpointStart::Named(header.clone()), &b"\n1\n"[..]));
        header.plugin_output_bytes.insert("judge".to_owned(), 1 << 40);
        let spent = CheckpointStart::read(&header.to_bytes().unwrap()).map(|(start, _)| start).unwrap();
        assert_eq!(spent.plugin_output_bytes(), header.plugin_output_bytes);
        assert!(start.may_hold(7, 12) && !start.may_hold(7, 11) && !start.may_hold(8, 12));
    }

    #[test]
    fn the_first_version_is_still_known() {
        let (start, body) = CheckpointStart::read(b"slhfckpt\x01\x00\x00\x00body").unwrap();
        assert_eq!((start, body), (CheckpointStart::Unnamed, &b"body"[..]));
    }

    #[test]
    fn what_is_no_checkpoint_says_why() {
        let check = |bytes: &[u8], expected: &str| {
            let problem = CheckpointStart::read(bytes).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        };
        check(b"", "does not begin as a checkpoint");
        check(b"slhfckpt\x02\x00\x00\x00", "does not begin as a checkpoint");
        check(b"slhf-lab checkpoint 3\n{}\n", "is of version 3, and this slhf-lab reads versions 1 and 2");
        check(b"slhf-lab checkpoint x\n{}\n", "does not begin as a checkpoint");
        check(b"slhf-lab checkpoint 2\n{\"holds\"", "is cut short");
        check(b"slhf-lab checkpoint 2\n{}\n", "has a header that cannot be read");
    }
}
