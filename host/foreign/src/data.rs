//! Files of data are read in the other process.

use std::io;
use std::path::Path;

use slhf_data::PlannedReading;
use slhf_data::preferences::PreferenceReading;

use crate::ask::{ask, data_error};
use crate::protocol::{
    AnnotationsAnswer, ConversationsAnswer, DataAnswer, PairsAnswer, PreferencesAnswer, PromptsAnswer, Question,
    ResponsesAnswer, TablesAnswer,
};

/// Reads preference data in the other process. The outer error is the system's, or the door's.
pub fn preference_data(path: &Path, shown: &str) -> io::Result<DataAnswer> {
    slhf_files::open(path, slhf_files::DATA_BYTES_MAX)?;
    let question = Question::Data { path: path.to_owned(), shown: shown.to_owned() };
    Ok(ask::<DataAnswer>(&question).unwrap_or_else(|error| Err(data_error(path, &error))))
}

/// Reads annotations of pairs in the other process.
pub fn annotations(path: &Path) -> AnnotationsAnswer {
    ask::<AnnotationsAnswer>(&Question::Annotations { path: path.to_owned() })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads the auxiliary tables of annotations in the other process.
pub fn annotation_tables(folder: &Path) -> TablesAnswer {
    ask::<TablesAnswer>(&Question::Tables { folder: folder.to_owned() })
        .unwrap_or_else(|error| Err(data_error(folder, &error)))
}

/// Reads a file of prompts in the other process.
pub fn prompts(path: &Path, reading: impl Into<PlannedReading>) -> PromptsAnswer {
    ask::<PromptsAnswer>(&Question::Prompts { path: path.to_owned(), reading: reading.into() })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads a file of responses in the other process.
pub fn responses(path: &Path) -> ResponsesAnswer {
    ask::<ResponsesAnswer>(&Question::Responses { path: path.to_owned() })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads a file of pairs of responses in the other process.
pub fn pairs(path: &Path) -> PairsAnswer {
    ask::<PairsAnswer>(&Question::Pairs { path: path.to_owned() }).unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads a file of preferences in the other process.
pub fn preferences(path: &Path, reading: &PreferenceReading) -> PreferencesAnswer {
    let question = Question::Preferences { path: path.to_owned(), reading: reading.clone() };
    ask::<PreferencesAnswer>(&question).unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads a file of conversations that end with a response in the other process.
pub fn conversations(path: &Path) -> ConversationsAnswer {
    ask::<ConversationsAnswer>(&Question::Conversations { path: path.to_owned() })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}
