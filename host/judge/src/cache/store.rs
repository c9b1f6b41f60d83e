//! One folder a plugin and engine, with the hashes of its files: looked at before wasmtime reads a byte.
//!
//! wasmtime believes what lies in its cache; a flipped bit there is a jump to anywhere in this process. Each folder is
//! made beside its place, hashed, and renamed; a folder whose files are not what its list says is thrown away and made
//! anew.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use wasmtime::{Cache, CacheConfig};

use crate::{error::FileFault, inspect::FILE_BYTES_MAX};

/// The list of files, in each folder.
const LIST: &str = "files.json";
/// What wasmtime writes, in each folder.
const CODE: &str = "code";
/// How folders that are being made begin.
const NEW: &str = ".new-";
/// What earlier versions kept here, without hashes.
const UNVERIFIED: &str = "modules";
/// Folders beyond which the one that was not used for longest goes.
const ENTRIES_MAX: usize = 256;
/// Bytes of all folders together, likewise.
const BYTES_MAX: u64 = 1 << 30;
/// Longest list that is read.
const LIST_BYTES_MAX: u64 = 1 << 20;
/// How exactly it is known when a folder was used last.
const DAY: Duration = Duration::from_hours(24);

/// The folder of all.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    hits: AtomicUsize,
    misses: AtomicUsize,
}

/// What lies in a folder.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    version: u32,
    /// By path within the folder of code.
    files: BTreeMap<PathBuf, Listed>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    bytes: u64,
    sha256: String,
}

const VERSION: u32 = 1;

impl Store {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, hits: AtomicUsize::new(0), misses: AtomicUsize::new(0) }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn hits_and_misses(&self) -> (usize, usize) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// Counts a component that was loaded out of `cache`.
    pub(crate) fn count(&self, cache: &Cache, was_made_now: bool) {
        if was_made_now || cache.cache_hits() == 0 {
            self.misses.fetch_add(1, Ordering::Relaxed);
        } else {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The folder of this name for wasmtime, every byte of it as it was written; one that is not is removed.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let folder = self.root.join(name);
        fs::symlink_metadata(&folder).ok()?;
        match verify(&folder) {
            Ok(()) => {
                mark_as_used(&folder);
                Some(folder.join(CODE))
            }
            Err(problem) => {
                let place = folder.display();
                tracing::warn!("the compiled plugin in {place} is damaged ({problem}); it is compiled anew");
                if let Err(error) = remove(&folder) {
                    tracing::warn!("{place} cannot be removed: {error}");
                }
                None
            }
        }
    }

    /// Has `compile` fill a folder, and puts it in its place; `None` where the disk does not take it, with a warning.
    pub(crate) fn make(
        &self,
        name: &str,
        compile: impl FnOnce(&Path) -> Result<(), FileFault>,
    ) -> Result<Option<PathBuf>, FileFault> {
        let refused = |error: &io::Error| {
            let root = self.root.display();
            tracing::warn!("a compiled plugin cannot be kept in {root} ({error}); it is compiled anew every time");
            None
        };
        let new = match tempfile::Builder::new().prefix(NEW).tempdir_in(&self.root) {
            Ok(new) => new,
            Err(error) => return Ok(refused(&error)),
        };
        compile(&new.path().join(CODE))?;
        let placed = write_list(new.path()).and_then(|()| {
            let target = self.root.join(name);
            match fs::rename(new.path(), &target) {
                Ok(()) => Ok(()),
                // Another process was faster, and what it made is as good.
                Err(_) if verify(&target).is_ok() => Ok(()),
                Err(error) => Err(error),
            }
        });
        self.prune();
        Ok(match placed {
            Ok(()) => Some(self.root.join(name).join(CODE)),
            Err(error) => refused(&error),
        })
    }

    /// Keeps what was used last. Nothing depends on it.
    fn prune(&self) {
        let _ = remove(&self.root.join(UNVERIFIED));
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let path = entry.path();
            let used = |file: &Path| fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
            let is_new = entry.file_name().to_string_lossy().starts_with(NEW);
            match used(&path.join(LIST)).or_else(|| used(&path)) {
                // Somebody's that was killed while it compiled.
                Some(time) if is_new && time.elapsed().is_ok_and(|age| age > DAY) => drop(remove(&path)),
                Some(time) if !is_new => entries.push((time, bytes_below(&path), path)),
                _ => {}
            }
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.0));
        let mut bytes = 0;
        for (index, (_, own, path)) in entries.iter().enumerate() {
            bytes += own;
            if index >= ENTRIES_MAX || (bytes > BYTES_MAX && index > 0) {
                let _ = remove(path);
            }
        }
    }
}

/// A cache of wasmtime's in this folder alone.
pub(crate) fn cache_in(folder: &Path) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    // Recompressing what is used often would cost a core for seconds, in the middle of somebody's measurement.
    config.with_optimized_compression_usage_counter_threshold(u64::MAX);
    Cache::new(config)
}

/// Why a folder is not what it was; the end of a sentence.
fn verify(folder: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("{LIST} cannot be read: {error}");
    if !fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir()) {
        return Err("it is no folder".to_owned());
    }
    for entry in fs::read_dir(folder).map_err(unreadable)?.flatten() {
        if entry.file_name() != LIST && entry.file_name() != CODE {
            return Err(format!("{} was not written with it", entry.file_name().display()));
        }
    }
    let mut text = Vec::new();
    let list = regular(&folder.join(LIST)).map_err(unreadable)?;
    list.take(LIST_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
    let list: List = serde_json::from_slice(&text).map_err(|error| format!("{LIST} is no list of files: {error}"))?;
    if list.version != VERSION || list.files.is_empty() {
        return Err(format!("{LIST} is no list of files"));
    }
    let code = folder.join(CODE);
    let found = files_below(&code).map_err(|error| format!("{CODE} cannot be read: {error}"))?;
    for path in &found {
        if !list.files.contains_key(path) {
            scrap(&code, path, &list)?;
        }
    }
    for (path, listed) in &list.files {
        let hash = hash(&code.join(path), listed.bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        if hash != listed.sha256 {
            return Err(format!("{} is not what was written", path.display()));
        }
    }
    Ok(())
}

/// Notes that wasmtime makes beside its files (how often one was used, that it tidies up) are no code and are dropped before
/// it reads them; anything else is not from here.
fn scrap(code: &Path, path: &Path, list: &List) -> Result<(), String> {
    let tidies_up = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".cleanup."));
    let is_note = tidies_up || path.extension().is_some() && list.files.contains_key(&path.with_extension(""));
    if is_note && fs::symlink_metadata(code.join(path)).is_ok_and(|metadata| metadata.is_file()) {
        // One that another process dropped or replaced at this moment is none of ours.
        let _ = fs::remove_file(code.join(path));
        return Ok(());
    }
    // One that is gone by now was such a note.
    if !tidies_up && fs::symlink_metadata(code.join(path)).is_ok() {
        return Err(format!("{} was not written with it", path.display()));
    }
    Ok(())
}

fn write_list(folder: &Path) -> io::Result<()> {
    let code = folder.join(CODE);
    let mut files = BTreeMap::new();
    for path in files_below(&code)? {
        // Notes come and go; what is compiled has a name without a dot.
        if path.file_name().is_some_and(|name| !name.as_encoded_bytes().contains(&b'.')) {
            let bytes = fs::symlink_metadata(code.join(&path))?.len();
            let sha256 = hash(&code.join(&path), bytes)?;
            files.insert(path, Listed { bytes, sha256 });
        }
    }
    if files.is_empty() {
        return Err(io::Error::other("nothing was written"));
    }
    let text = serde_json::to_vec_pretty(&List { version: VERSION, files })?;
    fs::write(folder.join(LIST), text)
}

/// All that is no folder, by its path below `folder`.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    /// Folders in each other; wasmtime makes two.
    const DEPTH_MAX: usize = 8;
    let mut found = Vec::new();
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((inner, depth)) = open.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() && depth < DEPTH_MAX {
                open.push((path, depth + 1));
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn bytes_below(folder: &Path) -> u64 {
    let files = files_below(folder).unwrap_or_default();
    files.iter().filter_map(|path| fs::symlink_metadata(folder.join(path)).ok()).map(|metadata| metadata.len()).sum()
}

/// Opens a regular file and nothing else.
fn regular(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("it is no file")) }
}

/// SHA-256 of a file that must have so many bytes.
fn hash(path: &Path, bytes: u64) -> io::Result<String> {
    let file = regular(path)?;
    if file.metadata()?.len() != bytes || bytes > 4 * FILE_BYTES_MAX {
        return Err(io::Error::other("another size than was written"));
    }
    let mut content = Vec::with_capacity(bytes as usize);
    file.take(bytes + 1).read_to_end(&mut content)?;
    Ok(slhf_files::sha256_hex(&content))
}

fn mark_as_used(folder: &Path) {
    let list = folder.join(LIST);
    let is_old = |time: SystemTime| time.elapsed().is_ok_and(|age| age > DAY);
    if fs::metadata(&list).and_then(|metadata| metadata.modified()).is_ok_and(is_old) {
        let _ = File::options().append(true).open(&list).and_then(|file| file.set_modified(SystemTime::now()));
    }
}

/// Of the whole folder, or of whatever lies in its place.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(root.path().to_owned());
        (root, store)
    }

    #[expect(clippy::unnecessary_wraps, reason = "a compiler may refuse")]
    fn fill(folder: &Path) -> Result<(), FileFault> {
        fs::create_dir_all(folder.join("modules/v")).expect("a folder");
        fs::write(folder.join("modules/v/code-1"), b"native").expect("a file");
        fs::write(folder.join("modules/v/code-1.stats"), b"usages = 1").expect("a file");
        Ok(())
    }

    #[test]
    fn what_was_not_touched_is_found_and_notes_are_dropped() {
        let (_root, store) = store();
        assert_eq!(store.find("a"), None);
        let made = store.make("a", fill).expect("it compiles").expect("it is kept");
        assert_eq!(store.find("a"), Some(made.clone()));
        assert!(!made.join("modules/v/code-1.stats").exists(), "wasmtime reads no note that was not checked");
        // A second process that was slower.
        assert_eq!(store.make("a", fill).expect("it compiles"), Some(made));
    }

    #[test]
    fn whatever_is_touched_is_made_anew() {
        let check = |touch: &dyn Fn(&Path)| {
            let (_root, store) = store();
            let made = store.make("a", fill).expect("it compiles").expect("it is kept");
            touch(made.parent().expect("the entry"));
            assert_eq!(store.find("a"), None);
            assert!(!store.root().join("a").exists(), "it is gone");
            assert!(store.make("a", fill).expect("it compiles").is_some());
            assert!(store.find("a").is_some());
        };
        let code = "code/modules/v/code-1";
        check(&|entry| fs::write(entry.join(code), b"natIve").expect("it is ours"));
        check(&|entry| fs::write(entry.join(code), b"nativ").expect("it is ours"));
        check(&|entry| fs::write(entry.join(code), b"").expect("it is ours"));
        check(&|entry| fs::remove_file(entry.join(code)).expect("it is ours"));
        check(&|entry| fs::write(entry.join("code/modules/v/code-2"), b"x").expect("it is ours"));
        check(&|entry| fs::write(entry.join("files.json"), b"{}").expect("it is ours"));
        check(&|entry| fs::remove_file(entry.join("files.json")).expect("it is ours"));
        check(&|entry| {
            fs::remove_file(entry.join(code)).expect("it is ours");
            fs::write(entry.join("elsewhere"), b"native").expect("it is ours");
            std::os::unix::fs::symlink(entry.join("elsewhere"), entry.join(code)).expect("a link");
        });
    }

    #[test]
    fn a_refusal_leaves_nothing_behind() {
        let (root, store) = store();
        let refused = store.make("a", |_| Err(FileFault::NoWorld));
        assert_eq!(refused, Err(FileFault::NoWorld));
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn the_oldest_go_and_so_does_what_has_no_hashes() {
        let (root, store) = store();
        fs::create_dir(root.path().join(UNVERIFIED)).expect("a folder");
        for name in 0..=ENTRIES_MAX {
            store.make(&name.to_string(), fill).expect("it compiles");
            let list =
                File::options().append(true).open(root.path().join(name.to_string()).join(LIST)).expect("its list");
            list.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(name as u64)).expect("its time");
        }
        store.make("last", fill).expect("it compiles");
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), ENTRIES_MAX);
        assert!(store.find("last").is_some() && store.find("0").is_none());
    }
}
