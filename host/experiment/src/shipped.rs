//! Where the shipped plugins lie.

use std::path::{Path, PathBuf};

/// Where `cargo xtask install` puts them, beside the executable's folder.
const INSTALLED: &str = "share/slhf-lab/plugins";

/// The folder of the shipped plugins: `SLHF_LAB_PLUGINS` if set; else what is there of `plugins` beside the executable's folder,
/// `share/slhf-lab/plugins` beside it, and `plugins` in it.
pub fn shipped_plugins() -> PathBuf {
    if let Some(folder) = std::env::var_os("SLHF_LAB_PLUGINS").filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder);
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let own = executable.parent().unwrap_or(Path::new(""));
    let above = own.parent().unwrap_or(own);
    let beside = above.join("plugins");
    let elsewhere = [above.join(INSTALLED), own.join("plugins")];
    if beside.is_dir() { beside } else { elsewhere.into_iter().find(|folder| folder.is_dir()).unwrap_or(beside) }
}
