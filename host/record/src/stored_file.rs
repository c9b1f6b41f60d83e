//! Whether a file is what its row says. Only regular files count: a link, a device or a pipe is nobody's checkpoint, and opening
//! one of them neither follows nor waits.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use slhf_files::{Digest, FolderDigest};
use slhf_plan::{CHECKPOINT_HEADER_BYTES_MAX, CheckpointStart};

/// Why a file is of no use. Its words follow the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("is not there")]
    Missing,
    #[error("is {0}, not a regular file")]
    Kind(&'static str),
    #[error("lies outside the record's folder of checkpoints")]
    Outside,
    #[error("is not what was written: it has {found} bytes, the record says {expected}")]
    Size { expected: u64, found: u64 },
    #[error("is not what was written: its SHA-256 is {found}, the record says {expected}")]
    Hash { expected: String, found: String },
    #[error("{0}")]
    Header(String),
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// What a row says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) sha256: String,
    pub(crate) size_bytes: u64,
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            // What opening a link without following it says.
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Self::Kind("a link"),
            // What opening a socket says, or a device that is not there.
            _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                Self::Kind("a socket or device")
            }
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// Opens a regular file of the expected size.
pub(crate) fn open(path: &Path, size_bytes: u64) -> Result<File, Unusable> {
    // Looked at before it is opened: opening a device may do something.
    kind(&fs::symlink_metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    let metadata = file.metadata()?;
    kind(&metadata)?;
    if metadata.len() == size_bytes {
        Ok(file)
    } else {
        Err(Unusable::Size { expected: size_bytes, found: metadata.len() })
    }
}

fn kind(metadata: &fs::Metadata) -> Result<(), Unusable> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    Err(Unusable::Kind(if kind.is_symlink() {
        "a link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device or a socket"
    }))
}

/// Reads the whole file: a regular one, of the size and the hash that were written. Returns its beginning.
pub(crate) fn verify(path: &Path, expected: &Expected) -> Result<Vec<u8>, Unusable> {
    let mut file = open(path, expected.size_bytes)?;
    let mut start = Vec::new();
    file.by_ref().take(CHECKPOINT_HEADER_BYTES_MAX as u64).read_to_end(&mut start)?;
    // A file that grows meanwhile is read no further than it was.
    check(expected, slhf_files::digest(start.chain(file).take(expected.size_bytes))?)?;
    Ok(start)
}

fn check(expected: &Expected, found: Digest) -> Result<(), Unusable> {
    if found.size_bytes != expected.size_bytes {
        return Err(Unusable::Size { expected: expected.size_bytes, found: found.size_bytes });
    }
    if found.sha256 == expected.sha256 {
        Ok(())
    } else {
        Err(Unusable::Hash { expected: expected.sha256.clone(), found: found.sha256 })
    }
}

/// Likewise, and it says of itself that it is a checkpoint of these runs.
pub(crate) fn verify_checkpoint(path: &Path, expected: &Expected, runs: &[(i64, u64)]) -> Result<(), Unusable> {
    let start = verify(path, expected)?;
    let (header, _) = CheckpointStart::read(&start).map_err(Unusable::Header)?;
    match runs.iter().find(|(run, step)| !header.may_hold(*run, *step)) {
        None => Ok(()),
        Some((run, step)) => Err(Unusable::Header(format!("says that it does not hold run {run} after {step} steps"))),
    }
}

/// A folder of regular files, with the hash that the worker gave it: of the sorted lines `file-name␀sha256␊`.
pub(crate) fn verify_folder(path: &Path, expected: &Expected) -> Result<(), Unusable> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(Unusable::Kind("something else than a folder"));
    }
    let mut names: Vec<_> = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    let mut whole = FolderDigest::default();
    for name in names {
        let file = path.join(&name);
        let length = fs::symlink_metadata(&file)?.len();
        whole.add(&name.to_string_lossy(), &slhf_files::digest(open(&file, length)?.take(length))?);
    }
    check(expected, whole.finish())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use slhf_plan::{CheckpointHeader, CheckpointKind};

    use super::*;

    fn expected(bytes: &[u8]) -> Expected {
        Expected { sha256: slhf_files::sha256_hex(bytes), size_bytes: bytes.len() as u64 }
    }

    #[test]
    fn only_a_regular_file_with_the_bytes_of_the_row_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let bytes = CheckpointHeader::new(CheckpointKind::GameRuns, vec![3, 4], 7).to_bytes().unwrap();
        let good = expected(&bytes);
        fs::write(path("good"), &bytes).unwrap();
        symlink(path("good"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), Mode::RWXU).unwrap();
        fs::write(path("long"), [&bytes[..], b"x"].concat()).unwrap();
        let mut flipped = bytes.clone();
        flipped[30] ^= 1;
        fs::write(path("flipped"), flipped).unwrap();

        let check = |path: PathBuf, runs: &[(i64, u64)], problem: &str| match verify_checkpoint(&path, &good, runs) {
            Ok(()) => assert_eq!(problem, "", "{}", path.display()),
            Err(found) => {
                assert!(!problem.is_empty() && found.to_string().contains(problem), "{}: {found}", path.display());
            }
        };
        check(path("good"), &[(3, 7), (4, 7)], "");
        check(path("good"), &[(5, 7)], "says that it does not hold run 5 after 7 steps");
        check(path("good"), &[(3, 8)], "says that it does not hold run 3 after 8 steps");
        check(path("link"), &[], "is a link, not a regular file");
        check(path("dangling"), &[], "is a link, not a regular file");
        check(path("folder"), &[], "is a folder, not a regular file");
        check(path("pipe"), &[], "is a pipe, not a regular file");
        check(PathBuf::from("/dev/zero"), &[], "is a device or a socket, not a regular file");
        check(path("long"), &[], "is not what was written: it has ");
        check(path("flipped"), &[], "is not what was written: its SHA-256 is ");
        check(path("absent"), &[], "is not there");
    }

    #[test]
    fn a_file_with_the_right_hash_that_is_no_checkpoint_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        fs::write(&path, "my notes").unwrap();
        let problem = verify_checkpoint(&path, &expected(b"my notes"), &[]).unwrap_err().to_string();
        assert_eq!(problem, "does not begin as a checkpoint of slhf-lab does");
    }
}
