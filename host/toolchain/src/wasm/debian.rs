//! The second route, on Debian: a newer rustc with the wasm target from Debian's own archive, unpacked in the
//! cache folder. It runs through its own loader and C library, so that it needs nothing of the system's,
//! and borrows `rust-lld` from the active toolchain.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::apt::{KEYRING, Package, PrivateApt, debian_mirror};
use super::compiler::{Source, TARGET, WasmCompiler, active_rustc, has_standard_library, sysroot};
use crate::environment::{Task, run};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

/// What is fetched, for telling beforehand; the packages change with time.
pub const DOWNLOAD_ABOUT: Bytes = Bytes(200_000_000);

/// What stays on disk, about.
pub const ON_DISK_ABOUT: Bytes = Bytes(600_000_000);

/// Packages, their unpacked files and the package lists lie side by side for a while.
const PEAK: Bytes = Bytes(1_200_000_000);

/// The cache entry; the number changes with the recipe.
const ENTRY: &str = "wasm-rustc-debian-1";

/// The Debian release that is taken, by its name, so that its later fate does not change the recipe.
const SUITE: &str = "forky";

/// Where rustc looks for its linker, below the folder of a toolchain.
const LINKER_FOLDER: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin";

const LINKER: &str = "rust-lld";

/// Starts the compiler through the loader beside it. Found from its own place, so that the entry can be
/// built in one folder and moved to another.
const WRAPPER: &str = r#"#!/bin/sh
P=${0%/*}
exec "$P/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$P/usr/bin/rustc" --library-path "$P/usr/lib/x86_64-linux-gnu" "$P/usr/bin/rustc" "$@"
"#;

/// The cached compiler, when it is whole and the linker it borrows is still there.
pub(super) fn in_cache(environment: &Environment, cache: &Cache) -> Option<WasmCompiler> {
    let folder = cache.folder(ENTRY);
    let is_whole = is_unpacked(cache) && folder.join("usr").join(LINKER_FOLDER).join(LINKER).exists();
    let rustc = environment.program(folder.join("rustc"))?;
    is_whole.then_some(WasmCompiler { rustc, source: Source::Cache })
}

fn is_unpacked(cache: &Cache) -> bool {
    let library = format!("usr/lib/rustlib/{TARGET}/lib");
    cache.manifest(ENTRY).is_some() && has_standard_library(&cache.folder(ENTRY).join(library))
}

/// Everything that can be missing was looked for: only the network can fail now.
pub(super) struct Prepared<'a> {
    environment: &'a Environment,
    mirror: String,
    linker_folder: PathBuf,
}

impl<'a> Prepared<'a> {
    /// The inner error says, as half a sentence, why this route is closed on this machine.
    pub(super) fn of(environment: &'a Environment, cache: &Cache) -> Result<Result<Self, String>, Error> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Ok(Err(format!(
                "prebuilt ones are for x86_64 Linux and this is {} {}",
                std::env::consts::ARCH,
                std::env::consts::OS
            )));
        }
        for program in ["apt-get", "apt-cache", "apt-config", "dpkg-deb"] {
            if environment.program(program).is_none() {
                return Ok(Err(format!("`{program}` is not on PATH")));
            }
        }
        let Some(mirror) = debian_mirror(Path::new("/etc/apt")) else {
            return Ok(Err("no mirror of Debian is among apt's sources".to_owned()));
        };
        if !Path::new(KEYRING).exists() {
            return Ok(Err(format!("{KEYRING} is not there")));
        }
        let Some(linker_folder) = borrowed_linker(environment)? else {
            return Ok(Err(format!("the active Rust toolchain has no {LINKER}")));
        };
        space::require("setting up the wasm compiler", cache.root(), PEAK)?;
        Ok(Ok(Self { environment, mirror, linker_folder }))
    }

    /// Makes the cache entry; one that only lost its borrowed linker is mended without a download.
    pub(super) fn install(&self, cache: &Cache, say: Say<'_>) -> Result<WasmCompiler, Error> {
        if is_unpacked(cache) {
            say("the toolchain whose linker the cached wasm compiler borrowed is gone: borrowing another");
            self.link_linker(&cache.folder(ENTRY))?;
        }
        let is_whole = || in_cache(self.environment, cache).is_some();
        let folder = cache.install(ENTRY, is_whole, say, |folder, say| self.build(folder, say))?;
        Ok(WasmCompiler { rustc: folder.join("rustc"), source: Source::Cache })
    }

    fn build(&self, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        say(&format!(
            "a compiler for {TARGET} guests: Debian's rustc, about {DOWNLOAD_ABOUT} to download, {ON_DISK_ABOUT} kept in the cache folder; the system is not changed"
        ));
        let scratch = folder.join("scratch");
        let apt = PrivateApt::open(self.environment, &scratch, &self.mirror, SUITE)?;
        let packages = choose(&apt)?;
        let download = Bytes(packages.iter().map(|package| package.download.0).sum());
        say(&format!("  fetching {} packages ({download})", packages.len()));
        apt.unpack(&packages, folder)?;
        fs::remove_dir_all(&scratch).map_err(Error::file("remove", &scratch))?;
        remove_unneeded(folder)?;
        self.link_linker(folder)?;
        let rustc = folder.join("rustc");
        fs::write(&rustc, WRAPPER).map_err(Error::file("write", &rustc))?;
        fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755))
            .map_err(Error::file("make executable", &rustc))?;
        self.try_out(folder)?;
        Ok(packages.into_iter().fold(Manifest::default(), |manifest, package| {
            manifest.with(package.name, format!("{} sha256:{}", package.version, package.sha256))
        }))
    }

    fn link_linker(&self, folder: &Path) -> Result<(), Error> {
        let link = folder.join("usr").join(LINKER_FOLDER);
        // Only ever a link of ours: the packages bring no such folder.
        if link.is_symlink() {
            fs::remove_file(&link).map_err(Error::file("remove", &link))?;
        }
        symlink(&self.linker_folder, &link).map_err(Error::file("link", &link))
    }

    /// Compiles an empty guest, so that a compiler that cannot work is never kept.
    fn try_out(&self, folder: &Path) -> Result<(), Error> {
        let guest = folder.join("try.rs");
        let compiled = folder.join("try.wasm");
        fs::write(&guest, "").map_err(Error::file("write", &guest))?;
        let mut command = self.environment.command(folder.join("rustc"));
        command.args(["--target", TARGET, "--crate-type", "cdylib", "-o"]).arg(&compiled).arg(&guest);
        let task = Task {
            doing: "trying Debian's rustc on an empty guest",
            mend: "run `rustup target add wasm32-unknown-unknown`, or set SLHF_LAB_WASM_RUSTC to a rustc that has it",
        };
        run(&mut command, task)?;
        for path in [guest, compiled] {
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
        Ok(())
    }
}

/// The compiler, the standard libraries of host and guest, and every library the compiler itself loads.
fn choose(apt: &PrivateApt<'_>) -> Result<Vec<Package>, Error> {
    let mut names = apt.with_dependencies("libstd-rust-dev")?;
    // Their own dependencies are a C toolchain: the machine has one.
    names.extend(["rustc", "libstd-rust-dev-wasm32"].map(str::to_owned));
    apt.packages(&names)
}

/// Manuals, and the standard libraries of the WASI targets.
fn remove_unneeded(folder: &Path) -> Result<(), Error> {
    for part in ["usr/share", "usr/lib/rustlib/wasm32-wasip1", "usr/lib/rustlib/wasm32-wasip2"] {
        let path = folder.join(part);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(Error::file("remove", &path))?;
        }
    }
    Ok(())
}

/// The folder of the active toolchain that holds `rust-lld`.
fn borrowed_linker(environment: &Environment) -> Result<Option<PathBuf>, Error> {
    let Some(rustc) = active_rustc(environment) else {
        return Ok(None);
    };
    let folder = sysroot(environment, &rustc)?.join(LINKER_FOLDER);
    Ok(folder.join(LINKER).exists().then_some(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CACHE_VARIABLE;

    /// What an installation leaves, with a borrowed linker that lies in `toolchain`.
    fn fake_entry(cache: &Cache, toolchain: &Path) {
        let make = |folder: &Path, _: Say<'_>| {
            let library = folder.join(format!("usr/lib/rustlib/{TARGET}/lib"));
            fs::create_dir_all(&library).expect("folder");
            fs::write(library.join("libstd-1.rlib"), "").expect("file");
            fs::write(folder.join("rustc"), WRAPPER).expect("file");
            fs::set_permissions(folder.join("rustc"), fs::Permissions::from_mode(0o755)).expect("executable");
            let link = folder.join("usr").join(LINKER_FOLDER);
            fs::create_dir_all(link.parent().expect("has a parent")).expect("folder");
            symlink(toolchain, link).expect("linked");
            Ok(Manifest::default())
        };
        cache.install(ENTRY, || false, &mut |_| (), make).expect("installed");
    }

    #[test]
    fn a_cached_compiler_counts_while_its_borrowed_linker_is_there() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let toolchain = folder.path().join("toolchain");
        let environment = Environment::default().with(CACHE_VARIABLE, folder.path().join("cache"));
        let cache = Cache::of(&environment).expect("named");
        assert_eq!(in_cache(&environment, &cache), None);

        fake_entry(&cache, &toolchain);
        assert_eq!(in_cache(&environment, &cache), None, "the linker is gone");

        fs::create_dir(&toolchain).expect("folder");
        fs::write(toolchain.join(LINKER), "").expect("file");
        let found = in_cache(&environment, &cache).expect("whole");
        assert_eq!(found.rustc, cache.folder(ENTRY).join("rustc"));
    }

    #[test]
    fn a_lost_linker_is_borrowed_anew_without_a_download() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = Environment::default().with(CACHE_VARIABLE, folder.path().join("cache"));
        let cache = Cache::of(&environment).expect("named");
        fake_entry(&cache, &folder.path().join("removed"));
        let other = folder.path().join("other");
        fs::create_dir(&other).expect("folder");
        fs::write(other.join(LINKER), "").expect("file");

        let prepared = Prepared {
            environment: &environment,
            mirror: "none: a download would fail".to_owned(),
            linker_folder: other,
        };
        let mended = prepared.install(&cache, &mut |_| ()).expect("mended");
        assert_eq!(in_cache(&environment, &cache), Some(mended));
    }
}
