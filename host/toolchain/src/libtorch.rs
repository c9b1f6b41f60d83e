//! libtorch, the C++ library under the worker: where it is looked for, and what must be there.

mod install;
mod release;
mod wheels;

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Cache, Environment, Error, Say};

pub use release::{Build, VERSION};

/// The variable that names a libtorch folder, for `torch-sys` and for this project.
pub const VARIABLE: &str = "LIBTORCH";

/// Files without which neither the bindings compile nor the worker starts.
const REQUIRED: [&str; 4] =
    ["include/torch/csrc/api/include/torch/torch.h", "lib/libtorch.so", "lib/libtorch_cpu.so", "lib/libc10.so"];

/// A libtorch that can be built against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libtorch {
    /// The folder that holds `include` and `lib`: the value for `LIBTORCH`.
    pub folder: PathBuf,
    /// Who named it.
    pub source: Source,
    /// What it computes on.
    pub build: Build,
}

/// Who named a libtorch folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The variable `LIBTORCH`.
    Variable,
    /// The cache folder, where an installation put it.
    Cache,
}

/// Looks for libtorch: `LIBTORCH` when it is set (then it must be right), else what is in the cache, that with CUDA last.
/// `None`: nothing is named and nothing is in the cache.
pub fn find(environment: &Environment) -> Result<Option<Libtorch>, Error> {
    if let Some(found) = named(environment)? {
        return Ok(Some(found));
    }
    let cache = Cache::of(environment)?;
    Ok([Build::Cpu, Build::Cuda].into_iter().find_map(|build| in_cache(&cache, build)))
}

/// What `LIBTORCH` names.
fn named(environment: &Environment) -> Result<Option<Libtorch>, Error> {
    let Some(named) = environment.get(VARIABLE) else { return Ok(None) };
    let folder = PathBuf::from(named);
    verify(&folder, VARIABLE)?;
    let build = Build::of(&folder);
    Ok(Some(Libtorch { folder, source: Source::Variable, build }))
}

/// What `LIBTORCH` names, else the build in the cache folder, installed where it is not there.
pub fn find_or_install(environment: &Environment, build: Build, say: Say<'_>) -> Result<Libtorch, Error> {
    if let Some(found) = named(environment)? {
        return Ok(found);
    }
    let cache = Cache::of(environment)?;
    if let Some(found) = in_cache(&cache, build) {
        return Ok(found);
    }
    let is_whole = || in_cache(&cache, build).is_some();
    let prepared = install::Prepared::of(environment, &cache, build)?;
    let entry = cache.install(build.entry(), is_whole, say, |folder, say| prepared.make(folder, say))?;
    Ok(Libtorch { folder: entry.join("torch"), source: Source::Cache, build })
}

/// What the libtorch in a folder computes on, also where it lay in the cache and is not there any more.
///
/// # Errors
/// No cache folder is known.
pub fn build_of(environment: &Environment, folder: &Path) -> Result<Build, Error> {
    let cache = Cache::of(environment)?;
    let lay_there = |build: &Build| folder == cache.folder(build.entry()).join("torch");
    Ok([Build::Cpu, Build::Cuda].into_iter().find(lay_there).unwrap_or_else(|| Build::of(folder)))
}

/// Checks that `folder` is a libtorch that can be built against. `origin` names, in the error, who said
/// that it is one.
pub fn verify(folder: &Path, origin: &'static str) -> Result<(), Error> {
    if let Some(missing) = REQUIRED.into_iter().find(|file| !folder.join(file).exists()) {
        return Err(Error::LibtorchIncomplete { origin, folder: folder.to_owned(), missing, expected: VERSION });
    }
    match version(folder) {
        // Distributions may leave the version out; `torch-sys` then does not check it either.
        None => Ok(()),
        Some(found) if found == VERSION => Ok(()),
        Some(found) => Err(Error::LibtorchVersion { origin, folder: folder.to_owned(), found, expected: VERSION }),
    }
}

/// A file that states a version is a few lines.
const STATED_BYTES_MAX: u64 = 1 << 20;

/// The version a libtorch folder states, without the part after "+": in `build-version` (a libtorch
/// archive) or `version.py` (an installed Python package).
fn version(folder: &Path) -> Option<String> {
    let plain = slhf_files::read_text(&folder.join("build-version"), STATED_BYTES_MAX).ok();
    let stated = plain.or_else(|| {
        let python = slhf_files::read_text(&folder.join("version.py"), STATED_BYTES_MAX).ok()?;
        let line = python.lines().find(|line| line.starts_with("__version__"))?;
        let (_, value) = line.split_once('=')?;
        Some(value.trim().trim_matches(['\'', '"']).to_owned())
    })?;
    let stated = stated.trim();
    Some(stated.split('+').next().unwrap_or(stated).to_owned())
}

fn in_cache(cache: &Cache, build: Build) -> Option<Libtorch> {
    let manifest = cache.manifest(build.entry())?;
    let folder = cache.folder(build.entry()).join("torch");
    let sizes_agree = install::libraries(build).iter().all(|library| {
        let written = manifest.get(&install::size_key(library)).and_then(|size| size.parse::<u64>().ok());
        let found = fs::metadata(folder.join("lib").join(library)).map(|file| file.len());
        written.is_some() && written == found.ok()
    });
    let is_whole = sizes_agree && verify(&folder, "the cache folder").is_ok();
    is_whole.then_some(Libtorch { folder, source: Source::Cache, build })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CACHE_VARIABLE, Manifest};

    /// Writes the files a libtorch must have, and the version it states.
    fn fake_libtorch(folder: &Path, version_file: &str, version: &str) {
        for file in REQUIRED {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("folder");
            fs::write(path, file).expect("file");
        }
        fs::write(folder.join(version_file), version).expect("version");
    }

    #[test]
    fn a_named_libtorch_is_used_when_its_version_fits() {
        let check = |version_file: &str, content: &str, expect: Result<(), &str>| {
            let folder = tempfile::tempdir().expect("temporary folder");
            fake_libtorch(folder.path(), version_file, content);
            let environment = Environment::default().with(VARIABLE, folder.path());
            let found = find(&environment).map_err(|error| {
                let path = folder.path().display().to_string();
                error.to_string().replace(&path, "FOLDER")
            });
            match expect {
                Ok(()) => {
                    let found = found.expect("fits").expect("named");
                    assert_eq!(found.folder, folder.path());
                    assert_eq!(found.source, Source::Variable);
                }
                Err(sentence) => assert_eq!(found, Err(sentence.to_owned())),
            }
        };
        check("build-version", "2.11.0\n", Ok(()));
        check("build-version", "2.11.0+cu130", Ok(()));
        check("version.py", "import x\n__version__ = '2.11.0+cu130'\n", Ok(()));
        check("unrelated", "", Ok(()));
        check(
            "build-version",
            "2.7.1+cpu\n",
            Err(
                "LIBTORCH names FOLDER, which is libtorch 2.7.1, but this build needs 2.11.0: point it at that version, or unset it to have one fetched",
            ),
        );
        check(
            "version.py",
            "__version__ = \"2.10.0\"",
            Err(
                "LIBTORCH names FOLDER, which is libtorch 2.10.0, but this build needs 2.11.0: point it at that version, or unset it to have one fetched",
            ),
        );
    }

    #[test]
    fn a_named_folder_that_is_no_libtorch_is_an_error_not_a_download() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fake_libtorch(folder.path(), "build-version", VERSION);
        fs::remove_file(folder.path().join("lib/libtorch_cpu.so")).expect("was there");
        let environment =
            Environment::default().with(VARIABLE, folder.path()).with(CACHE_VARIABLE, folder.path().join("cache"));
        let error = find_or_install(&environment, Build::Cpu, &mut |line| panic!("said: {line}"))
            .expect_err("a library is missing");
        assert_eq!(
            error.to_string().replace(&folder.path().display().to_string(), "FOLDER"),
            "LIBTORCH names FOLDER as libtorch, but lib/libtorch_cpu.so is not there: point it at a folder with include/ and lib/ of libtorch 2.11.0, or unset it to have one fetched"
        );
    }

    #[test]
    fn an_entry_of_the_cache_counts_only_when_whole() {
        for build in [Build::Cuda, Build::Cpu] {
            let folder = tempfile::tempdir().expect("temporary folder");
            let environment = Environment::default().with(CACHE_VARIABLE, folder.path());
            let cache = Cache::of(&environment).expect("named");
            assert_eq!(find(&environment).expect("searched"), None, "empty cache");

            let make = |temporary: &Path, _: Say<'_>| {
                let torch = temporary.join("torch");
                fake_libtorch(&torch, "build-version", VERSION);
                let mut manifest = Manifest::default();
                for library in install::libraries(build) {
                    fs::write(torch.join("lib").join(library), library).expect("library");
                    manifest = manifest.with(install::size_key(library), library.len().to_string());
                }
                Ok(manifest)
            };
            cache.install(build.entry(), || false, &mut |_| (), make).expect("installed");
            let found = find(&environment).expect("searched").expect("there");
            assert_eq!(found.folder, cache.folder(build.entry()).join("torch"));
            assert_eq!((found.source, found.build), (Source::Cache, build));
            assert_eq!(find_or_install(&environment, build, &mut |_| ()).expect("there"), found);

            fs::write(found.folder.join("lib/libtorch_cpu.so"), "cut").expect("truncated");
            assert_eq!(find(&environment).expect("searched"), None, "a library was cut short");
            // What was chosen is known where nothing of it is left.
            fs::remove_dir_all(&found.folder).expect("removed");
            assert_eq!(build_of(&environment, &found.folder).expect("known"), build);
        }
    }
}
