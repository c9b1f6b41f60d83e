//! The views of the record with their columns, as tables and as a page.

use std::fmt::Write as _;

use slhf_record::View;

use crate::output::{Cell, Column, Table};

/// One row a column of a view.
pub(super) fn flat(views: &[View]) -> Table {
    let mut table =
        Table::new(vec![Column::text("view"), Column::text("column"), Column::text("type"), Column::text("meaning")]);
    for view in views {
        for column in view.columns {
            table.push(vec![
                Cell::text(view.name),
                Cell::text(column.name),
                Cell::text(column.kind.as_str()),
                Cell::text(column.meaning),
            ]);
        }
    }
    table
}

pub(super) fn for_people(views: &[View]) -> String {
    let mut text = String::new();
    for view in views {
        let width = view.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
        let _ = writeln!(text, "{}: {}", view.name, view.meaning);
        for column in view.columns {
            let _ = writeln!(text, "    {:width$}  {:7}  {}", column.name, column.kind.as_str(), column.meaning);
        }
        text.push('\n');
    }
    text.push_str(
        "Example: slhf-lab query \"SELECT experiment, cell, count(*) FROM runs GROUP BY experiment, cell\"\n",
    );
    text
}

/// docs/reference/record.md is this text.
pub(super) fn markdown(views: &[View]) -> String {
    let mut text = String::from(
        "# The record's views\n\nMade by `slhf-lab db schema --format markdown`; do not edit. The record is one SQLite \
         file. Its tables may change with a\nmigration, these views and their columns do not. Times are ISO 8601, UTC. \
         Where a number is not finite, `value` is NULL\nand `non_finite` is `nan`, `inf` or `-inf`.\n",
    );
    for view in views {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n| column | type | meaning |\n| --- | --- | --- |\n",
            view.name, view.meaning
        );
        for column in view.columns {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} |",
                column.name,
                column.kind.as_str(),
                column.meaning.replace('|', "\\|")
            );
        }
    }
    text
}
