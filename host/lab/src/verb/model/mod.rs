//! `slhf-lab model`: look at models, ask them, and turn them into plain folders.

pub(super) mod asking;
pub(super) mod choice;
mod export;
mod fetch;
mod generate;
mod inspect;
mod logprobs;
pub(super) mod prompting;
mod score;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Arguments of `model`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Describe a model: family, shapes, tokens, tensors
    Inspect(inspect::Arguments),
    /// Log-probabilities of a response, token by token
    Logprobs(logprobs::Arguments),
    /// Values of a reward model's head for responses
    Score(score::Arguments),
    /// Generate responses to prompts
    Generate(generate::Arguments),
    /// Write a model as a plain Hugging Face folder (safetensors)
    Import(export::ImportArguments),
    /// Merge adapters into their model and write a plain Hugging Face folder, or the adapter alone in PEFT's format
    Merge(export::MergeArguments),
    /// Fetch a model that experiments name
    Fetch(fetch::Arguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Inspect(arguments) => inspect::run(arguments),
        What::Logprobs(arguments) => logprobs::run(arguments),
        What::Score(arguments) => score::run(arguments),
        What::Generate(arguments) => generate::run(arguments),
        What::Import(arguments) => export::import(arguments),
        What::Merge(arguments) => export::merge(arguments),
        What::Fetch(arguments) => fetch::run(arguments),
    }
}
