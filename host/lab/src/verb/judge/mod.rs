//! `slhf-lab judge …`: a judge on trial before it is trusted.

mod audit;
mod document;
mod list;
mod tables;
mod trial;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Arguments of `judge`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Measure a judge's biases, noise, cycles, agreement and cost on pairs of responses
    Audit(audit::Arguments),
    /// List recorded audits side by side
    Ls(list::Arguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Audit(arguments) => audit::run(arguments),
        Verb::Ls(arguments) => list::run(arguments),
    }
}
