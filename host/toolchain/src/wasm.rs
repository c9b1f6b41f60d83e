//! A compiler for `wasm32-unknown-unknown`: where it is looked for, and how guests are built with it.

mod apt;
mod compiler;
mod debian;
mod rustup;

use std::path::Path;

use crate::{Cache, Environment, Error, Say};

use compiler::{active_rustc, has_standard_library, target_library};

pub use compiler::{Source, TARGET, VARIABLE, WasmCompiler};
pub use debian::{DOWNLOAD_ABOUT, ON_DISK_ABOUT};

/// Looks for a compiler: the one `SLHF_LAB_WASM_RUSTC` names (then it must fit), else the active
/// toolchain when the target's standard library really lies there, else the cache entry.
pub fn find(environment: &Environment) -> Result<Option<WasmCompiler>, Error> {
    if let Some(named) = environment.get(VARIABLE) {
        return of_variable(environment, Path::new(named)).map(Some);
    }
    if let Some(rustc) = active_rustc(environment)
        && let Ok(folder) = target_library(environment, &rustc)
        && has_standard_library(&folder)
    {
        return Ok(Some(WasmCompiler { rustc, source: Source::ActiveToolchain }));
    }
    let cache = Cache::of(environment)?;
    Ok(debian::in_cache(environment, &cache))
}

/// What [`find`] finds, else a fresh installation: rustup adds the target to the active toolchain; where it cannot, Debian's
/// own newer toolchain goes into the cache folder.
pub fn find_or_install(environment: &Environment, say: Say<'_>) -> Result<WasmCompiler, Error> {
    if let Some(found) = find(environment)? {
        return Ok(found);
    }
    let closed = match rustup::add_target(environment, say) {
        Ok(added) => return Ok(added),
        Err(closed) => closed,
    };
    let cache = Cache::of(environment)?;
    match debian::Prepared::of(environment, &cache)? {
        Ok(prepared) => {
            say(&format!("{closed}: Debian's compiler is taken"));
            prepared.install(&cache, say)
        }
        Err(also) => Err(Error::NoWasmCompiler {
            reason: format!("{closed}, and {also}"),
            mend: format!("run `rustup target add {TARGET}`, or set {VARIABLE} to a rustc that has it"),
        }),
    }
}

fn of_variable(environment: &Environment, named: &Path) -> Result<WasmCompiler, Error> {
    let unusable = |problem: &str| Error::WasmCompilerUnusable { rustc: named.to_owned(), problem: problem.to_owned() };
    let rustc = environment.program(named).ok_or_else(|| unusable("there is no such program"))?;
    let folder = target_library(environment, &rustc).map_err(|_| unusable("it does not behave as rustc does"))?;
    if !has_standard_library(&folder) {
        return Err(unusable("it has no standard library for that target"));
    }
    Ok(WasmCompiler { rustc, source: Source::Variable })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::CACHE_VARIABLE;

    /// The committed stand-in for rustc answers `target-libdir` and `sysroot` from two variables.
    fn with_fake_rustc(cache: &Path, target_library: &Path) -> Environment {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rustc");
        Environment::default()
            .with("PATH", programs)
            .with("FAKE_TARGET_LIBDIR", target_library)
            .with(CACHE_VARIABLE, cache)
    }

    #[test]
    fn the_active_toolchain_counts_when_the_standard_library_lies_there() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let library = folder.path().join("lib");
        let environment = with_fake_rustc(folder.path(), &library);
        assert_eq!(find(&environment).expect("searched"), None, "no folder");

        fs::create_dir(&library).expect("folder");
        fs::write(library.join("libcore-1.rlib"), "").expect("file");
        assert_eq!(find(&environment).expect("searched"), None, "core only");

        fs::write(library.join("libstd-1.rlib"), "").expect("file");
        let found = find(&environment).expect("searched").expect("there");
        assert_eq!(found.source, Source::ActiveToolchain);
        assert!(found.rustc.ends_with("fixtures/rustc/rustc"));
    }

    #[test]
    fn a_named_compiler_must_fit() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = with_fake_rustc(folder.path(), folder.path());
        let check = |named: &str, expect: &str| {
            let error = find(&environment.clone().with(VARIABLE, named)).expect_err("unfit");
            assert_eq!(error.to_string(), expect);
        };
        check(
            "absent-rustc",
            "SLHF_LAB_WASM_RUSTC names absent-rustc, but there is no such program: point it at a rustc that has the target wasm32-unknown-unknown, or unset it",
        );
        check(
            "rustc",
            "SLHF_LAB_WASM_RUSTC names rustc, but it has no standard library for that target: point it at a rustc that has the target wasm32-unknown-unknown, or unset it",
        );
        check(
            "not-rustc",
            "SLHF_LAB_WASM_RUSTC names not-rustc, but it does not behave as rustc does: point it at a rustc that has the target wasm32-unknown-unknown, or unset it",
        );
        fs::write(folder.path().join("libstd-1.rlib"), "").expect("file");
        let found = find(&environment.clone().with(VARIABLE, "rustc"));
        let found = found.expect("fits").expect("named");
        assert_eq!(found.source, Source::Variable);
    }

    #[test]
    fn where_nothing_can_be_fetched_one_sentence_says_what_to_run() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = with_fake_rustc(folder.path(), folder.path());
        let error = find_or_install(&environment, &mut |_| ()).expect_err("no apt, no rustup");
        assert_eq!(
            error.to_string(),
            "no compiler for wasm32-unknown-unknown: there is no rustup, and `apt-get` is not on PATH; run `rustup target add wasm32-unknown-unknown`, or set SLHF_LAB_WASM_RUSTC to a rustc that has it"
        );
    }

    #[test]
    fn rustup_comes_first_unless_it_is_told_to_fetch_nothing_or_fails() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let library = folder.path().join("lib");
        fs::create_dir(&library).expect("folder");
        let environment = with_fake_rustc(folder.path(), &library);
        let rustup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rustup");
        let programs = std::env::join_paths([rustup.as_path(), environment.get("PATH").expect("set").as_ref()]);
        let environment = environment.with("PATH", programs.expect("no colons"));
        let refused =
            |environment: &Environment| find_or_install(environment, &mut |_| ()).expect_err("no apt").to_string();
        let told = refused(&environment.clone().with("RUSTUP_AUTO_INSTALL", "0"));
        assert!(told.contains("RUSTUP_AUTO_INSTALL=0 lets rustup fetch nothing, and `apt-get`"), "{told}");
        let failed = refused(&environment);
        assert!(failed.contains("error: no network here, and `apt-get`"), "{failed}");
        let added = find_or_install(&environment.with("FAKE_ADDED", &library), &mut |_| ()).expect("added");
        assert_eq!(added.source, Source::ActiveToolchain);
        assert!(library.join("libstd-1.rlib").is_file());
    }

    #[test]
    fn guests_are_built_without_the_flags_of_the_host() {
        let compiler = WasmCompiler { rustc: PathBuf::from("/p/rustc"), source: Source::Variable };
        let environment =
            Environment::default().with("RUSTFLAGS", "-C target-cpu=native").with("RUSTC", "other").with("HOME", "/h");
        let command = compiler.cargo(&environment);
        let variables: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?))).collect();
        assert_eq!(variables, [("HOME", "/h"), ("RUSTC", "/p/rustc")]);
        assert_eq!(command.get_program(), "cargo");
    }
}
