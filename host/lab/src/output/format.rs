//! How a listing is printed.

use clap::ValueEnum;

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: full precision.
    Json,
    /// For spreadsheets.
    Csv,
    /// For reports.
    Markdown,
}
