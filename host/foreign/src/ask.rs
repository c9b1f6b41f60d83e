//! The one way to the other process.

use std::path::Path;

use serde::de::DeserializeOwned;
use slhf_data::DataError;

use crate::error::ForeignError;
use crate::process::Reader;
use crate::protocol::Question;

/// Asks the process of this command, which is started where there is none.
pub(crate) fn ask<A: DeserializeOwned>(question: &Question) -> Result<A, ForeignError> {
    Reader::of_this_command().ask(question)
}

/// The error of a file of data that was not read at all.
pub(crate) fn data_error(path: &Path, error: &ForeignError) -> DataError {
    let file = path.display().to_string();
    let sentence = slhf_words::chain(error);
    let problem = sentence.strip_prefix(&file).map_or(sentence.as_str(), str::trim_start).to_owned();
    DataError { file, place: slhf_data::Place::default(), problem }
}
