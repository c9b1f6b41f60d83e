//! Arguments that several verbs share, and what they mean.

use std::path::PathBuf;

use clap::Args;
use slhf_record::{OpenMode, Record, RunStatus};

use crate::failure::Failure;
use crate::output::{self, Format};

/// Which record.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordArgument {
    /// The record's file
    #[arg(long, value_name = "PATH", env = "SLHF_LAB_DB", default_value = "lab.db")]
    pub(crate) db: PathBuf,
}

impl RecordArgument {
    /// Opens the record and marks runs that nobody computes any more as interrupted.
    pub(crate) fn open(&self, mode: OpenMode) -> Result<Record, Failure> {
        let mut record = Record::open(&self.db, mode).map_err(Failure::of_record)?;
        for dead in record.mark_dead_runs().map_err(Failure::failed)? {
            output::say(format!("note: run {} is interrupted: {}", dead.run, dead.reason));
        }
        Ok(record)
    }
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormatArgument {
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// The states of a run, as the command line takes them.
pub(crate) fn status_names() -> Vec<&'static str> {
    RunStatus::ALL.into_iter().map(RunStatus::as_str).collect()
}
