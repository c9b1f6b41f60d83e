//! An attempt at a task: one process, with a record that it alone writes.
//!
//! An attempt lives while its process does; of a process on another host, while its signs of life are fresh.

use std::fs;
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
    path: PathBuf,
    life: Life,
    ended: Option<AttemptEnd>,
}

impl Attempt {
    /// Begins one, in the folder of its task.
    pub(crate) fn begin(task: &Path) -> Result<Self, LaunchError> {
        let path = task.join(format!("attempt-{}", token()?));
        fs::create_dir_all(&path).map_err(LaunchError::files("making", &path))?;
        let now = now_ms();
        let life = Life { process: ProcessIdentity::current(), began_at_ms: now, seen_at_ms: now };
        write_json(&path.join(ALIVE), &life)?;
        Ok(Self { path, life, ended: None })
    }

    /// Reads one; `None` where nobody has begun yet.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, LaunchError> {
        let alive = path.join(ALIVE);
        if !alive.exists() {
            return Ok(None);
        }
        let end = path.join(ENDED);
        let ended = if end.exists() { Some(read_json(&end)?) } else { None };
        Ok(Some(Self { path: path.to_owned(), life: read_json(&alive)?, ended }))
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

    /// When it began, and its name: of two that began at once one is the first for everybody.
    pub(crate) fn order(&self) -> (i64, &Path) {
        (self.life.began_at_ms, &self.path)
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
        let attempt = Attempt::begin(folder.path()).expect("begun");
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
