//! What can go wrong with a record, one sentence each.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{RunStatus, StepDivergence};

/// An error of this crate. Its Display never prints its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There is no such file, and the verb only reads.
    #[error("there is no record at {path}: run an experiment first, or name another file with --db")]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// SQLite would take the name for something else.
    #[error("`{path}` names no file to SQLite, and a record is a file: name one with --db, such as ./lab.db")]
    NoFileName {
        /// As it was given.
        path: PathBuf,
    },
    /// The folder is missing or the file cannot be created or opened.
    #[error("cannot open the record {path}: check that its folder exists and that you may read it")]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file is something else.
    #[error("{path} is not a record of slhf-lab ({found}): name another file with --db")]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The file was written by a newer version.
    #[error(
        "the record {path} has schema version {found}, this slhf-lab knows versions up to {known}: use a newer slhf-lab"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is older than the binary and cannot be brought up to date where it is.
    #[error(
        "the record {path} has schema version {found} and must be migrated to {known}, but it is read-only: make it writable once, or copy it"
    )]
    NeedsMigration {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An export would replace the record that it is made from.
    #[error("{path} is the record itself, which an export would replace: name another file with --to")]
    ExportOntoItself {
        /// As it was named.
        path: PathBuf,
    },
    /// A file is to be made in a folder that does not exist.
    #[error("{} cannot be written: there is no folder {}; make it first, or name another with --to", path.display(), folder.display())]
    NoFolder {
        /// As it was named.
        path: PathBuf,
        /// Where it would lie.
        folder: PathBuf,
    },
    /// An export would replace something else.
    #[error("{path} is there already and is no export of a record: name another file with --to, or move it away")]
    NotAnExport {
        /// The file.
        path: PathBuf,
    },
    /// A migration failed.
    #[error("the record {path} could not be migrated")]
    Migration {
        /// The file.
        path: PathBuf,
        /// What sqlx said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// SQLite found damage.
    #[error(
        "the record is damaged (found while {doing}): restore a copy, or rescue what is left with `sqlite3 FILE .recover`"
    )]
    Corrupt {
        /// What was being done.
        doing: String,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Another process kept the file locked.
    #[error("another process kept the record locked for more than {waited_s} s while {doing}: wait for it or end it")]
    Busy {
        /// What was being done.
        doing: String,
        /// How long was waited, in seconds.
        waited_s: u64,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No space left.
    #[error(
        "the disk is full (noticed while {doing}): free some space and run the same command again; `slhf-lab resume` goes on \
         with runs that had begun"
    )]
    DiskFull {
        /// What was being done.
        doing: String,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A write to a record that was opened for reading.
    #[error("the record is read-only, so {doing} is impossible: make the file and its folder writable")]
    ReadOnly {
        /// What was being done.
        doing: String,
    },
    /// A copy would be written over something.
    #[error("{path} exists already: name a file that does not, with no folder of checkpoints beside it")]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Checkpoints went while they were copied.
    #[error(
        "the checkpoints of {path} change faster than they can be copied: stop what computes on it (Ctrl-C), copy, and \
         `slhf-lab resume`"
    )]
    Changing {
        /// The record.
        path: PathBuf,
    },
    /// A record was to be merged with itself.
    #[error("{path} is the record itself: name another record to merge into it")]
    MergeWithItself {
        /// As it was named.
        path: PathBuf,
    },
    /// Somebody computes runs that were to be touched.
    #[error(
        "{} being computed, and cannot be {doing} now: end {} with Ctrl-C first, or wait",
        runs_are(.runs), if .runs.len() == 1 { "it" } else { "them" }
    )]
    StillRunning {
        /// Their numbers.
        runs: Vec<i64>,
        /// What was to be done with them, a participle.
        doing: String,
    },
    /// Two records contradict each other.
    #[error(
        "{path} was not merged, and nothing was written: {}; take one side's runs out with `slhf-lab rm` and merge again", .conflicts.join("; ")
    )]
    MergeConflicts {
        /// The other record.
        path: PathBuf,
        /// One clause each.
        conflicts: Vec<String>,
    },
    /// Any other failure of the database.
    #[error("the record failed while {doing}")]
    Database {
        /// What was being done.
        doing: String,
        /// What sqlx or SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The asynchronous runtime could not be started, or a system file could not be read.
    #[error("the system refused {doing}")]
    System {
        /// What was being done.
        doing: String,
        /// What it said.
        source: std::io::Error,
    },
    /// Another process counted this one as dead and took its runs.
    #[error(
        "another process took over the runs of this one, which had given no sign of life for too long (a suspended machine, a \
         stopped process): nothing more of them is written from here; `slhf-lab ls` shows what became of them"
    )]
    LeaseLost,
    /// The disk is full, and the record is of an earlier version.
    #[error(
        "the disk is full, so that the record {path} could not be migrated; nothing of it was changed: free about as much space \
         as it takes, and run the same command again"
    )]
    NoRoomToMigrate {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value outside what the record can hold.
    #[error("{what}")]
    Invalid {
        /// One sentence: what, where, what is expected.
        what: String,
    },
    /// The caller could not freeze its plan.
    #[error("the batch groups could not be frozen into the record")]
    Freeze {
        /// The caller's reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A change of state that makes no sense.
    #[error("run {run} is {from}, so it cannot become {to}")]
    IllegalTransition {
        /// The run.
        run: i64,
        /// Its state.
        from: RunStatus,
        /// The state that was asked for.
        to: RunStatus,
    },
    /// No run has this name.
    #[error("no run is named `{name}`{hint}")]
    NoSuchRun {
        /// As it was given.
        name: String,
        /// Empty, or `: …` with what would help.
        hint: String,
    },
    /// Several runs have this name.
    #[error("`{name}` names {count} runs, for example {examples}: write more of the name, or the run's number")]
    AmbiguousRun {
        /// As it was given.
        name: String,
        /// How many.
        count: usize,
        /// A few of them.
        examples: String,
    },
    /// No experiment has this name.
    #[error("the record holds no experiment `{name}`{hint}")]
    NoSuchExperiment {
        /// As it was given.
        name: String,
        /// Empty, or `: …` with what would help.
        hint: String,
    },
    /// A resumed run computed other numbers than are stored.
    #[error(transparent)]
    Diverged(#[from] StepDivergence),
    /// The writer met an error earlier and stopped.
    #[error("the record's writer has stopped, nothing more can be recorded")]
    WriterStopped {
        /// Why.
        source: Arc<RecordError>,
    },
    /// A free query was refused.
    #[error("this query is refused: {why}")]
    QueryRefused {
        /// Why, and what is allowed.
        why: String,
    },
    /// A free query was wrong.
    #[error("this query does not work")]
    QueryFailed {
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A free query ran past its limit.
    #[error("the query was stopped after {limit_ms} ms: narrow it (a run, a key), or allow more with --time-limit-s")]
    QueryTooSlow {
        /// The limit.
        limit_ms: u64,
    },
    /// A free query returned too many bytes.
    #[error(
        "the query returned more than {limit_mib} MiB: select fewer columns, add a LIMIT, or allow more with --size-limit-mib"
    )]
    QueryTooLong {
        /// The limit.
        limit_mib: u64,
    },
    /// A free query needed too much memory.
    #[error(
        "the query needs more than {limit_mib} MiB of memory: let it make or join shorter texts, or allow more with \
         --size-limit-mib"
    )]
    QueryMemory {
        /// The limit.
        limit_mib: u64,
    },
    /// A free query returned too much.
    #[error("the query returned more than {limit} rows: add a LIMIT, or allow more rows")]
    QueryTooLarge {
        /// The limit.
        limit: usize,
    },
}

impl RecordError {
    /// Whether the file itself failed, or the system under it: another name or another word of the user's would not help.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::WriterStopped { source } => source.is_failure(),
            Self::Migration { .. }
            | Self::NoRoomToMigrate { .. }
            | Self::LeaseLost
            | Self::Corrupt { .. }
            | Self::Busy { .. }
            | Self::DiskFull { .. }
            | Self::Database { .. }
            | Self::System { .. }
            | Self::Changing { .. }
            | Self::MergeConflicts { .. }
            | Self::Freeze { .. }
            | Self::IllegalTransition { .. }
            | Self::Diverged(_) => true,
            _ => false,
        }
    }
}

/// `run 3 is`, `runs 3, 4 are`.
fn runs_are(runs: &[i64]) -> String {
    let list: Vec<String> = runs.iter().map(i64::to_string).collect();
    if runs.len() == 1 { format!("run {} is", list.join("")) } else { format!("runs {} are", list.join(", ")) }
}

/// How long a statement waits for another process's lock.
pub(crate) const BUSY_TIMEOUT_S: u64 = 30;

/// Says what was being done when sqlx failed.
pub(crate) trait Doing<T> {
    /// Wraps the error.
    fn doing(self, doing: &str) -> Result<T, RecordError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &str) -> Result<T, RecordError> {
        self.map_err(|error| from_sqlx(error, doing))
    }
}

/// SQLite's primary result code, where there is one.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// The innermost message: sqlx's wrapper would say it twice in a chain.
pub(crate) fn cause(error: sqlx::Error) -> Box<dyn Error + Send + Sync> {
    match error {
        sqlx::Error::Database(error) => error.into_error(),
        sqlx::Error::Io(error) => Box::new(error),
        other => Box::new(other),
    }
}

fn from_sqlx(error: sqlx::Error, doing: &str) -> RecordError {
    let doing = doing.to_owned();
    match primary_code(&error) {
        Some(5 | 6) => RecordError::Busy { doing, waited_s: BUSY_TIMEOUT_S, source: cause(error) },
        Some(8) => RecordError::ReadOnly { doing },
        Some(11 | 26) => RecordError::Corrupt { doing, source: cause(error) },
        Some(13) => RecordError::DiskFull { doing, source: cause(error) },
        _ => RecordError::Database { doing, source: cause(error) },
    }
}
