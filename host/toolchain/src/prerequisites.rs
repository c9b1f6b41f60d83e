//! The programs a newcomer must bring: a C++ compiler, and Python 3 with pip.

use std::path::PathBuf;

use crate::environment::{Task, run};
use crate::{Environment, Error};

/// The oldest Python whose pip and `zipfile` do what the set-up asks of them.
const PYTHON_MINIMUM: (u32, u32) = (3, 8);

/// A C++ compiler as it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CxxCompiler {
    /// The program.
    pub program: PathBuf,
    /// What `CXX` has after the program: flags, or the compiler behind a wrapper.
    pub arguments: Vec<String>,
}

/// The C++ compiler that the `cc` crate will use for libtorch's bindings: `CXX`, else `c++`.
pub fn cxx_compiler(environment: &Environment) -> Result<CxxCompiler, Error> {
    let missing = |problem: String| Error::MissingProgram {
        problem,
        purpose: "the build of libtorch's bindings",
        mend: "install one (Debian and Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`)".to_owned(),
    };
    let Some(named) = environment.get("CXX") else {
        return match environment.program("c++") {
            Some(program) => Ok(CxxCompiler { program, arguments: Vec::new() }),
            None => Err(missing("there is no C++ compiler (`c++`) on PATH".to_owned())),
        };
    };
    let named = named.to_string_lossy();
    let mut words = named.split_whitespace();
    match words.next().and_then(|word| environment.program(word)) {
        Some(program) => Ok(CxxCompiler { program, arguments: words.map(str::to_owned).collect() }),
        None => Err(missing(format!("CXX names `{named}`, which is no program on PATH"))),
    }
}

/// A Python that can fetch and unpack wheels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The interpreter.
    pub program: PathBuf,
    /// Its version, as "3.11".
    pub version: String,
    /// What `pip --version` says, up to its location.
    pub pip: String,
}

/// The first of `python3` and `python` on `PATH`, which must be new enough and have pip.
pub fn python(environment: &Environment) -> Result<Python, Error> {
    let missing = |problem: String, mend: &str| Error::MissingProgram {
        problem,
        purpose: "fetching wheels",
        mend: mend.to_owned(),
    };
    let program = ["python3", "python"]
        .into_iter()
        .find_map(|name| environment.program(name))
        .ok_or_else(|| {
            missing(
                "there is no `python3` on PATH".to_owned(),
                "install Python 3 with pip (Debian and Ubuntu: `apt-get install python3 python3-pip`; Fedora: `dnf install python3-pip`)",
            )
        })?;
    let version = python_version(environment, &program)?;
    let numbers = version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    if numbers.is_none_or(|numbers| numbers < PYTHON_MINIMUM) {
        return Err(missing(
            format!("{} is Python {version}, older than 3.8", program.display()),
            "install a newer Python 3 with pip",
        ));
    }
    let pip = environment
        .command(&program)
        .args(["-m", "pip", "--version"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let Some(pip) = pip else {
        return Err(missing(
            format!("{} has no pip", program.display()),
            "install it (Debian and Ubuntu: `apt-get install python3-pip`; Fedora: `dnf install python3-pip`; elsewhere: `python3 -m ensurepip --user`)",
        ));
    };
    let pip = pip.split(" from ").next().unwrap_or_default().trim();
    Ok(Python { program, version, pip: pip.to_owned() })
}

fn python_version(environment: &Environment, program: &PathBuf) -> Result<String, Error> {
    let mut command = environment.command(program);
    command.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    let task = Task {
        doing: "asking Python for its version",
        mend: "mend this Python, or put a working `python3` first on PATH",
    };
    Ok(run(&mut command, task)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A folder of the committed stand-ins for programs; they only speak, as the real ones would.
    fn with_programs(set: &str) -> Environment {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(set);
        assert!(folder.is_dir(), "{}", folder.display());
        Environment::default().with("PATH", folder)
    }

    #[test]
    fn a_missing_or_unfit_python_is_one_sentence() {
        let check = |set: &str, expect_start: &str, expect_mend: &str| {
            let error = python(&with_programs(set)).expect_err("unfit");
            let folder = format!("{}/tests/fixtures/{set}/", env!("CARGO_MANIFEST_DIR"));
            let sentence = error.to_string().replace(&folder, "");
            assert!(sentence.starts_with(expect_start), "{sentence}");
            assert!(sentence.contains(expect_mend), "{sentence}");
        };
        check(
            "nothing",
            "there is no `python3` on PATH, which fetching wheels needs: install Python 3 with pip",
            "apt-get install python3 python3-pip",
        );
        check(
            "python-without-pip",
            "python3 has no pip, which fetching wheels needs: install it",
            "apt-get install python3-pip",
        );
        check("python-too-old", "python3 is Python 3.6, older than 3.8", "install a newer Python 3");
        check(
            "python-broken",
            "asking Python for its version failed (exit status: 127): libpython is missing",
            "put a working `python3` first on PATH",
        );
    }

    #[test]
    fn a_fit_python_is_described() {
        let found = python(&with_programs("python-fit")).expect("fit");
        assert_eq!((found.version.as_str(), found.pip.as_str()), ("3.14", "pip 26.0"));
    }

    #[test]
    fn the_cxx_compiler_is_the_one_the_bindings_will_use() {
        let fixtures = with_programs("compilers");
        let name = |environment: &Environment| {
            cxx_compiler(environment)
                .map(|found| {
                    let name = found.program.file_name().expect("a program").to_string_lossy();
                    format!("{name} {:?}", found.arguments)
                })
                .map_err(|error| error.to_string())
        };
        assert_eq!(name(&fixtures), Ok("c++ []".to_owned()));
        let wrapped = fixtures.clone().with("CXX", "my-g++ -O1");
        assert_eq!(name(&wrapped), Ok("my-g++ [\"-O1\"]".to_owned()));
        let wrong = name(&fixtures.with("CXX", "absent-g++")).expect_err("absent");
        assert!(wrong.starts_with("CXX names `absent-g++`, which is no program on PATH"), "{wrong}");
        let none = name(&with_programs("nothing")).expect_err("none");
        assert!(
            none.starts_with("there is no C++ compiler (`c++`) on PATH, which the build of libtorch's bindings needs")
                && none.contains("apt-get install g++"),
            "{none}"
        );
    }
}
