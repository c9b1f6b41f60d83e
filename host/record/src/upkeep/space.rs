//! How much room a record takes, and `db vacuum`.

use crate::checkpoint_folder::root_of;
use crate::error::Doing as _;
use crate::{Record, RecordError};

/// How much room a record takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The file, with its write-ahead log.
    pub record: u64,
    /// Of the file: pages that are free, which `db vacuum` gives back.
    pub free: u64,
    /// The folder of checkpoints and models beside it.
    pub files: u64,
    /// The trash with its files.
    pub trash: u64,
}

/// What `db vacuum` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacuumed {
    /// Size of the file with its write-ahead log before, in bytes.
    pub before: u64,
    /// Likewise after.
    pub after: u64,
}

impl Record {
    /// How much room the record and what belongs to it takes.
    pub fn sizes(&mut self) -> Result<Sizes, RecordError> {
        let free: i64 = self.block(async |connection| {
            sqlx::query_scalar(
                "SELECT (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size)",
            )
            .fetch_one(connection)
            .await
            .doing("asking how large the record is")
        })?;
        let (record, files) = (self.file_bytes(), slhf_files::bytes_below(&root_of(self.path())));
        Ok(Sizes { record, free: free.unsigned_abs(), files, trash: self.trash_bytes() })
    }

    /// Gives the pages that deleted rows left back to the system. Refused while a run is computed: its rows would wait.
    pub fn vacuum(&mut self) -> Result<Vacuumed, RecordError> {
        let doing = "giving free pages back";
        if !self.is_writable() {
            return Err(RecordError::ReadOnly { doing: doing.to_owned() });
        }
        let running = self.running_runs()?;
        if !running.is_empty() {
            return Err(RecordError::StillRunning { runs: running, doing: "vacuumed around".to_owned() });
        }
        let before = self.file_bytes();
        self.block(async |connection| {
            for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
                sqlx::raw_sql(statement).execute(&mut *connection).await.doing(doing)?;
            }
            Ok(())
        })?;
        Ok(Vacuumed { before, after: self.file_bytes() })
    }

    fn file_bytes(&self) -> u64 {
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |about| about.len());
        size(self.path()) + size(std::path::Path::new(&log))
    }
}
