//! `slhf-lab verdicts …`: what a judge said in training, taken out of the record or judged again by another one.

mod export;
mod pair;
mod replay;
mod tables;

pub(in crate::verb) use export::each_pair as pairs_with_both_orders;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Arguments of `verdicts`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the pairs that a run was trained on, with their verdicts, as JSON lines
    Export(export::Arguments),
    /// Judge the pairs that a run was trained on with another judge, and say where the two agree
    Replay(replay::Arguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Export(arguments) => export::run(arguments),
        Verb::Replay(arguments) => replay::run(arguments),
    }
}
