//! `cargo xtask`: set-up, builds, checks. Start with `cargo xtask help`.
//!
//! It is what a fresh machine runs first, and what CI runs: everything that a person would otherwise have to know by heart.
//! It never links libtorch, never computes a number of an experiment, and changes nothing outside the repository's `target/`, the
//! user's cache folder and, with `install`, the folder that is named.
//!
//! It is compiled before anything else, so it depends on `slhf-toolchain` and a reader of ELF files alone. What it says goes to
//! stderr: stdout belongs to the program that `lab` hands over to.
//!
//! Begin with `test` (the stages of CI, one a line), then `setup`.

mod against;
mod bench;
mod book;
mod campaign;
mod docs;
mod elf;
mod failure;
mod guests;
mod install;
mod lab;
mod project;
mod setup;
mod slurm_test;
mod test;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use failure::Failure;
use project::{Project, say};

const HELP: &str = "\
cargo xtask VERB

  lab ARGS...      set up, build, and run `slhf-lab ARGS...`
  setup [--cuda]   find or fetch libtorch, a wasm compiler and SmolLM2-135M-Instruct (93 MB), and tell cargo; with CUDA, or back
                   (--cpu): docs/cuda.md
  guests           build the shipped plugins, and the hostile guests of the tests
  test [STAGE...]  set up and check everything, or only the stages named
  test --languages check plugins in Python and JavaScript (fetches componentize-py and componentize-qjs, 30 MB, once)
  bench [NAME]     run the benchmarks, or only the one called NAME (lm: language models); what NAME takes: -- ...
  bench lm --against COMMIT [--rounds N]
                   build the benchmark of that commit, too, run both in turn, and print medians and ratios
  campaign [...]   kill, stop, copy, move and fill up records at random (docs/reliability.md): --kills 500 --stops 200 ... --seed 1
  slurm-test       run experiments through a Slurm of its own on this machine, kill tasks and its controller (docs/scaling.md);
                   --install installs Debian's packages first
  docs [--check]   write docs/reference/ from the program itself, or compare it
  book             build docs/ as a book into target/book, with mdBook, and check its links
  install [...]    put slhf-lab, its worker and the plugins where they find each other: --root DIR, --debug
  help             this text

Everything but `help` sets up what is missing first, saying what it does and how large it is.
Downloads are kept in SLHF_LAB_CACHE, else XDG_CACHE_HOME/slhf-lab, else ~/.cache/slhf-lab.
Exit codes: 0 done, 1 a check or a build failed, 2 bad usage or a missing prerequisite.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let verb = arguments.next().unwrap_or_else(|| "help".into());
    let arguments: Vec<OsString> = arguments.collect();
    match dispatch(&verb.to_string_lossy(), &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(verb: &str, arguments: &[OsString]) -> Result<(), Failure> {
    let open = Project::open;
    match verb {
        "help" | "--help" | "-h" => {
            // Asked for, so it is the result. A reader that has seen enough is no failure.
            let _ = std::io::stdout().lock().write_all(HELP.as_bytes());
            Ok(())
        }
        "lab" => lab::lab(&open()?, arguments),
        "setup" => setup::verb(open, &words(arguments)),
        "guests" => takes_nothing(verb, arguments).and_then(|()| guests::verb(&open()?)),
        "test" => test::verb(open, &words(arguments)),
        "bench" => bench::verb(open, &words(arguments)),
        "campaign" => campaign::verb(open, &words(arguments)),
        "slurm-test" => slurm_test::verb(open, &words(arguments)),
        "book" => takes_nothing(verb, arguments).and_then(|()| book::verb(&open()?)),
        "install" => install::verb(open, &words(arguments)),
        "docs" => docs::verb(open, &words(arguments)),
        other => Err(Failure::Usage(format!("there is no verb `{other}`: `cargo xtask help` lists them"))),
    }
}

fn words(arguments: &[OsString]) -> Vec<String> {
    arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn takes_nothing(verb: &str, arguments: &[OsString]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(word) => Err(Failure::Usage(format!(
            "`cargo xtask {verb}` takes no arguments, but got `{}`",
            word.to_string_lossy()
        ))),
    }
}
