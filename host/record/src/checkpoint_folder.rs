//! The folder beside a record in which its files lie: `lab.db-checkpoints`. It carries the id of its record, so that a copy of the
//! record never takes the original's files for its own.
//!
//! Where the folder is another record's (somebody put a record in the place of one that is gone), this record's files lie in
//! a folder of their own inside it, under its id.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::stored_file::{self, Unusable};

const SUFFIX: &str = "-checkpoints";
const IDENTITY_FILE: &str = "record-id.json";
/// An identity file has a hundred bytes.
const IDENTITY_BYTES_MAX: u64 = 4096;

/// Whose a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderState {
    /// It carries this record's id.
    Own,
    /// It carries none: versions before ids made it, or a lab that was killed at that moment.
    Unmarked,
    /// It carries the id of another record.
    Foreign,
    /// There is none.
    Absent,
    /// It is a link, or no folder: what lies behind it may be another record's.
    NoFolder,
    /// What should carry an id cannot be read.
    Damaged,
}

/// The folder of a record's files, as it was found.
#[derive(Clone, Debug)]
pub struct CheckpointFolder {
    record: PathBuf,
    root: PathBuf,
    path: PathBuf,
    state: FolderState,
}

#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    /// For people who find the file.
    what: String,
    record: String,
}

impl CheckpointFolder {
    /// Looks for the folder of the record at `record`, whose id is `id` (`None`: it has none yet).
    pub(crate) fn find(record: &Path, id: Option<&str>) -> Self {
        let root = root_of(record);
        let own = |path: PathBuf, state| Self { record: record.to_owned(), root: root.clone(), path, state };
        match owner(&root) {
            Owner::Nobody => own(root.clone(), FolderState::Absent),
            Owner::Unmarked => own(root.clone(), FolderState::Unmarked),
            Owner::NoFolder => own(root.clone(), FolderState::NoFolder),
            Owner::Damaged => own(root.clone(), FolderState::Damaged),
            Owner::Record(found) if Some(found.as_str()) == id => own(root.clone(), FolderState::Own),
            Owner::Record(_) => {
                let inside = root.join(format!("record-{}", id.unwrap_or("new")));
                match owner(&inside) {
                    Owner::Record(found) if Some(found.as_str()) == id => own(inside, FolderState::Own),
                    _ => own(inside, FolderState::Foreign),
                }
            }
        }
    }

    /// Where files are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    #[must_use]
    pub fn state(&self) -> FolderState {
        self.state
    }

    /// Whether files of this record may lie in it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        matches!(self.state, FolderState::Own | FolderState::Unmarked)
    }

    /// Makes the folder this record's own; one that is there and carries no id is taken over.
    pub(crate) fn claim(&mut self, id: &str) -> io::Result<()> {
        match self.state {
            FolderState::Own => return Ok(()),
            FolderState::NoFolder | FolderState::Damaged => return Err(io::Error::other(self.unfit())),
            FolderState::Unmarked | FolderState::Foreign | FolderState::Absent => {}
        }
        fs::create_dir_all(&self.path)?;
        write_identity(&self.path, id)?;
        // Another process may have been first, with this record or with another one.
        *self = Self::find(&self.record, Some(id));
        if self.state == FolderState::Own { Ok(()) } else { Err(io::ErrorKind::AlreadyExists.into()) }
    }

    /// Why nothing can be read or written there, and what to do.
    fn unfit(&self) -> String {
        let folder = self.root.display();
        if self.state == FolderState::Damaged {
            return format!(
                "{folder}/{IDENTITY_FILE}, which says whose files these are, cannot be read: bring it back from a copy, or remove it if \
                 the files are this record's (a folder without it is taken over)"
            );
        }
        format!(
            "{folder} is a link, or no folder, and what is behind a link may be another record's: move the folder itself there, or the \
             record to where the folder is"
        )
    }

    /// Where a row's file lies: below the folder, through real folders only.
    pub(crate) fn file(&self, relative: &str) -> Result<PathBuf, Unusable> {
        if !self.is_readable() {
            return Err(Unusable::Missing);
        }
        let mut path = self.path.clone();
        let mut components = Path::new(relative).components().peekable();
        if components.peek().is_none() {
            return Err(Unusable::Outside);
        }
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else { return Err(Unusable::Outside) };
            path.push(name);
            if components.peek().is_some() && !fs::symlink_metadata(&path)?.is_dir() {
                return Err(Unusable::Outside);
            }
        }
        Ok(path)
    }

    /// The path of a file below the folder, as a row has it.
    #[must_use]
    pub fn relative(&self, file: &Path) -> Option<String> {
        let relative = file.strip_prefix(&self.path).ok()?.to_str()?;
        (!relative.is_empty()).then(|| relative.to_owned())
    }

    /// Where the checkpoints of this record are instead of beside it, and how to bring them along; `None` where they may be
    /// there.
    pub(crate) fn explain(&self, id: &str) -> Option<String> {
        let (record, folder) = (self.record.display(), self.root.display());
        if self.is_readable() {
            return None;
        }
        if matches!(self.state, FolderState::NoFolder | FolderState::Damaged) {
            return Some(self.unfit());
        }
        let whose = match self.state {
            FolderState::Foreign => format!("{folder} is of another record"),
            _ => format!("{folder} is not there"),
        };
        Some(match self.elsewhere(id) {
            Some((other, Some(original))) => format!(
                "the checkpoints of {record} are those of another record, {original} ({other}), of which it is a copy: \
                 `slhf-lab db copy --db {original} --to FILE` makes a copy that has them",
                original = original.display(),
                other = other.display()
            ),
            Some((other, None)) => format!(
                "the checkpoints of {record} are not beside it ({whose}): they lie in {}; rename that folder to {folder}",
                other.display()
            ),
            None => format!(
                "the checkpoints of {record} are not beside it ({whose}): it was copied or moved without them; move that folder \
                 along with it, or make the copy with `slhf-lab db copy --db ORIGINAL --to FILE`"
            ),
        })
    }

    /// Another folder beside the record that carries its id, and the record that this one is of, if it is still there.
    fn elsewhere(&self, id: &str) -> Option<(PathBuf, Option<PathBuf>)> {
        let parent = self.root.parent()?;
        fs::read_dir(parent).ok()?.flatten().find_map(|entry| {
            let path = entry.path();
            let name = entry.file_name().to_str()?.strip_suffix(SUFFIX)?.to_owned();
            match owner(&path) {
                Owner::Record(found) if found == id && path != self.root => {}
                _ => return None,
            }
            let record = parent.join(name);
            let is_there = record.is_file();
            Some((path, is_there.then_some(record)))
        })
    }
}

/// Beside the record, under its name. A record that is reached through a link has its folder beside itself.
pub(crate) fn root_of(record: &Path) -> PathBuf {
    let beside = |path: PathBuf| {
        let mut name = path.into_os_string();
        name.push(SUFFIX);
        PathBuf::from(name)
    };
    let given = beside(std::path::absolute(record).unwrap_or_else(|_| record.to_owned()));
    match fs::canonicalize(record) {
        Ok(real) if fs::symlink_metadata(&given).is_err() => beside(real),
        _ => given,
    }
}

enum Owner {
    Nobody,
    Unmarked,
    NoFolder,
    Damaged,
    Record(String),
}

fn owner(folder: &Path) -> Owner {
    match fs::symlink_metadata(folder) {
        Err(_) => return Owner::Nobody,
        Ok(about) if !about.is_dir() => return Owner::NoFolder,
        Ok(_) => {}
    }
    let path = folder.join(IDENTITY_FILE);
    let read = || -> Result<String, Unusable> {
        let length = fs::symlink_metadata(&path)?.len().min(IDENTITY_BYTES_MAX);
        let mut text = String::new();
        stored_file::open(&path, length)?.take(length).read_to_string(&mut text)?;
        let identity: Identity =
            serde_json::from_str(&text).map_err(|error| Unusable::Unreadable(error.to_string()))?;
        Ok(identity.record)
    };
    match read() {
        Ok(id) => Owner::Record(id),
        Err(Unusable::Missing) => Owner::Unmarked,
        Err(_) => Owner::Damaged,
    }
}

/// Writes the id into a folder, unless there is one.
pub(crate) fn write_identity(folder: &Path, id: &str) -> io::Result<()> {
    let what =
        "files of one record of slhf-lab, which lies beside this folder; `slhf-lab db copy` copies both".to_owned();
    let mut text = serde_json::to_string_pretty(&Identity { what, record: id.to_owned() })?;
    text.push('\n');
    match slhf_files::create_new(&folder.join(IDENTITY_FILE), text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_a_second_record_gets_one_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let record = place.path().join("lab.db");
        let mut one = CheckpointFolder::find(&record, Some("a"));
        assert_eq!(one.state(), FolderState::Absent);
        one.claim("a").unwrap();
        assert_eq!((one.state(), one.path()), (FolderState::Own, &*place.path().join("lab.db-checkpoints")));
        let mut two = CheckpointFolder::find(&record, Some("b"));
        assert_eq!(two.state(), FolderState::Foreign);
        two.claim("b").unwrap();
        assert_eq!((two.state(), two.path()), (FolderState::Own, &*one.path().join("record-b")));
        assert_eq!(CheckpointFolder::find(&record, Some("a")).path(), one.path());
        assert_eq!(CheckpointFolder::find(&record, Some("b")).path(), two.path());
    }

    #[test]
    fn a_folder_without_an_id_is_taken_over_and_one_with_a_spoilt_id_is_not() {
        let place = tempfile::tempdir().unwrap();
        let record = place.path().join("lab.db");
        let root = place.path().join("lab.db-checkpoints");
        fs::create_dir(&root).unwrap();
        let mut folder = CheckpointFolder::find(&record, Some("a"));
        assert_eq!((folder.state(), folder.is_readable()), (FolderState::Unmarked, true));
        folder.claim("a").unwrap();
        assert_eq!(folder.path(), root);
        for spoilt in ["", "{", "{\"record\": 3}"] {
            fs::write(root.join(IDENTITY_FILE), spoilt).unwrap();
            let mut folder = CheckpointFolder::find(&record, Some("a"));
            assert_eq!((folder.state(), folder.is_readable()), (FolderState::Damaged, false), "{spoilt}");
            assert!(folder.claim("a").is_err() && folder.explain("a").is_some());
        }
        fs::rename(&root, place.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &root).unwrap();
        let mut folder = CheckpointFolder::find(&record, Some("a"));
        assert_eq!((folder.state(), folder.is_readable()), (FolderState::NoFolder, false));
        assert!(folder.claim("a").is_err());
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_none_of_ours() {
        let place = tempfile::tempdir().unwrap();
        let record = place.path().join("lab.db");
        let mut folder = CheckpointFolder::find(&record, Some("a"));
        folder.claim("a").unwrap();
        fs::create_dir(folder.path().join("group-1")).unwrap();
        symlink(place.path(), folder.path().join("group-2")).unwrap();
        for (path, expected) in [
            ("group-1/x", None),
            ("x", None),
            ("../lab.db", Some(Unusable::Outside)),
            ("group-1/../../lab.db", Some(Unusable::Outside)),
            ("/etc/hostname", Some(Unusable::Outside)),
            ("group-2/lab.db", Some(Unusable::Outside)),
            ("group-3/x", Some(Unusable::Missing)),
            ("", Some(Unusable::Outside)),
        ] {
            assert_eq!(folder.file(path).err(), expected, "{path}");
        }
        assert_eq!(folder.relative(&folder.path().join("group-1/x")).as_deref(), Some("group-1/x"));
        assert_eq!(folder.relative(&record), None);
    }
}
