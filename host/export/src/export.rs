//! Runs into files of another tool.

use std::fs;
use std::path::Path;

use slhf_record::{Record, RunSummary};

use crate::exported::Exported;
use crate::tables::TABLES;
use crate::writer::{TableFormat, TableWriter};
use crate::{ExportError, mlflow, tensorboard};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A folder with one file a table ([`TABLES`]).
    Tables(TableFormat),
    /// A folder of TensorBoard's event files, one a run, with hyper-parameters.
    TensorBoard,
    /// A new store of MLflow: one SQLite file.
    Mlflow,
}

/// Writes runs to `to`, where nothing may be: whole, or not at all.
///
/// # Errors
/// A sentence where something is there already, a file cannot be written, or the record fails.
pub fn export(
    record: &mut Record,
    runs: &[RunSummary],
    format: Format,
    to: &Path,
) -> Result<Vec<Exported>, ExportError> {
    if to.symlink_metadata().is_ok() {
        return Err(ExportError::Exists { path: to.to_owned() });
    }
    // In a folder beside, so that what is half-written never has the name.
    let place = tempfile::Builder::new().prefix(".slhf-lab-export-").tempdir_in(slhf_files::folder_of(to));
    let place = place.map_err(ExportError::write(to))?;
    let made = place.path().join("made");
    let written = match format {
        Format::Tables(format) => tables(record, runs, format, &made)?,
        Format::TensorBoard => tensorboard::write(record, runs, &made)?,
        Format::Mlflow => mlflow::write(record, runs, &made)?,
    };
    fs::rename(&made, to).map_err(ExportError::write(to))?;
    let moved = |one: Exported| {
        let path = one.path.strip_prefix(&made).map_or_else(|_| to.to_owned(), |below| to.join(below));
        // A store is the file itself.
        let path = if one.path == made { to.to_owned() } else { path };
        Exported { path, ..one }
    };
    Ok(written.into_iter().map(moved).collect())
}

fn tables(
    record: &mut Record,
    runs: &[RunSummary],
    format: TableFormat,
    folder: &Path,
) -> Result<Vec<Exported>, ExportError> {
    fs::create_dir(folder).map_err(ExportError::write(folder))?;
    let numbers: Vec<i64> = runs.iter().map(|run| run.run).collect();
    let mut written = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let path = folder.join(format!("{}.{}", table.name, format.ending()));
        let mut writer = TableWriter::create(&path, &table.table(), format)?;
        table.write(record, &numbers, &mut writer)?;
        written.push(Exported { path, rows: writer.finish()? });
    }
    Ok(written)
}
