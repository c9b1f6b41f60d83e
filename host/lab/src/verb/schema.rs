//! `slhf-lab schema`: the input files as JSON Schemas, from the very types that read them; and what a run records.

mod examples;
mod fragment;
mod methods;
mod metrics;
mod reference;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;

use crate::failure::Failure;
use crate::output;
use slhf_experiment::{ExperimentConfig, GameConfig, LanguageExperimentConfig, RewardExperimentConfig};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The kind of file
    #[arg(value_enum)]
    what: What,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// How a schema is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Schema
    Json,
    /// The reference page of an experiment: every key with its type, default, methods and an example
    Markdown,
}

/// A kind of input file.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// An experiment's TOML
    Experiment,
    /// A game's TOML, for `solve`
    Game,
    /// The metrics of a run's steps
    Metrics,
}

/// An experiment's TOML: `kind` says which of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "slhf-lab experiment")]
#[expect(dead_code, reason = "for the schema only; a file is read as one of them")]
enum Experiment {
    Game(Box<ExperimentConfig>),
    LanguageModel(Box<LanguageExperimentConfig>),
    RewardModel(Box<RewardExperimentConfig>),
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match (arguments.what, arguments.format) {
        (What::Experiment, Format::Json) => output::print_json(&schemars::schema_for!(Experiment)),
        (What::Game, Format::Json) => output::print_json(&schemars::schema_for!(GameConfig)),
        (What::Experiment, Format::Markdown) => output::print_text(&reference::page(&experiment())),
        (What::Metrics, Format::Json) => output::print_json(&metrics::list()),
        (What::Metrics, Format::Markdown) => output::print_text(&metrics::page()),
        (What::Game, Format::Markdown) => Err(Failure::bad_input(
            "`schema game` has no page of its own: the keys of a game are those of [game] in `slhf-lab schema experiment --format markdown`",
        )),
    }
}

/// The schema of an experiment.
fn experiment() -> serde_json::Value {
    schemars::schema_for!(Experiment).to_value()
}
