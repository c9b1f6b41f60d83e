//! componentize-qjs, from its npm packages.

use std::fs;
use std::path::{Path, PathBuf};

use super::tool::Componentizer;
use crate::environment::{Task, run};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

const NAME: &str = "componentize-qjs 0.4.5";

/// The cache entry; the number after the last dash changes with the recipe.
const ENTRY: &str = "componentize-qjs-0.4.5-1";

/// Of the package for one machine and the one that chooses it.
const DOWNLOAD: Bytes = Bytes(12_900_000);
const ON_DISK: Bytes = Bytes(39_200_000);

/// What node starts.
const PROGRAM: &str = "node_modules/componentize-qjs/bin/componentize-qjs";

/// The oldest node that it takes.
const NODE_MINIMUM: u32 = 18;

/// Names the versions and the hashes of their content, for every kind of machine.
const LOCK: &str = include_str!("package-lock.json");
const PACKAGE: &str = include_str!("package.json");

pub(super) fn find_or_install(environment: &Environment, say: Say<'_>) -> Result<Componentizer, Error> {
    let node = node(environment)?;
    let cache = Cache::of(environment)?;
    let folder = if is_whole(&cache) { cache.folder(ENTRY) } else { install(environment, &cache, say)? };
    Ok(Componentizer { name: NAME, program: node, arguments: [folder.join(PROGRAM).into()].into() })
}

fn is_whole(cache: &Cache) -> bool {
    cache.manifest(ENTRY).is_some() && cache.folder(ENTRY).join(PROGRAM).is_file()
}

fn install(environment: &Environment, cache: &Cache, say: Say<'_>) -> Result<PathBuf, Error> {
    let npm = environment.program("npm").ok_or_else(|| missing("there is no `npm` on PATH".to_owned()))?;
    space::require(NAME, cache.root(), Bytes(3 * ON_DISK.0))?;
    cache.install(
        ENTRY,
        || is_whole(cache),
        say,
        |folder: &Path, say| {
            say(&format!(
                "{NAME}, which makes components of JavaScript: downloads about {DOWNLOAD} with npm, keeps {ON_DISK} in the cache folder"
            ));
            for (name, content) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
                let path = folder.join(name);
                fs::write(&path, content).map_err(Error::file("write", &path))?;
            }
            let mut command = environment.command(&npm);
            command
                // No script of a package runs, and nothing but what the lock names is taken.
                .args(["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"])
                .current_dir(folder);
            let task = Task {
                doing: "fetching componentize-qjs",
                mend: "check the network and npm's registry, then run `slhf-lab plugin build` again",
            };
            run(&mut command, task)?;
            Ok(Manifest::default().with("componentize-qjs", "0.4.5, by the hashes of package-lock.json"))
        },
    )
}

fn missing(problem: String) -> Error {
    Error::MissingProgram {
        problem,
        purpose: "a plugin in JavaScript",
        mend: "install Node.js 18 or newer with npm (Debian and Ubuntu: `apt-get install nodejs npm`; Fedora: `dnf install nodejs npm`)"
            .to_owned(),
    }
}

/// The `node` on `PATH`, new enough.
fn node(environment: &Environment) -> Result<PathBuf, Error> {
    let program = environment.program("node").ok_or_else(|| missing("there is no `node` on PATH".to_owned()))?;
    let task =
        Task { doing: "asking node for its version", mend: "mend this Node.js, or put a working `node` first on PATH" };
    let said = run(environment.command(&program).arg("--version"), task)?;
    let major = said.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_MINIMUM) {
        return Ok(program);
    }
    Err(missing(format!("{} is Node.js {}, older than {NODE_MINIMUM}", program.display(), said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CACHE_VARIABLE;

    fn with_programs(set: &str, cache: &Path) -> Environment {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(set);
        assert!(programs.is_dir(), "{}", programs.display());
        Environment::default().with("PATH", programs).with(CACHE_VARIABLE, cache)
    }

    #[test]
    fn a_missing_or_unfit_node_is_one_sentence() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let check = |set: &str, expect: &str| {
            let error = find_or_install(&with_programs(set, folder.path()), &mut |line| panic!("said: {line}"));
            let place = format!("{}/tests/fixtures/{set}/", env!("CARGO_MANIFEST_DIR"));
            let sentence = error.expect_err("unfit").to_string().replace(&place, "");
            assert!(sentence.starts_with(expect), "{sentence}");
            assert!(sentence.contains("apt-get install nodejs npm"), "{sentence}");
        };
        check("nothing", "there is no `node` on PATH, which a plugin in JavaScript needs: install Node.js 18");
        check("node-too-old", "node is Node.js v12.22.9, older than 18, which a plugin in JavaScript needs");
        check("node-without-npm", "there is no `npm` on PATH, which a plugin in JavaScript needs");
    }

    #[test]
    fn the_lock_names_one_version_and_a_hash_of_each_package() {
        let packages = LOCK.matches("\"node_modules/").count();
        assert!(packages > 1);
        assert_eq!(LOCK.matches("\"integrity\": \"sha512-").count(), packages);
        assert_eq!(LOCK.matches("\"version\": \"0.4.5\"").count(), packages);
        assert!(!LOCK.contains("resolved"), "whoever fetches chooses the registry");
        assert!(PACKAGE.contains("\"componentize-qjs\": \"0.4.5\""));
    }
}
