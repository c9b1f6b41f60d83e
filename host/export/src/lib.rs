//! Recorded results in the formats of other tools.
//!
//! It reads the record through its views and writes new files; it never changes a record, and nothing is written over. Numbers are
//! exact: all 17 digits, and what is not finite stays what it is wherever a format can say so.
//!
//! Begin with [`export`], which writes tables ([`Format::Tables`]: Parquet, CSV or JSON lines), TensorBoard's event files or
//! MLflow's store; then [`Table`] and [`TableWriter`], for tables of the caller's own.

mod csv;
mod error;
mod export;
mod exported;
mod json_lines;
mod metrics;
mod mlflow;
mod parquet_file;
mod table;
mod tables;
mod tensorboard;
mod times;
mod writer;

pub use error::ExportError;
pub use export::{Format, export};
pub use exported::Exported;
pub use table::{Column, Kind, Message, Table, Value};
pub use tables::{Source, TABLES};
pub use writer::{TableFormat, TableWriter};
