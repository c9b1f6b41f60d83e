//! `slhf-lab plugin …`: make, build, check and measure plugins.

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::plugin;

/// Arguments of `plugin`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the first version of a plugin, in any folder
    New(plugin::new::Arguments),
    /// Compile plugins to components: one .wasm file each
    Build(plugin::build::Arguments),
    /// Run the conformance tests on a plugin, whatever language it is written in
    Check(Box<plugin::check::Arguments>),
    /// Run a plugin on one pair or response
    Try(Box<plugin::try_one::Arguments>),
    /// Show a plugin's manifest
    Inspect(plugin::inspect::InspectArguments),
    /// Measure the speed of a plugin on this machine
    Bench(Box<plugin::bench::Arguments>),
    /// List the shipped plugins
    List(plugin::inspect::ListArguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::New(arguments) => plugin::new::run(&arguments),
        Verb::Build(arguments) => plugin::build::run(&arguments),
        Verb::Check(arguments) => plugin::check::run(&arguments),
        Verb::Try(arguments) => plugin::try_one::run(*arguments),
        Verb::Inspect(arguments) => plugin::inspect::inspect(&arguments),
        Verb::Bench(arguments) => plugin::bench::run(&arguments),
        Verb::List(arguments) => plugin::inspect::list(&arguments),
    }
}
