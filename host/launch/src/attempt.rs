//! An attempt at a task: one process, with a record that it alone writes.
//!
//! An attempt lives while its process does; of a process on another host, while its signs of life are fresh.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use slhf_record::{HEARTBEAT_TIMEOUT_MS, ProcessIdentity, Sighting};

use crate::LaunchError;
use crate::files::{read_json, token, write_json};

/// How often an attempt gives a sign of life, in seconds.
pub const SIGN_OF_LIFE_S: u64 = 5;

/// In the folder of a task that the lab has taken back.
pub(crate) const CLOSED: &str = "closed";

/// How the folder of an attempt is called, before its number.
const NAME: &str = "attempt-";
/// How it is called while it is made: a process killed there has done nothing.
const PREPARED: &str = "prepared-";
const ALIVE: &str = "alive.json";
const ENDED: &str = "ended.json";
const RECORD: &str = "task.db";

/// Who makes an attempt, and when it was last heard of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Life {
    process: ProcessIdentity,
    began_at_ms: i64,
    seen_at_ms: i64,
}

/// How an attempt ended, as it said itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum AttemptEnd {
    /// All runs of the task have ended.
    Done {
        /// What the user should know of runs that ended well, a sentence each.
        warnings: Vec<String>,
    },
    /// It ended before all have: another attempt goes on.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// What is known of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptState {
    /// It computes.
    Alive,
    /// It ended, and said how.
    Ended(AttemptEnd),
    /// It computes no more, and has not said so: why it counts as dead.
    Dead(String),
}

/// An attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u32,
    path: PathBuf,
    life: Life,
    ended: Option<AttemptEnd>,
}

impl Attempt {
    /// Begins the attempt of this number, in the folder of its task; `None` where another process was faster.
    ///
    /// The folder appears whole, under a name that only one process can take: whoever takes the next number has
    /// seen this attempt and that it does not live. No clock is asked, as those of two hosts differ.
    pub(crate) fn begin(task: &Path, number: u32) -> Result<Option<Self>, LaunchError> {
        let prepared = task.join(format!("{PREPARED}{}", token()?));
        fs::create_dir_all(&prepared).map_err(LaunchError::files("making", &prepared))?;
        let now = now_ms();
        let life = Life { process: ProcessIdentity::current(), began_at_ms: now, seen_at_ms: now };
        write_json(&prepared.join(ALIVE), &life)?;
        let path = task.join(format!("{NAME}{number:04}"));
        match fs::rename(&prepared, &path) {
            Ok(()) => Ok(Some(Self { number, path, life, ended: None })),
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
                fs::remove_dir_all(&prepared).map_err(LaunchError::files("deleting", &prepared))?;
                Ok(None)
            }
            Err(error) => Err(LaunchError::files("making", &path)(error)),
        }
    }

    /// Reads one; `None` where the folder is that of no attempt.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, LaunchError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(number) = name.and_then(|name| name.strip_prefix(NAME)?.parse().ok()) else { return Ok(None) };
        let end = path.join(ENDED);
        let ended = if end.exists() { Some(read_json(&end)?) } else { None };
        Ok(Some(Self { number, path: path.to_owned(), life: read_json(&path.join(ALIVE))?, ended }))
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its record. Nobody but the attempt writes to it; nobody reads it while it lives.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.path.join(RECORD)
    }

    /// Its number among those of its task, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its process, in words.
    #[must_use]
    pub fn who(&self) -> String {
        format!("process {} on host {}", self.life.process.pid, self.life.process.host)
    }

    /// How it ended, as far as it said so.
    #[must_use]
    pub fn ended(&self) -> Option<&AttemptEnd> {
        self.ended.as_ref()
    }

    /// What the process `here` can tell of it.
    #[must_use]
    pub fn state(&self, here: &ProcessIdentity) -> AttemptState {
        self.state_at(here, now_ms())
    }

    /// Why a run that it left open is interrupted. It does not live.
    #[must_use]
    pub fn why_it_ended(&self, here: &ProcessIdentity) -> String {
        match self.state(here) {
            AttemptState::Dead(why) | AttemptState::Ended(AttemptEnd::Stopped { reason: why }) => why,
            AttemptState::Ended(AttemptEnd::Done { .. }) | AttemptState::Alive => {
                format!("{} ended without ending this run", self.who())
            }
        }
    }

    fn state_at(&self, here: &ProcessIdentity, now_ms: i64) -> AttemptState {
        if let Some(end) = &self.ended {
            return AttemptState::Ended(end.clone());
        }
        let (who, host) = (self.who(), &self.life.process.host);
        let silent_ms = now_ms.saturating_sub(self.life.seen_at_ms);
        match self.life.process.seen_from(here) {
            Sighting::Alive => AttemptState::Alive,
            Sighting::Gone => AttemptState::Dead(format!("{who} died (killed, or out of memory, or crashed)")),
            Sighting::HostRestarted => AttemptState::Dead(format!("host {host} was restarted under {who}")),
            Sighting::OutOfSight if silent_ms <= HEARTBEAT_TIMEOUT_MS => AttemptState::Alive,
            Sighting::OutOfSight => {
                AttemptState::Dead(format!("{who} has given no sign of life for {} s", silent_ms / 1000))
            }
        }
    }

    /// Gives a sign of life. Returns whether the attempt is to go on: the lab may have taken its task back.
    pub fn give_sign_of_life(&mut self) -> Result<bool, LaunchError> {
        self.life.seen_at_ms = now_ms();
        write_json(&self.path.join(ALIVE), &self.life)?;
        Ok(!self.path.parent().is_some_and(is_closed))
    }

    /// Says how it ended. Its record is closed by then.
    pub fn end(&self, how: &AttemptEnd) -> Result<(), LaunchError> {
        write_json(&self.path.join(ENDED), how)
    }
}

/// Whether the task whose folder this is was taken back.
pub(crate) fn is_closed(task: &Path) -> bool {
    task.join(CLOSED).exists()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_an_attempt_lives_is_known_by_its_process_or_by_its_signs_of_life() {
        let folder = tempfile::tempdir().expect("a folder");
        let attempt = Attempt::begin(folder.path(), 1).expect("begun").expect("the first");
        let here = ProcessIdentity::current();
        let seen = attempt.life.seen_at_ms;
        let check = |change: &dyn Fn(&mut Attempt), now_ms: i64, expected: Result<(), &str>| {
            let mut attempt = attempt.clone();
            change(&mut attempt);
            match (attempt.state_at(&here, now_ms), expected) {
                (AttemptState::Alive, Ok(())) => {}
                (AttemptState::Dead(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (state, expected) => panic!("{state:?}, expected {expected:?}"),
            }
        };
        let later = seen + HEARTBEAT_TIMEOUT_MS + 1000;
        // This very process lives, however long it was silent.
        check(&|_| {}, later, Ok(()));
        check(&|attempt| attempt.life.process.started_at_ticks += 1, seen, Err("died"));
        check(&|attempt| attempt.life.process.boot_id = "earlier".to_owned(), seen, Err("was restarted"));
        let elsewhere = |attempt: &mut Attempt| attempt.life.process.host = "another".to_owned();
        check(&elsewhere, seen + HEARTBEAT_TIMEOUT_MS, Ok(()));
        check(&elsewhere, later, Err("no sign of life for 61 s"));
    }
}
