//! `cargo xtask bench [NAME]`.

use std::ffi::OsString;

use slhf_toolchain::{Consent, KnownModel};

use crate::against::{self, Against};
use crate::failure::Failure;
use crate::guests;
use crate::project::{Project, run, say};
use crate::setup::{SetUp, set_up};

/// What `cargo xtask bench lm` measures when nothing else is said: the model of the shipped experiments.
const MODEL: &str = "smollm2-135m-instruct";

/// Runs the benchmarks in the one profile everything shares; words behind `--` are the benchmark's own.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let (before, arguments) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &words[words.len()..]),
    };
    let (before, against) = match before {
        [name, option, commit, rest @ ..] if name == "lm" && option == "--against" => {
            (&before[..1], Some((commit.as_str(), rounds_of(rest)?)))
        }
        _ => (before, None),
    };
    let name = match before {
        [] if arguments.is_empty() => None,
        [name] if !name.starts_with('-') => Some(name.as_str()),
        _ => {
            let usage = "`cargo xtask bench` takes at most the name of one benchmark, `lm` also `--against COMMIT [--rounds N]`, and behind `--` what \
                 the benchmark takes";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let set_up = set_up(&open()?)?;
    let SetUp { project, .. } = &set_up;
    project.build_binaries()?;
    guests::build_plugins(&set_up)?;
    let mut given: Vec<OsString> = Vec::new();
    if name == Some("lm") && arguments_name_no_model(arguments) {
        let model = KnownModel::named(MODEL)?.find_or_fetch(&project.environment, Consent::NotAsked, &mut say)?;
        given.push(model.into());
    }
    given.extend(arguments.iter().map(OsString::from));
    if let Some((commit, rounds)) = against {
        return against::compare(project, &Against { commit, rounds, arguments: &given });
    }
    let mut command = project.cargo(&["bench", "--workspace", "--profile", "dev"]);
    match name {
        Some("lm") => command.args(["--bench", "language_model"]),
        Some(name) => command.args(["--bench", name]),
        None => command.arg("--benches"),
    };
    if !given.is_empty() {
        command.arg("--").args(given);
    }
    run(&mut command, "the benchmarks did not run to their end")
}

/// A model comes first, before any option.
fn arguments_name_no_model(arguments: &[String]) -> bool {
    arguments.first().is_none_or(|first| first.starts_with('-'))
}

/// Of `--rounds N`, and where it is not there.
fn rounds_of(words: &[String]) -> Result<usize, Failure> {
    match words {
        [] => Ok(5),
        [option, count] if option == "--rounds" => count
            .parse()
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| Failure::Usage(format!("`--rounds {count}` is no number of rounds; take at least 1"))),
        _ => Err(Failure::Usage("behind `--against COMMIT` comes nothing but `--rounds N`, and `--`".to_owned())),
    }
}
