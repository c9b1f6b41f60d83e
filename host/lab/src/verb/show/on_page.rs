//! The same aspects of a run as tables of a page.

use slhf_record::{Record, RecordError, RunSummary};

use super::section::Shape;
use super::{sections, upright};
use crate::output::{Cell, Table};

/// A section of a run's page.
pub(crate) struct PageSection {
    /// What it is called in documents.
    pub(crate) key: &'static str,
    /// Above it.
    pub(crate) title: &'static str,
    /// Without rows it is left out.
    pub(crate) table: slhf_report::Table,
}

/// All that there is to say, in the order in which `show` says it.
pub(crate) fn page_sections(record: &mut Record, run: &RunSummary) -> Result<Vec<PageSection>, RecordError> {
    let sections = sections::all(record, run)?.into_iter().filter(|section| !section.table.rows.is_empty());
    let shown = sections.map(|section| {
        let table = match section.shape {
            Shape::List => of(&section.table),
            Shape::One | Shape::Tall => of(&upright(&section.table)),
        };
        PageSection { key: section.key, title: section.title, table }
    });
    Ok(shown.collect())
}

fn of(table: &Table) -> slhf_report::Table {
    slhf_report::Table {
        columns: table.columns.iter().map(|column| column.title.clone()).collect(),
        rows: table.rows.iter().map(|row| row.iter().map(Cell::for_people).collect()).collect(),
    }
}
