//! componentize-py, from its wheel.

use std::path::{Path, PathBuf};

use super::tool::Componentizer;
use crate::prerequisites::{Python, python};
use crate::wheel::{Pip, Wheel};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

const NAME: &str = "componentize-py 0.25.1";

/// The cache entry; the number after the last dash changes with the recipe.
const ENTRY: &str = "componentize-py-0.25.1-1";

/// What the wheel unpacks to.
const ON_DISK: Bytes = Bytes(48_000_000);

/// The file without which it does not start.
const LIBRARY: &str = "componentize_py/componentize_py.abi3.so";

/// The oldest Python that loads it.
const PYTHON_MINIMUM: [u32; 2] = [3, 9];

const PIP_MEND: &str = "check the network and pip's index, then run `slhf-lab plugin build` again";

/// Starts it without what the user's environment has besides: the folder comes first, then the tool's own arguments. What is wrong
/// with a plugin is the text of an assertion: how this script got there helps nobody.
const START: &str = "
import sys
sys.path.insert(0, sys.argv.pop(1))
sys.argv[0] = 'componentize-py'
from componentize_py import script
try:
    sys.exit(script())
except AssertionError as error:
    sys.exit(str(error))
";

/// The wheel for a machine.
fn wheel(system: &str, machine: &str) -> Result<Wheel, Error> {
    let (platform, sha256, bytes) = match (system, machine) {
        ("linux", "x86_64") => (
            "manylinux_2_28_x86_64",
            "8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f",
            Some(Bytes(17_122_694)),
        ),
        ("linux", "aarch64") => {
            ("manylinux_2_28_aarch64", "7b6a87c520358166843af0daa86d2312d7af4cbcbbf1e598951085cf7f2991ca", None)
        }
        ("macos", "aarch64") => {
            ("macosx_11_0_arm64", "a556991534cc496207a9d2ca733c4b0f17ed38ef56a8d6b5f1847fdf1225dd1b", None)
        }
        ("macos", "x86_64") => {
            ("macosx_10_12_x86_64", "65fbc4a94df1de8acf7da50a1f5ed1711230188844e53e6332d99029be4e0afa", None)
        }
        _ => {
            return Err(Error::NoTool {
                tool: NAME,
                machine: format!("{machine} {system}"),
                mend: "make the component on another machine: it runs on all of them",
            });
        }
    };
    Ok(Wheel { requirement: "componentize-py==0.25.1", platform, sha256, bytes, members: &["componentize_py/"] })
}

pub(super) fn find_or_install(environment: &Environment, say: Say<'_>) -> Result<Componentizer, Error> {
    let python = python(environment)?;
    require_version(&python)?;
    let cache = Cache::of(environment)?;
    let folder = if is_whole(&cache) { cache.folder(ENTRY) } else { install(environment, &cache, &python, say)? };
    let arguments = ["-I".into(), "-c".into(), START.into(), folder.into()].into();
    Ok(Componentizer { name: NAME, program: python.program, arguments })
}

fn is_whole(cache: &Cache) -> bool {
    cache.manifest(ENTRY).is_some() && cache.folder(ENTRY).join(LIBRARY).is_file()
}

fn install(environment: &Environment, cache: &Cache, python: &Python, say: Say<'_>) -> Result<PathBuf, Error> {
    let wheel = wheel(std::env::consts::OS, std::env::consts::ARCH)?;
    space::require(NAME, cache.root(), Bytes(3 * ON_DISK.0))?;
    let pip = Pip { environment, python: python.clone() };
    cache.install(
        ENTRY,
        || is_whole(cache),
        say,
        |folder: &Path, say| {
            let size = wheel.bytes.map_or_else(|| "about 17 MB".to_owned(), |bytes| bytes.to_string());
            say(&format!(
                "{NAME}, which makes components of Python: downloads {size} with {}, keeps {ON_DISK} in the cache folder",
                pip.python.pip
            ));
            wheel.fetch_into(folder, &pip, PIP_MEND, say)?;
            Ok(Manifest::default().with(wheel.requirement, format!("sha256:{}", wheel.sha256)))
        },
    )
}

fn require_version(python: &Python) -> Result<(), Error> {
    let parts: Vec<u32> = python.version.split('.').filter_map(|part| part.parse().ok()).collect();
    let [major, minor] = PYTHON_MINIMUM;
    if parts.as_slice() >= PYTHON_MINIMUM.as_slice() {
        return Ok(());
    }
    Err(Error::MissingProgram {
        problem: format!("{} is Python {}, older than {major}.{minor}", python.program.display(), python.version),
        purpose: NAME,
        mend: "install a newer Python 3 with pip".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CACHE_VARIABLE;

    fn fit() -> Environment {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python-fit");
        Environment::default().with("PATH", programs)
    }

    #[test]
    fn what_lies_in_the_cache_is_used_and_nothing_is_fetched() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = fit().with(CACHE_VARIABLE, folder.path());
        let cache = Cache::of(&environment).expect("named");
        let make = |folder: &Path, _: Say<'_>| {
            let library = folder.join(LIBRARY);
            std::fs::create_dir_all(library.parent().expect("has a parent")).expect("folder");
            std::fs::write(library, "").expect("file");
            Ok(Manifest::default())
        };
        let entry = cache.install(ENTRY, || false, &mut |_| (), make).expect("installed");
        let found = find_or_install(&environment, &mut |line| panic!("said: {line}")).expect("there");
        assert_eq!(found.name, NAME);
        assert_eq!(found.arguments.last().map(Path::new), Some(entry.as_path()));
    }

    #[test]
    fn the_wheel_of_every_machine_has_a_hash() {
        for machine in [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "aarch64"), ("macos", "x86_64")] {
            let wheel = wheel(machine.0, machine.1).expect("published");
            assert_eq!((wheel.requirement, wheel.sha256.len()), ("componentize-py==0.25.1", 64));
        }
        let error = wheel("linux", "riscv64").expect_err("not published").to_string();
        assert!(error.starts_with("componentize-py 0.25.1 is not published for riscv64 linux: "), "{error}");
    }

    #[test]
    fn a_python_that_cannot_load_it_is_named() {
        let python =
            |version: &str| Python { program: "/p/python3".into(), version: version.into(), pip: String::new() };
        require_version(&python("3.9")).expect("new enough");
        require_version(&python("3.14")).expect("newer");
        let error = require_version(&python("3.8")).expect_err("too old").to_string();
        assert_eq!(
            error,
            "/p/python3 is Python 3.8, older than 3.9, which componentize-py 0.25.1 needs: install a newer Python 3 with pip"
        );
    }
}
