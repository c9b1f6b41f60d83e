//! The folder of compiled plugins.
//!
//! Compiled code is native code: whoever can write into the folder can make the host run anything. The folder is
//! therefore the user's own, of mode 0700, and checked every time. In it lies a folder a plugin and engine with the
//! hashes of its files ([`store`]); within that, wasmtime's own cache, so that no `unsafe` deserialisation is needed here.

mod store;

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

pub(crate) use self::store::{Store, cache_in};
use crate::error::JudgeError;

/// Where compiled plugins are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheLocation {
    /// The user's cache: `$SLHF_LAB_CACHE`, else `$XDG_CACHE_HOME/slhf-lab`, else `~/.cache/slhf-lab`. Where that
    /// cannot be used, plugins are compiled every time, with a warning.
    #[default]
    User,
    /// This folder. It is made if it does not exist; an error if it cannot be used.
    Folder(PathBuf),
    /// Nowhere: plugins are compiled every time.
    Off,
}

/// Opens the cache; `None`: compile every time.
pub(crate) fn open(location: &CacheLocation) -> Result<Option<Store>, JudgeError> {
    match location {
        CacheLocation::Off => Ok(None),
        CacheLocation::Folder(folder) => open_folder(folder).map(Some),
        CacheLocation::User => {
            let opened = user_folder(|name| env::var_os(name).map(PathBuf::from)).map(|folder| open_folder(&folder));
            Ok(opened.and_then(|opened| {
                opened.inspect_err(|error| tracing::warn!("{error}; plugins are compiled anew every time")).ok()
            }))
        }
    }
}

/// The folder by the environment; relative paths and empty values do not count, as the XDG specification has it.
fn user_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    absolute("SLHF_LAB_CACHE")
        .or_else(|| absolute("XDG_CACHE_HOME").map(|cache| cache.join("slhf-lab")))
        .or_else(|| absolute("HOME").map(|home| home.join(".cache").join("slhf-lab")))
        .map(|cache| cache.join("compiled-plugins"))
}

fn open_folder(folder: &Path) -> Result<Store, JudgeError> {
    let fault = |fault: String| JudgeError::Cache { path: folder.to_owned(), fault };
    let unusable = |error: io::Error| fault(format!("cannot be used: {error}"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let metadata = fs::symlink_metadata(folder).map_err(unusable)?;
    if !metadata.is_dir() {
        return Err(fault("is not a folder: remove it".to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(fault(format!(
            "belongs to user {}, not to you; what is compiled there would be run: name another with SLHF_LAB_CACHE",
            metadata.uid()
        )));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(fault(format!(
            "is open to other users (mode {:o}); what is compiled there would be run: remove it, or `chmod 700` it",
            metadata.mode() & 0o777
        )));
    }
    Ok(Store::new(fs::canonicalize(folder).map_err(unusable)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_environment_names_the_folder() {
        let check = |set: &[(&str, &str)], expect: Option<&str>| {
            let folder = user_folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()));
            assert_eq!(folder, expect.map(PathBuf::from), "{set:?}");
        };
        check(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), ("SLHF_LAB_CACHE", "/s")], Some("/s/compiled-plugins"));
        check(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], Some("/x/slhf-lab/compiled-plugins"));
        check(&[("HOME", "/h"), ("XDG_CACHE_HOME", "")], Some("/h/.cache/slhf-lab/compiled-plugins"));
        check(&[("HOME", "/h"), ("SLHF_LAB_CACHE", "relative")], Some("/h/.cache/slhf-lab/compiled-plugins"));
        check(&[], None);
    }

    #[test]
    fn a_new_folder_is_the_users_alone() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("a").join("compiled-plugins");
        open_folder(&folder).expect("a folder of one's own is fine");
        assert_eq!(fs::metadata(&folder).expect("it exists").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("compiled-plugins");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).expect("its mode");
        let error = open_folder(&folder).expect_err("others could write into it").to_string();
        assert!(error.contains("is open to other users (mode 770)"), "{error}");
    }

    #[test]
    fn a_link_or_a_file_is_refused() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let target = home.path().join("elsewhere");
        fs::create_dir(&target).expect("a folder");
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        assert!(open_folder(&link).is_err(), "a link may be turned to elsewhere after the check");
        let file = home.path().join("file");
        fs::write(&file, "").expect("a file");
        assert!(open_folder(&file).is_err());
    }
}
