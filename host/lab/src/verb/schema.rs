//! `slhf-lab schema`: the input files as JSON Schemas, from the very types that read them.

use clap::{Args, ValueEnum};
use schemars::JsonSchema;

use crate::experiment::{ExperimentConfig, GameConfig, LanguageExperimentConfig};
use crate::failure::Failure;
use crate::output;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The kind of file
    #[arg(value_enum)]
    what: What,
}

/// A kind of input file.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// An experiment's TOML
    Experiment,
    /// A game's TOML, for `solve`
    Game,
}

/// An experiment's TOML: `kind` says which of the two.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "slhf-lab experiment")]
#[expect(dead_code, reason = "for the schema only; a file is read as one of the two")]
enum Experiment {
    Game(Box<ExperimentConfig>),
    LanguageModel(Box<LanguageExperimentConfig>),
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    output::print_json(&match arguments.what {
        What::Experiment => schemars::schema_for!(Experiment),
        What::Game => schemars::schema_for!(GameConfig),
    })
}
