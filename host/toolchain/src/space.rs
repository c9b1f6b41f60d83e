//! How much disk is free.

use std::path::Path;

use crate::bytes::Bytes;
use crate::error::Error;

/// Bytes that this user may still write on the file system of `folder`, which need not exist yet:
/// its nearest existing ancestor is looked at.
pub fn free_bytes(folder: &Path) -> Result<Bytes, Error> {
    let existing = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let figures = rustix::fs::statvfs(existing).map_err(|error| Error::File {
        doing: "measure the free disk of",
        path: existing.to_owned(),
        source: error.into(),
    })?;
    Ok(Bytes(figures.f_bavail.saturating_mul(figures.f_frsize)))
}

/// Refuses when `folder`'s file system has less than `needed` free.
pub(crate) fn require(purpose: &'static str, folder: &Path, needed: Bytes) -> Result<(), Error> {
    let free = free_bytes(folder)?;
    if free < needed {
        return Err(Error::NotEnoughSpace { purpose, needed, free, folder: folder.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_disk_is_measured_at_the_nearest_existing_folder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let free = free_bytes(&folder.path().join("not/yet/there")).expect("statvfs works");
        assert!(free > Bytes(0));
    }

    #[test]
    fn a_full_disk_is_refused_with_both_figures() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let error = require("libtorch", folder.path(), Bytes(u64::MAX)).expect_err("never that much");
        let sentence = error.to_string();
        assert!(sentence.starts_with("libtorch needs ") && sentence.contains("SLHF_LAB_CACHE"), "{sentence}");
        require("libtorch", folder.path(), Bytes(0)).expect("nothing always fits");
    }
}
