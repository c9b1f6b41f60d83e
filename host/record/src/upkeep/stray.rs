//! Files in a record's folder that no row names.
//!
//! Workers write a file first and its row after it: what lies in the folder of a batch group that is being computed is nobody's
//! business but theirs. Files are listed before rows are read, so that whatever was in flight then is named by now, or its group
//! is still computed.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use crate::checkpoint_folder::{CheckpointFolder, FolderState};
use crate::error::Doing as _;
use crate::{Record, RecordError};

const DOING: &str = "looking for files that no row names";

/// A file or folder that no row names, below `group-<n>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stray {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

impl Record {
    pub(crate) fn strays(&mut self) -> Result<Vec<Stray>, RecordError> {
        let folder = self.checkpoint_folder()?;
        if folder.state() != FolderState::Own {
            return Ok(Vec::new());
        }
        let found = entries(&folder)?;
        let (named, running) = self.block(async |connection| {
            let named: Vec<String> = sqlx::query_scalar("SELECT path FROM artefact WHERE removed_at IS NULL")
                .fetch_all(&mut *connection)
                .await
                .doing(DOING)?;
            let running: Vec<i64> = sqlx::query_scalar(
                "SELECT DISTINCT batch_group FROM run WHERE status = 'running' AND batch_group IS NOT NULL",
            )
            .fetch_all(connection)
            .await
            .doing(DOING)?;
            Ok((named.into_iter().collect::<HashSet<String>>(), running))
        })?;
        let is_stray = |(group, path): &(i64, PathBuf)| {
            !running.contains(group) && folder.relative(path).is_some_and(|relative| !named.contains(&relative))
        };
        let strays = found.into_iter().filter(is_stray).filter_map(|(_, path)| {
            let about = path.symlink_metadata().ok()?;
            let bytes = if about.is_dir() { slhf_files::bytes_below(&path) } else { about.len() };
            Some(Stray { path, bytes })
        });
        Ok(strays.collect())
    }
}

/// What lies in folders of batch groups, which alone are made by runs; in order of names.
fn entries(folder: &CheckpointFolder) -> Result<Vec<(i64, PathBuf)>, RecordError> {
    let failed = |source| RecordError::System { doing: format!("listing {}", folder.path().display()), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let group = name.to_str().and_then(|name| name.strip_prefix("group-")).and_then(|number| number.parse().ok());
        let (Some(group), true) = (group, entry.file_type().map_err(failed)?.is_dir()) else { continue };
        for inner in fs::read_dir(entry.path()).map_err(failed)? {
            found.push((group, inner.map_err(failed)?.path()));
        }
    }
    found.sort();
    Ok(found)
}
