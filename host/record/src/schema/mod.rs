//! The interface of the file, documented: `db schema` prints it, docs/reference/record.md is made from it, and a test
//! compares it with the views that the migrations make.

mod listing;
mod view;

use std::fmt::Write as _;

use listing::VIEWS;
pub use view::{Column, ColumnType, View};

/// Every view with every column.
#[must_use]
pub fn views() -> &'static [View] {
    VIEWS
}

/// The reference page of the file, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# The record\n\nOne SQLite file (`lab.db`). The views below are its interface: tables may change with a \
         migration, these views and their columns do not. Made by `slhf-lab db schema --format markdown`; do not edit.\n",
    );
    for view in views() {
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n| column | type | meaning |\n|---|---|---|\n", view.name, view.meaning);
        for column in view.columns {
            let _ = writeln!(page, "| {} | {} | {} |", column.name, column.kind.as_str(), column.meaning);
        }
    }
    page
}
