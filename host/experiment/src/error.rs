//! What can be wrong with an experiment.

use std::io;
use std::path::{Path, PathBuf};

/// Bad input, with the file and the place in it.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The experiment, or a file it names.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The text is not TOML.
    #[error("{}, line {line}: {message}", file.display())]
    Syntax {
        /// The experiment.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What the TOML reader says.
        message: String,
    },
    /// A value is missing, unknown, of the wrong type, or breaks a rule.
    #[error("{}: {key}: {problem}", file.display())]
    Invalid {
        /// The experiment.
        file: PathBuf,
        /// Dotted key, with the line where it is known: `method.steps (line 12)`.
        key: String,
        /// What is wrong, what was expected, how to mend it.
        problem: String,
    },
    /// Several things are wrong at once.
    #[error("{}", each.first().map(ToString::to_string).unwrap_or_default())]
    Several {
        /// Each, in the order of the file where that is known.
        each: Vec<ExperimentError>,
    },
    /// A file that the experiment names cannot be read.
    #[error("{}: {key}: \"{named}\" cannot be read", file.display())]
    Unreadable {
        /// The experiment.
        file: PathBuf,
        /// The key that names the other file.
        key: String,
        /// The other file, as it is named.
        named: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A plugin that the experiment names cannot be used.
    #[error("{}: {key}", file.display())]
    Plugin {
        /// The experiment.
        file: PathBuf,
        /// The key that names the plugin.
        key: String,
        /// What is wrong with it.
        #[source]
        cause: Box<slhf_judge::JudgeError>,
    },
    /// A file of judgements or prompts is bad.
    #[error("{}: {key}", file.display())]
    Data {
        /// The experiment.
        file: PathBuf,
        /// The key that names the data file.
        key: String,
        /// What is wrong in it; names it.
        #[source]
        cause: slhf_data::DataError,
    },
}

impl ExperimentError {
    /// A file that cannot be read.
    pub fn read(file: &Path, cause: io::Error) -> Self {
        Self::Read { file: file.to_path_buf(), cause }
    }

    /// A value that breaks a rule.
    pub fn invalid(file: &Path, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { file: file.to_path_buf(), key: key.into(), problem: problem.into() }
    }

    /// One error, or several.
    pub fn of(mut each: Vec<Self>) -> Result<(), Self> {
        match each.len() {
            0 => Ok(()),
            1 => Err(each.swap_remove(0)),
            _ => Err(Self::Several { each }),
        }
    }

    /// Every single error.
    pub fn each(self) -> Vec<Self> {
        match self {
            Self::Several { each } => each.into_iter().flat_map(Self::each).collect(),
            one => vec![one],
        }
    }
}
