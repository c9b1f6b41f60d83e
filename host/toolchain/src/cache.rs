//! The cache folder and how an entry comes into it: under a lock, built in a temporary folder, renamed
//! into place when whole. An entry without its manifest does not exist.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Environment, Error, Say};

/// The variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "SLHF_LAB_CACHE";

const MANIFEST: &str = "manifest.txt";

/// The folder that keeps what was fetched or compiled once for all clones of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `SLHF_LAB_CACHE`, else `XDG_CACHE_HOME/slhf-lab`, else `HOME/.cache/slhf-lab`. Relative values
    /// are taken from the current folder.
    pub fn of(environment: &Environment) -> Result<Self, Error> {
        let named = |name| environment.get(name).map(PathBuf::from);
        let root = named(CACHE_VARIABLE)
            .or_else(|| named("XDG_CACHE_HOME").map(|folder| folder.join("slhf-lab")))
            .or_else(|| named("HOME").map(|folder| folder.join(".cache/slhf-lab")))
            .ok_or(Error::NoCacheFolder)?;
        let root = std::path::absolute(&root).map_err(Error::file("resolve", &root))?;
        Ok(Self { root })
    }

    /// The folder itself; it may not exist yet.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the entry called `name` lies, or would lie.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The manifest of the entry called `name`, if the entry is there.
    pub fn manifest(&self, name: &str) -> Option<Manifest> {
        let text = slhf_files::read_text(&self.folder(name).join(MANIFEST), slhf_files::SETTINGS_BYTES_MAX).ok()?;
        Some(Manifest::parse(&text))
    }

    /// Makes the entry called `name`, unless `is_whole` says (also after waiting for another process
    /// that makes it) that it is there. `build` fills the empty temporary folder it is given, on the
    /// same file system. What an interrupted attempt left behind is removed.
    pub(crate) fn install(
        &self,
        name: &str,
        is_whole: impl Fn() -> bool,
        say: Say<'_>,
        build: impl FnOnce(&Path, Say<'_>) -> Result<Manifest, Error>,
    ) -> Result<PathBuf, Error> {
        fs::create_dir_all(&self.root).map_err(Error::file("create", &self.root))?;
        let _held_until_return = self.lock(name, say)?;
        let folder = self.folder(name);
        if is_whole() {
            return Ok(folder);
        }
        let unfinished = self.root.join(format!("{name}.unfinished"));
        remove(&unfinished)?;
        fs::create_dir(&unfinished).map_err(Error::file("create", &unfinished))?;
        let built = build(&unfinished, say).and_then(|manifest| {
            let path = unfinished.join(MANIFEST);
            fs::write(&path, manifest.print()).map_err(Error::file("write", &path))
        });
        if let Err(error) = built {
            // The first error is the one worth telling; what is left here goes at the next attempt.
            let _ = remove(&unfinished);
            return Err(error);
        }
        remove(&folder)?;
        fs::rename(&unfinished, &folder).map_err(Error::file("move into place", &folder))?;
        Ok(folder)
    }

    /// The lock of one entry; the file stays, the lock goes with the returned handle.
    fn lock(&self, name: &str, say: Say<'_>) -> Result<File, Error> {
        let path = self.root.join(format!("{name}.lock"));
        let file = File::create(&path).map_err(Error::file("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                say(&format!("waiting for another set-up that makes {name}"));
                file.lock().map_err(Error::file("lock", &path))?;
                Ok(file)
            }
            Err(TryLockError::Error(source)) => Err(Error::File { doing: "lock", path, source }),
        }
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::file("remove", folder))?;
    }
    Ok(())
}

/// What an entry was made of: `key = value` lines (versions, hashes), sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    lines: BTreeMap<String, String>,
}

impl Manifest {
    /// The same with one more line.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.lines.insert(key.into(), value.into());
        self
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.get(key).map(String::as_str)
    }

    fn print(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.lines {
            text.push_str(key);
            text.push_str(" = ");
            text.push_str(value);
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_in(folder: &Path) -> Cache {
        Cache::of(&Environment::default().with(CACHE_VARIABLE, folder)).expect("named")
    }

    #[test]
    fn the_folder_is_named_by_the_first_variable_that_is_set() {
        let check = |variables: &[(&str, &str)], expect: Option<&str>| {
            let environment =
                variables.iter().fold(Environment::default(), |so_far, (name, value)| so_far.with(name, value));
            let root = Cache::of(&environment).ok().map(|cache| cache.root);
            assert_eq!(root, expect.map(PathBuf::from));
        };
        check(&[], None);
        check(&[("HOME", "/h")], Some("/h/.cache/slhf-lab"));
        check(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], Some("/x/slhf-lab"));
        check(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), (CACHE_VARIABLE, "/c")], Some("/c"));
        check(&[("HOME", "/h"), (CACHE_VARIABLE, "")], Some("/h/.cache/slhf-lab"));
    }

    #[test]
    fn an_entry_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let cache = cache_in(&folder.path().join("new"));
        for round in 0..2 {
            let mut builds = 0;
            let is_whole = || cache.manifest("thing").is_some();
            let made = cache.install("thing", is_whole, &mut |_| (), |temporary, _| {
                builds += 1;
                fs::write(temporary.join("file"), "content").expect("write");
                Ok(Manifest::default().with("version", "1 = one"))
            });
            assert_eq!(made.expect("installed"), cache.folder("thing"));
            assert_eq!(builds, 1 - round);
        }
        let manifest = cache.manifest("thing").expect("there");
        assert_eq!(manifest.get("version"), Some("1 = one"));
        assert!(cache.folder("thing").join("file").exists());
    }

    #[test]
    fn a_failed_or_killed_attempt_leaves_no_entry() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let cache = cache_in(folder.path());
        // What a kill in the middle leaves behind.
        fs::create_dir(folder.path().join("thing.unfinished")).expect("folder");
        fs::write(folder.path().join("thing.unfinished/half"), "").expect("file");

        let failed = cache.install(
            "thing",
            || false,
            &mut |_| (),
            |temporary, _| {
                assert!(!temporary.join("half").exists(), "starts empty");
                fs::write(temporary.join("other-half"), "").expect("write");
                Err(Error::NoCacheFolder)
            },
        );
        assert!(matches!(failed, Err(Error::NoCacheFolder)));
        assert_eq!(cache.manifest("thing"), None);
        assert!(!cache.folder("thing").exists());
        assert!(!folder.path().join("thing.unfinished").exists());
    }

    #[test]
    fn two_processes_make_an_entry_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let cache = cache_in(folder.path());
        let builds = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let is_whole = || cache.manifest("thing").is_some();
                    cache
                        .install("thing", is_whole, &mut |_| (), |_, _| {
                            builds.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            Ok(Manifest::default())
                        })
                        .expect("installed");
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }
}
