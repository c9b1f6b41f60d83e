//! Where the shipped plugins lie.

use std::path::{Path, PathBuf};

/// The folder of the shipped plugins: `SLHF_LAB_PLUGINS` if set; else `plugins` beside the executable's folder; else
/// `plugins` in it.
pub(crate) fn shipped_plugins() -> PathBuf {
    if let Some(folder) = std::env::var_os("SLHF_LAB_PLUGINS").filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder);
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let own = executable.parent().unwrap_or(Path::new(""));
    let beside = own.parent().unwrap_or(own).join("plugins");
    let inside = own.join("plugins");
    if !beside.is_dir() && inside.is_dir() { inside } else { beside }
}
