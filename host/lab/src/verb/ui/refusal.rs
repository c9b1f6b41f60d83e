//! Why a page cannot be shown.

use slhf_ui::ViewError;

use crate::failure::Failure;

/// A page that cannot be made says why.
pub(super) fn failed(failure: Failure) -> ViewError {
    ViewError::Failed(failure.sentences().join("\n"))
}

/// Likewise, of the record.
pub(super) fn of_record(error: slhf_record::RecordError) -> ViewError {
    ViewError::NotFound(slhf_words::chain(&error))
}
