//! A private copy of a record that must not be touched: as it is now, also while somebody writes to it.

use std::path::{Path, PathBuf};

use crate::error::Doing as _;
use crate::export::{unpack_privately, vacuum_into};
use crate::open::is_compressed;
use crate::{Record, RecordError};

/// The copy. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Its file, in the schema of the original.
    pub(crate) file: PathBuf,
    /// That schema.
    pub(crate) schema: i64,
    _folder: tempfile::TempDir,
}

impl Snapshot {
    /// Copies a record, compressed ones too; refuses what is none, and a newer one.
    pub(crate) fn take(path: &Path) -> Result<Self, RecordError> {
        let failed = |source| RecordError::System { doing: "a folder for a copy of a record".to_owned(), source };
        let folder = tempfile::tempdir().map_err(failed)?;
        let file = folder.path().join("record.db");
        // A compressed one is unpacked first; what is unpacked is of the schema that it had.
        let unpacked = if is_compressed(path) { Some(unpack_privately(path)?) } else { None };
        let mut original = Record::open_untouched(unpacked.as_ref().map_or(path, |(_, copy)| copy))?;
        let schema = original.block(async |connection| {
            vacuum_into(connection, &file).await?;
            sqlx::query_scalar("SELECT user_version FROM pragma_user_version")
                .fetch_one(connection)
                .await
                .doing("reading the schema version")
        })?;
        Ok(Self { file, schema, _folder: folder })
    }
}
