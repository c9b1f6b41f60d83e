//! Copies of records that are finished: read back, then moved to their place.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::RecordError;
use crate::error::Doing as _;
use crate::open::options;

const DOING: &str = "reading a copy back";

/// Moves what is finished to its place, over nothing.
pub(crate) fn put(from: &Path, to: &Path) -> Result<(), RecordError> {
    let moved = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it; whether something is there was asked before.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to)
        }
        other => other.map_err(io::Error::from),
    };
    moved.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => RecordError::Exists { path: to.to_owned() },
        _ => RecordError::System { doing: format!("moving the copy to {}", to.display()), source },
    })
}

/// Reads a copy back: SQLite's own check of every page and of every reference.
pub(crate) async fn verify(file: &Path) -> Result<(), RecordError> {
    let mut own = options(file).read_only(true).connect().await.doing(DOING)?;
    let found: Result<(String, i64), sqlx::Error> = sqlx::query_as(
        "SELECT (SELECT integrity_check FROM pragma_integrity_check LIMIT 1), (SELECT count(*) FROM pragma_foreign_key_check)",
    )
    .fetch_one(&mut own)
    .await;
    own.close().await.doing(DOING)?;
    let (integrity, dangling) = found.doing(DOING)?;
    if integrity == "ok" && dangling == 0 {
        return Ok(());
    }
    let what = format!(
        "the copy does not pass SQLite's check ({integrity}; {dangling} rows refer to nothing), so none was written: `slhf-lab db check` \
         says what is wrong with the record"
    );
    Err(RecordError::Invalid { what })
}
