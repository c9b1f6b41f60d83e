//! `slhf-lab`: the command line. Reads TOML and arguments, plans, starts and watches workers, writes the record, shows it.
//!
//! Invariant: this binary never links libtorch; whatever needs a tensor runs in a worker process.

mod cli;
mod experiment;
mod failure;
mod models;
mod output;
mod over_seeds;
mod plugin;
mod running;
mod verb;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
