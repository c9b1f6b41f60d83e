//! A folder that is there whole or not at all.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::tensor_file::WriteError;
use crate::{ModelError, PolicyError};

/// Files are written into a temporary folder beside the final one, flushed to the disk, and moved there by one rename.
#[derive(Debug)]
pub(crate) struct AtomicFolder {
    folder: PathBuf,
    parent: PathBuf,
    temporary: TempDir,
    files: Vec<(String, u64)>,
}

impl AtomicFolder {
    /// `folder` must not exist; the folder that it will be in must.
    pub(crate) fn create(folder: &Path) -> Result<Self, PolicyError> {
        if folder.symlink_metadata().is_ok() {
            let problem = "it exists already; name a folder that does not, or remove this one".to_owned();
            return Err(PolicyError::Model(ModelError::File { path: folder.to_owned(), problem }));
        }
        let parent = match folder.parent() {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_owned(),
            None => PathBuf::from("/"),
        };
        let temporary = tempfile::Builder::new()
            .prefix(".slhf-lab-partial-")
            // As any new folder: the umask takes away what the user does not give.
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(&parent)
            .map_err(io(&parent, "create a folder in it"))?;
        Ok(Self { folder: folder.to_owned(), parent, temporary, files: Vec::new() })
    }

    /// Writes one file and waits until the disk has it.
    pub(crate) fn write(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), PolicyError>,
    ) -> Result<(), PolicyError> {
        let path = self.temporary.path().join(name);
        let failed = || io(&self.folder.join(name), "write this file");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(failed())?);
        fill(&mut out)?;
        out.flush().map_err(failed())?;
        let file = out.get_ref();
        file.sync_all().map_err(failed())?;
        let size = file.metadata().map_err(failed())?.len();
        self.files.push((name.to_owned(), size));
        Ok(())
    }

    /// A file from bytes.
    pub(crate) fn write_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), PolicyError> {
        let path = self.folder.join(name);
        self.write(name, |out| out.write_all(bytes).map_err(io(&path, "write this file")))
    }

    /// Moves the folder to its place; returns the files' names and sizes.
    pub(crate) fn finish(self) -> Result<Vec<(String, u64)>, PolicyError> {
        let Self { folder, parent, temporary, files } = self;
        let sync = |path: &Path| slhf_files::sync_folder(path).map_err(io(path, "flush this folder"));
        sync(temporary.path())?;
        std::fs::rename(temporary.path(), &folder).map_err(io(&folder, "move the finished folder here"))?;
        // It is no longer where its guard would remove it.
        let _ = temporary.keep();
        sync(&parent)?;
        Ok(files)
    }
}

pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> PolicyError + use<> {
    let path = path.to_owned();
    move |source| PolicyError::Model(ModelError::Io { path, doing, source })
}

/// What went wrong with the tensors of a file, as the crate's error.
pub(crate) fn write_error(path: &Path) -> impl FnOnce(WriteError) -> PolicyError + use<> {
    let path = path.to_owned();
    move |error| match error {
        WriteError::Io(source) => PolicyError::Model(ModelError::Io { path, doing: "write this file", source }),
        WriteError::Torch { name, source } => {
            PolicyError::Torch { doing: format!("read the values of `{name}`"), source }
        }
        WriteError::Kind { name, kind } => PolicyError::Model(ModelError::Tensor {
            path,
            tensor: name,
            problem: format!("is of type {kind:?}, expected F32, BF16 or F16"),
        }),
    }
}
