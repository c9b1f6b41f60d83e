//! Components of plugins, kept once by their SHA-256 in the record's folder: a run can be computed again when the file that it named
//! is another one by now.

use std::io;
use std::path::{Path, PathBuf};

use slhf_files::{replace, sha256_hex};
use slhf_judge::FILE_BYTES_MAX;
use slhf_plan::{PluginPlan, Work};
use slhf_record::{COMPONENTS as FOLDER, Record};

use crate::failure::Failure;

/// Keeps the components that a plan names, those that are wrapped by others too. What is there is not written again.
pub(super) fn keep(record_folder: &Path, work: &Work) -> io::Result<()> {
    for plugin in all(work) {
        let kept = place(record_folder, &plugin.sha256);
        if kept.exists() {
            continue;
        }
        let bytes = slhf_files::read(Path::new(&plugin.path), FILE_BYTES_MAX)?;
        // Another file than the plan's is refused when it is loaded, and is not kept under its name.
        if sha256_hex(&bytes) == plugin.sha256 {
            std::fs::create_dir_all(record_folder.join(FOLDER))?;
            replace(&kept, &bytes)?;
        }
    }
    Ok(())
}

/// Keeps the components of plans that are computed elsewhere. One that cannot be read is said.
pub(crate) fn keep_all(record: &mut Record, works: &[&Work]) -> Result<(), Failure> {
    let (folder, _) = record.claim_checkpoint_folder().map_err(Failure::failed)?;
    for work in works {
        if let Err(error) = keep(folder.path(), work) {
            crate::output::say(format!("note: a plugin is not kept beside the record: {error}"));
        }
    }
    Ok(())
}

/// A component with this hash: where the plan says, else where it is kept.
pub(crate) fn find(record_folder: &Path, path: &Path, sha256: &str) -> Option<PathBuf> {
    let is_it = |path: &Path| slhf_files::read(path, FILE_BYTES_MAX).is_ok_and(|bytes| sha256_hex(bytes) == sha256);
    [path.to_owned(), place(record_folder, sha256)].into_iter().find(|path| is_it(path))
}

fn place(record_folder: &Path, sha256: &str) -> PathBuf {
    record_folder.join(FOLDER).join(format!("{sha256}.wasm"))
}

fn all(work: &Work) -> Vec<&PluginPlan> {
    let mut found = Vec::new();
    let mut open = work.plugins();
    while let Some(plugin) = open.pop() {
        open.extend(plugin.upstream.as_deref());
        found.push(plugin);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_found_where_it_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = folder.path().join("judge.wasm");
        let hash = sha256_hex(b"one");
        assert_eq!(find(folder.path(), &named, &hash), None);
        std::fs::create_dir(folder.path().join(FOLDER)).expect("made");
        std::fs::write(place(folder.path(), &hash), b"one").expect("written");
        std::fs::write(&named, b"another").expect("written");
        assert_eq!(find(folder.path(), &named, &hash), Some(place(folder.path(), &hash)));
        std::fs::write(&named, b"one").expect("written");
        assert_eq!(find(folder.path(), &named, &hash), Some(named));
    }
}
