//! Files of data: a table or a list of rows, which a stranger may have made.

use std::io;
use std::path::Path;

use slhf_data::{AnnotatedPair, AnnotationTables, DataError, Place, PreferenceData};

use super::{Question, ask, data_error};

/// The data with the SHA-256 of the file.
pub(super) type DataAnswer = Result<(PreferenceData, String), DataError>;
pub(super) type AnnotationsAnswer = Result<Vec<AnnotatedPair>, DataError>;
pub(super) type TablesAnswer = Result<AnnotationTables, DataError>;

/// Reads preference data in the other process. The outer error is the system's, or the door's.
pub(crate) fn preference_data(path: &Path, shown: &str) -> io::Result<DataAnswer> {
    slhf_files::open(path, slhf_files::DATA_BYTES_MAX)?;
    let question = Question::Data { path: path.to_owned(), shown: shown.to_owned() };
    Ok(ask::<DataAnswer>(&question).unwrap_or_else(|error| Err(data_error(path, &error))))
}

/// Reads annotations of pairs in the other process.
pub(crate) fn annotations(path: &Path) -> AnnotationsAnswer {
    ask::<AnnotationsAnswer>(&Question::Annotations { path: path.to_owned() })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads the auxiliary tables of annotations in the other process.
pub(crate) fn annotation_tables(folder: &Path) -> TablesAnswer {
    ask::<TablesAnswer>(&Question::Tables { folder: folder.to_owned() })
        .unwrap_or_else(|error| Err(data_error(folder, &error)))
}

/// What the other process does.
pub(super) fn read_data(path: &Path, shown: &str) -> DataAnswer {
    let bytes = read(path, shown)?;
    Ok((slhf_data::read(shown, &bytes)?, slhf_files::sha256_hex(&bytes)))
}

/// Likewise.
pub(super) fn read_annotations(path: &Path) -> AnnotationsAnswer {
    let shown = path.display().to_string();
    slhf_data::read_annotations(&shown, &read(path, &shown)?)
}

fn read(path: &Path, shown: &str) -> Result<Vec<u8>, DataError> {
    slhf_files::read(path, slhf_files::DATA_BYTES_MAX).map_err(|error| DataError {
        file: shown.to_owned(),
        place: Place::default(),
        problem: format!("cannot be read: {error}"),
    })
}
