//! Small files of a launch, each written whole or not at all, and names for its folders.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slhf_files::{SETTINGS_BYTES_MAX, read_text, replace_own};

use crate::LaunchError;

/// 64 random bits.
pub(crate) fn token() -> Result<String, LaunchError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| LaunchError::Random(error.to_string()))?;
    Ok(hex::encode(bytes))
}

/// The folders in a folder, in the order of their names; none where there is no such folder.
pub(crate) fn folders(root: &Path) -> Result<Vec<PathBuf>, LaunchError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LaunchError::files("listing", root)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LaunchError::files("listing", root))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LaunchError> {
    let unreadable =
        |error: serde_json::Error| LaunchError::Unreadable { path: path.to_owned(), why: error.to_string() };
    let text = serde_json::to_vec(value).map_err(unreadable)?;
    replace_own(path, &text).map_err(LaunchError::files("writing", path))
}

pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, LaunchError> {
    let text = read_text(path, SETTINGS_BYTES_MAX).map_err(LaunchError::files("reading", path))?;
    serde_json::from_str(&text)
        .map_err(|error| LaunchError::Unreadable { path: path.to_owned(), why: error.to_string() })
}
