//! `slhf-lab`: the command line. Reads TOML and arguments, plans, starts and watches workers, writes the record, shows it.
//!
//! Invariant: this binary never links libtorch; whatever needs a tensor runs in a worker process.

mod cli;
mod experiment;
mod failure;
mod foreign;
mod models;
mod output;
mod over_seeds;
mod plugin;
mod running;
mod verb;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Not a verb of the command line: only this program starts itself so.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == foreign::VERB) {
        return foreign::main();
    }
    cli::main()
}
