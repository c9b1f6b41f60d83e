//! What can go wrong, one sentence each.

use std::path::{Path, PathBuf};

use slhf_record::RecordError;

/// An error of this crate. Its Display never prints its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Something lies where a file or folder is to be made.
    #[error("{} exists already: name another place with --to", .path.display())]
    Exists {
        /// As it was named.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("{} cannot be written: check that its folder exists and has room", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A Parquet file could not be written.
    #[error("the Parquet file {} cannot be written", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: parquet::errors::ParquetError,
    },
    /// MLflow's store could not be written.
    #[error("the MLflow store {} cannot be written", .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// A value that its column cannot hold.
    #[error("column {column} of {table} holds {found}, expected {expected}: the record was changed by another program")]
    Kind {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What was found.
        found: String,
        /// What is expected.
        expected: &'static str,
    },
    /// The record failed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl ExportError {
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    pub(crate) fn parquet(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Parquet { path, source }
    }

    pub(crate) fn store(path: &Path) -> impl FnOnce(sqlx::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Store { path, source }
    }

    /// Whether the system or the record failed, so that another name would not help.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Record(error) => error.is_failure(),
            Self::Exists { .. } => false,
            Self::Write { .. } | Self::Parquet { .. } | Self::Store { .. } | Self::Kind { .. } => true,
        }
    }
}
