//! How a verb ends when it does not end well, and how that is printed: the whole chain, once, here.

use std::error::Error;

use slhf_comparison::ComparisonError;
use slhf_words::chain;

/// The exit code of whom a signal ended, as shells have it: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a verb did not do what it was asked; decides the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Bad input or usage: exit code 2.
    BadInput(Box<dyn Error>),
    /// Several things that are wrong with the input: exit code 2.
    Several(Vec<Box<dyn Error>>),
    /// A run, a check or a comparison failed: exit code 1.
    Failed(Box<dyn Error>),
    /// Interrupted by the user: exit code [`INTERRUPTED`]. What is to be said was said.
    Interrupted,
}

impl Failure {
    /// Bad input or usage.
    pub(crate) fn bad_input(error: impl Into<Box<dyn Error>>) -> Self {
        Self::BadInput(error.into())
    }

    /// Everything that is wrong with an experiment.
    pub(crate) fn of_experiment(error: slhf_experiment::ExperimentError) -> Self {
        Self::Several(error.each().into_iter().map(Into::into).collect())
    }

    /// A run, a check or a comparison failed.
    pub(crate) fn failed(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Failed(error.into())
    }

    /// What a record said when it was asked for something that the user named: bad input, unless the record itself failed.
    pub(crate) fn of_record(error: slhf_record::RecordError) -> Self {
        if error.is_failure() { Self::failed(error) } else { Self::bad_input(error) }
    }

    /// Likewise, when results were to be written for other tools.
    pub(crate) fn of_export(error: slhf_export::ExportError) -> Self {
        if error.is_failure() { Self::failed(error) } else { Self::bad_input(error) }
    }

    /// Likewise.
    fn of_comparison(error: ComparisonError) -> Self {
        if error.is_bad_input() { Self::bad_input(error) } else { Self::failed(error) }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::BadInput(_) | Self::Several(_) => 2,
            Self::Failed(_) => 1,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// A line an error, with all its causes; none when there is nothing to say.
    pub(crate) fn sentences(&self) -> Vec<String> {
        match self {
            Self::BadInput(error) | Self::Failed(error) => vec![chain(error.as_ref())],
            Self::Several(errors) => errors.iter().map(|error| chain(error.as_ref())).collect(),
            Self::Interrupted => Vec::new(),
        }
    }
}

impl From<ComparisonError> for Failure {
    fn from(error: ComparisonError) -> Self {
        Self::of_comparison(error)
    }
}
