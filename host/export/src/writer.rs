//! A table, row by row, into a new file of a format.

use std::path::{Path, PathBuf};

use crate::ExportError;
use crate::csv::CsvFile;
use crate::json_lines::JsonLinesFile;
use crate::parquet_file::ParquetFile;
use crate::table::{Kind, Table, Value};

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Columns with types, compressed: what pandas, polars, DuckDB and datasets read fastest.
    Parquet,
    /// Text, one line a row.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl TableFormat {
    /// How names of its files end, without a dot.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

#[derive(Debug)]
enum File {
    Parquet(Box<ParquetFile>),
    Csv(CsvFile),
    JsonLines(JsonLinesFile),
}

/// Writes a table into a new file.
#[derive(Debug)]
pub struct TableWriter {
    path: PathBuf,
    table: Table,
    file: File,
    rows: u64,
}

impl TableWriter {
    /// Begins a file. Nothing is written over.
    ///
    /// # Errors
    /// A sentence where the file is there already or cannot be made.
    pub fn create(path: &Path, table: &Table, format: TableFormat) -> Result<Self, ExportError> {
        if path.symlink_metadata().is_ok() {
            return Err(ExportError::Exists { path: path.to_owned() });
        }
        let failed = ExportError::write(path);
        let file = match format {
            TableFormat::Parquet => File::Parquet(Box::new(ParquetFile::create(path, table)?)),
            TableFormat::Csv => File::Csv(CsvFile::create(path, table).map_err(failed)?),
            TableFormat::JsonLines => File::JsonLines(JsonLinesFile::create(path, table).map_err(failed)?),
        };
        Ok(Self { path: path.to_owned(), table: table.clone(), file, rows: 0 })
    }

    /// Adds a row: a value a column, in their order.
    ///
    /// # Errors
    /// A sentence where a value is not of its column's kind, or the file cannot be written.
    pub fn row(&mut self, row: &[Value]) -> Result<(), ExportError> {
        for (column, value) in self.table.columns.iter().zip(row) {
            let fits = matches!(
                (column.kind, value),
                (_, Value::Null)
                    | (Kind::Integer, Value::Integer(_))
                    | (Kind::Number, Value::Number(_))
                    | (Kind::Boolean, Value::Boolean(_))
                    | (Kind::Text, Value::Text(_))
                    | (Kind::Messages, Value::Messages(_))
            );
            if !fits {
                return Err(ExportError::Kind {
                    table: self.table.name.to_owned(),
                    column: column.name.to_owned(),
                    found: value.in_words().to_owned(),
                    expected: column.kind.in_words(),
                });
            }
        }
        self.rows += 1;
        match &mut self.file {
            File::Parquet(file) => file.row(row),
            File::Csv(file) => file.row(row).map_err(ExportError::write(&self.path)),
            File::JsonLines(file) => file.row(row).map_err(ExportError::write(&self.path)),
        }
    }

    /// Ends the file, and waits until it is on the disk. Returns how many rows it has.
    ///
    /// # Errors
    /// A sentence where the file cannot be written.
    pub fn finish(self) -> Result<u64, ExportError> {
        let failed = ExportError::write(&self.path);
        match self.file {
            File::Parquet(file) => file.finish()?,
            File::Csv(file) => file.finish().map_err(failed)?,
            File::JsonLines(file) => file.finish().map_err(failed)?,
        }
        Ok(self.rows)
    }
}
