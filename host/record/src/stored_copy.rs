//! Copies of files and folders of runs: what is in a copy is what was written, or not there.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use crate::stored_file::{self, Expected, Unusable};

/// The kind of artefact that is one file; every other kind is a folder.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The folder of plugins' components within a record's folder: one file a SHA-256, `<sha256>.wasm`.
pub const COMPONENTS: &str = "plugins";

/// Copies the components that are kept in one record's folder to another's, where they are not kept yet.
pub(crate) fn copy_components(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (from.join(COMPONENTS), to.join(COMPONENTS));
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_file() && !target.exists() {
            let _ = fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Whose fault it is that a file was not copied.
#[derive(Debug)]
pub(crate) enum Failed {
    Source(Unusable),
    Target(io::Error),
}

impl From<Unusable> for Failed {
    fn from(unusable: Unusable) -> Self {
        Self::Source(unusable)
    }
}

/// Whether what lies there is what its row says.
pub(crate) fn verify(path: &Path, kind: &str, expected: &Expected) -> Result<(), Unusable> {
    if kind == CHECKPOINT {
        stored_file::verify(path, expected).map(drop)
    } else {
        stored_file::verify_folder(path, expected)
    }
}

/// Copies what a row names, and reads the copy back. The folder of the copy is made.
pub(crate) fn copy(from: &Path, to: &Path, kind: &str, expected: &Expected) -> Result<(), Failed> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Failed::Target)?;
    }
    let copied = if kind == CHECKPOINT { copy_file(from, to, expected.size_bytes) } else { copy_folder(from, to) };
    let result = copied.and_then(|()| Ok(verify(to, kind, expected)?));
    if result.is_err() {
        discard(to);
    }
    result
}

/// Takes away what was just made and is not whole.
pub(crate) fn discard(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn copy_file(from: &Path, to: &Path, size_bytes: u64) -> Result<(), Failed> {
    let source = stored_file::open(from, size_bytes)?;
    let mut target = File::create_new(to).map_err(Failed::Target)?;
    io::copy(&mut source.take(size_bytes), &mut target).map_err(Failed::Target)?;
    target.sync_all().map_err(Failed::Target)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failed> {
    let names = fs::read_dir(from).map_err(Unusable::from)?;
    fs::create_dir(to).map_err(Failed::Target)?;
    for entry in names {
        let name = entry.map_err(Unusable::from)?.file_name();
        let file = from.join(&name);
        let length = fs::symlink_metadata(&file).map_err(Unusable::from)?.len();
        copy_file(&file, &to.join(&name), length)?;
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(Failed::Target)
}
