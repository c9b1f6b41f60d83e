//! Looking at a file before it is opened.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Raises every limit of a file's size here, in MiB.
pub const LIMIT_VARIABLE: &str = "SLHF_LAB_FILE_MIB";

/// Bytes of the largest TOML that is read: an experiment or a game with its matrix. A tree of a TOML takes a hundred times its
/// text.
pub const TOML_BYTES_MAX: u64 = 16 << 20;

/// Bytes of the largest file of settings that is read: parameters of a plugin, a chat template, a conversation.
pub const SETTINGS_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the largest file of data that is read into memory as it is: preferences, annotations, responses to check with.
pub const DATA_BYTES_MAX: u64 = 256 << 20;

/// Bytes of the largest JSON file beside a model's weights: configurations, tokenizers.
pub const MODEL_JSON_BYTES_MAX: u64 = 256 << 20;

/// Bytes of the largest file that is read in pieces: weights, checkpoints.
pub const WEIGHTS_BYTES_MAX: u64 = 1 << 40;

/// Why a file is not read though the system would allow it. Comes as the inner error of an [`io::Error`], of the kind
/// [`ErrorKind::InvalidInput`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a regular file, also behind links.
    #[error("it is {found}; expected a regular file")]
    Kind {
        /// `a folder`, `a pipe`, …
        found: &'static str,
    },
    /// Too large for what it is wanted for.
    #[error("it has {bytes} bytes; at most {limit_bytes} are read, which {LIMIT_VARIABLE} raises")]
    Size {
        /// What the system says.
        bytes: u64,
        /// What is believed.
        limit_bytes: u64,
    },
    /// Compressed, it is small enough.
    #[error("it unpacks to more than {limit_bytes} bytes; at most so many are read, which {LIMIT_VARIABLE} raises")]
    Unpacks {
        /// What is believed.
        limit_bytes: u64,
    },
    /// It had fewer bytes when it was opened.
    #[error(
        "it grew beyond {limit_bytes} bytes while it was read; at most so many are read, which {LIMIT_VARIABLE} raises"
    )]
    Grew {
        /// What is believed.
        limit_bytes: u64,
    },
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::InvalidInput, refusal)
    }
}

/// A limit of a file's size, or what the environment says where that is more.
#[must_use]
pub fn raised(limit_bytes: u64) -> u64 {
    let said = std::env::var(LIMIT_VARIABLE).ok();
    said.and_then(|mib| mib.parse::<u64>().ok()).map_or(limit_bytes, |mib| limit_bytes.max(mib.saturating_mul(1 << 20)))
}

/// Whether a path leads to a regular file. For what another library opens by its name.
pub fn check_kind(path: &Path) -> io::Result<()> {
    regular(fs::metadata(path)?.file_type()).map_err(io::Error::from)
}

/// Opens a regular file of at most `limit_bytes` for reading. Links are followed.
///
/// The kind is looked at twice: before the opening, because opening a device may do something; and after it, because the name
/// may lead elsewhere by then. The opening itself never waits for a pipe's other end.
pub fn open(path: &Path, limit_bytes: u64) -> io::Result<File> {
    check_kind(path)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let (about, limit_bytes) = (file.metadata()?, raised(limit_bytes));
    regular(about.file_type())?;
    if about.len() > limit_bytes {
        return Err(Refusal::Size { bytes: about.len(), limit_bytes }.into());
    }
    Ok(file)
}

/// A whole file.
pub fn read(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let (file, limit_bytes) = (open(path, limit_bytes)?, raised(limit_bytes));
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))?;
    // A file that grows, or one of the kernel's that claims to be empty, ends at the limit as well.
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes { Err(Refusal::Grew { limit_bytes }.into()) } else { Ok(bytes) }
}

/// A whole file, or nothing where there is none.
pub fn read_if_there(path: &Path, limit_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    match read(path, limit_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A whole file of text.
pub fn read_text(path: &Path, limit_bytes: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit_bytes)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "the text is not UTF-8; save the file as UTF-8"))
}

fn regular(kind: FileType) -> Result<(), Refusal> {
    let found = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no file",
    };
    Err(Refusal::Kind { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("plain"), "text").expect("written");
        symlink(path("plain"), path("link")).expect("linked");
        symlink("/dev/zero", path("device")).expect("linked");
        symlink(path("loop"), path("loop")).expect("linked");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe");
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
        File::create(path("large")).and_then(|file| file.set_len(5)).expect("a sparse file");
        let cases = [
            ("plain", Ok("text")),
            ("link", Ok("text")),
            ("device", Err("it is a device; expected a regular file")),
            ("pipe", Err("it is a pipe; expected a regular file")),
            ("socket", Err("it is a socket; expected a regular file")),
            (".", Err("it is a folder; expected a regular file")),
            ("large", Err("it has 5 bytes; at most 4 are read, which SLHF_LAB_FILE_MIB raises")),
            ("none", Err("No such file or directory (os error 2)")),
            ("loop", Err("Too many levels of symbolic links (os error 40)")),
        ];
        for (name, expected) in cases {
            let found = read_text(&path(name), 4).map_err(|error| error.to_string());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{name}");
        }
        assert_eq!(read_if_there(&path("none"), 4).expect("absent"), None);
        assert!(read_if_there(&path("pipe"), 4).is_err());
    }

    #[test]
    fn a_file_of_the_kernel_that_claims_to_be_empty_ends_at_the_limit() {
        let error = read(Path::new("/proc/self/maps"), 10).unwrap_err().to_string();
        assert_eq!(
            error,
            "it grew beyond 10 bytes while it was read; at most so many are read, which SLHF_LAB_FILE_MIB raises"
        );
    }
}
