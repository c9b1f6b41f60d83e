//! Files of data, as the other process reads them.

use std::path::Path;

use slhf_data::{DataError, Place};

use crate::protocol::{AnnotationsAnswer, DataAnswer};

/// Preference data.
pub(crate) fn read_data(path: &Path, shown: &str) -> DataAnswer {
    let bytes = read(path, shown)?;
    Ok((slhf_data::read(shown, &bytes)?, slhf_files::sha256_hex(&bytes)))
}

/// Annotations of pairs.
pub(crate) fn read_annotations(path: &Path) -> AnnotationsAnswer {
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
