//! `db backup`: the record's file as it is now, under its own id.

use std::path::Path;

use crate::export::{folder_of, vacuum_into};
use crate::open::is_compressed;
use crate::placed::{put, verify};
use crate::{Record, RecordError};

impl Record {
    /// Writes the record as it is now to `target`, also while runs are computed, and reads it back: SQLite's own check of every page
    /// and of every reference. It keeps the record's id, so that it can take the place of the original beside the files of runs,
    /// which are not in it ([`Record::copy_to`] brings them along, as another record). Nothing is written over. Returns its size.
    pub fn back_up(&mut self, target: &Path) -> Result<u64, RecordError> {
        if is_compressed(target) {
            let what =
                format!("{} is a name of a compressed record: name a file that does not end in .gz", target.display());
            return Err(RecordError::Invalid { what });
        }
        if std::fs::symlink_metadata(target).is_ok() {
            return Err(RecordError::Exists { path: target.to_owned() });
        }
        let parent = folder_of(target)?;
        let system = |doing: String| move |source| RecordError::System { doing, source };
        let refused = system(format!("a folder for the backup in {}", parent.display()));
        let place = tempfile::Builder::new().prefix(".slhf-lab-backup-").tempdir_in(parent).map_err(refused)?;
        let file = place.path().join("record.db");
        self.block(async |connection| {
            vacuum_into(connection, &file).await?;
            verify(&file).await
        })?;
        let flushed = std::fs::File::open(&file).and_then(|file| file.sync_all());
        flushed.map_err(system(format!("flushing {}", file.display())))?;
        let bytes = file.metadata().map_or(0, |about| about.len());
        put(&file, target)?;
        slhf_files::sync_folder(parent).map_err(system(format!("flushing {}", parent.display())))?;
        Ok(bytes)
    }
}
