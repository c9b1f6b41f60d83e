//! SHA-256 of bytes, files and folders, as records and manifests write it: 64 lower-case hexadecimal digits.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::{WEIGHTS_BYTES_MAX, open};

/// How much is read at a time: weights are larger than memory is free.
const PIECE_BYTES: usize = 1 << 20;

/// A SHA-256, and how much was read for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// In hexadecimal.
    pub sha256: String,
    /// Bytes that were read: of a folder, of all its files.
    pub size_bytes: u64,
}

/// SHA-256 of bytes that are in memory.
#[must_use]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Of everything that a reader still holds.
pub fn digest(mut reader: impl Read) -> io::Result<Digest> {
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(Digest { sha256: hex::encode(hash.finalize()), size_bytes }),
            Ok(read) => {
                hash.update(&piece[..read]);
                size_bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Of a regular file that is no larger than weights may be.
pub fn digest_file(path: &Path) -> io::Result<Digest> {
    digest(open(path, WEIGHTS_BYTES_MAX)?)
}

/// Of a folder: over the lines `file-name␀sha256␊` of its files, in the order in which they are added. Records compare these
/// hashes, so the lines never change.
#[derive(Clone, Debug, Default)]
pub struct FolderDigest {
    hash: Sha256,
    size_bytes: u64,
}

impl FolderDigest {
    /// Adds the next file, by its name without a path.
    pub fn add(&mut self, name: &str, file: &Digest) {
        self.hash.update(format!("{name}\0{}\n", file.sha256));
        self.size_bytes += file.size_bytes;
    }

    /// What all files together have.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest { sha256: hex::encode(self.hash.finalize()), size_bytes: self.size_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `sha256sum` prints them.
    const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_are_those_that_sha256sum_prints() {
        assert_eq!([sha256_hex(b""), sha256_hex("abc")], [OF_NOTHING, OF_ABC]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(digest_file(&path).unwrap(), Digest { sha256: OF_ABC.to_owned(), size_bytes: 3 });
        let absent = digest_file(&folder.path().join("absent")).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_longer_than_a_piece_is_hashed_whole() {
        let bytes: Vec<u8> = (0..PIECE_BYTES + 7).map(|index| index as u8).collect();
        let found = digest(&bytes[..]).unwrap();
        assert_eq!(found, Digest { sha256: sha256_hex(&bytes), size_bytes: bytes.len() as u64 });
    }

    #[test]
    fn a_folder_is_hashed_over_the_lines_of_its_files() {
        let mut folder = FolderDigest::default();
        folder.add("a", &digest(&b""[..]).unwrap());
        folder.add("b", &digest(&b"abc"[..]).unwrap());
        let lines = format!("a\0{OF_NOTHING}\nb\0{OF_ABC}\n");
        assert_eq!(folder.finish(), Digest { sha256: sha256_hex(lines), size_bytes: 3 });
    }
}
