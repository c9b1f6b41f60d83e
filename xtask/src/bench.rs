//! `cargo xtask bench [NAME]`.

use slhf_toolchain::{Consent, KnownModel};

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
    let name = match before {
        [] if arguments.is_empty() => None,
        [name] if !name.starts_with('-') => Some(name.as_str()),
        _ => {
            let usage =
                "`cargo xtask bench` takes at most the name of one benchmark, and behind `--` what that one takes";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let set_up = set_up(&open()?)?;
    let SetUp { project, .. } = &set_up;
    project.build_binaries()?;
    guests::build_plugins(&set_up)?;
    let mut command = project.cargo(&["bench", "--workspace", "--profile", "dev"]);
    match name {
        Some("lm") => command.args(["--bench", "language_model"]),
        Some(name) => command.args(["--bench", name]),
        None => command.arg("--benches"),
    };
    if !arguments.is_empty() {
        command.arg("--").args(arguments);
    } else if name == Some("lm") {
        let model = KnownModel::named(MODEL)?.find_or_fetch(&project.environment, Consent::NotAsked, &mut say)?;
        command.arg("--").arg(model);
    }
    run(&mut command, "the benchmarks did not run to their end")
}
