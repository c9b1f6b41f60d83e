//! Disk sizes: how they are printed, and how much is free.

use std::fmt;
use std::path::Path;

use crate::Error;

/// A number of bytes, printed in decimal units as download pages and `df -H` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KILO: u64 = 1_000;
        const MEGA: u64 = 1_000 * KILO;
        const GIGA: u64 = 1_000 * MEGA;
        match self.0 {
            bytes if bytes >= GIGA => {
                let tenths = bytes.saturating_add(GIGA / 20) / (GIGA / 10);
                write!(formatter, "{}.{} GB", tenths / 10, tenths % 10)
            }
            bytes if bytes >= MEGA => write!(formatter, "{} MB", (bytes + MEGA / 2) / MEGA),
            bytes if bytes >= KILO => write!(formatter, "{} kB", (bytes + KILO / 2) / KILO),
            bytes => write!(formatter, "{bytes} bytes"),
        }
    }
}

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
    fn sizes_are_printed_as_people_read_them() {
        let check = |bytes, expect: &str| assert_eq!(Bytes(bytes).to_string(), expect);
        check(0, "0 bytes");
        check(999, "999 bytes");
        check(1_500, "2 kB");
        check(530_604_548, "531 MB");
        check(999_999_999, "1000 MB");
        check(1_960_000_000, "2.0 GB");
        check(83_000_000_000, "83.0 GB");
    }

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
