//! `slhf-lab show`: everything about one run.

mod on_page;
mod section;
mod sections;

pub(crate) use on_page::page_sections;
use section::{Section, Shape};

use std::fmt::Write as _;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::ser::{Serialize, SerializeMap, Serializer};
use slhf_record::OpenMode;

use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Header, Table};

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A number, `latest`, experiment/cell/seed, or a unique beginning of it
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,
    /// Only these sections (may be given several times)
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(sections::NAMES))]
    section: Vec<String>,
    /// Print long output as it is; without it a terminal shows it through $PAGER, or `less -FRX`
    #[arg(long)]
    no_pager: bool,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    let mut sections = sections::all(&mut record, &run).map_err(Failure::failed)?;
    let named = |section: &Section| arguments.section.iter().any(|name| sections::is_named(section, name));
    sections.retain(|section| arguments.section.is_empty() || named(section));
    match arguments.format.format {
        Format::Json => output::print_json(&Document(&sections)),
        Format::Csv => output::print_table(&long_form(&sections), Format::Csv),
        format => {
            let paging = if arguments.no_pager { output::Paging::Never } else { output::Paging::OnTerminals };
            let missing = without_non_numbers(&mut sections);
            output::print_paged(&for_people(&sections, format), paging)?;
            for key in &missing {
                output::say_no_number(key);
            }
            Ok(())
        }
    }
}

/// Takes away metrics that are NaN, and returns their keys.
fn without_non_numbers(sections: &mut [Section]) -> Vec<String> {
    let mut missing = Vec::new();
    for section in sections.iter_mut().filter(|section| section.key == "metrics") {
        section.table.rows.retain(|row| match row.as_slice() {
            [Cell::Text(key), _, value] if value.is_no_number() => {
                missing.push(key.clone());
                false
            }
            _ => true,
        });
    }
    missing
}

fn for_people(sections: &[Section], format: Format) -> String {
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.table.rows.is_empty()) {
        let gap = if text.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = match format {
            Format::Markdown => writeln!(text, "{gap}### {}\n", section.title),
            _ => writeln!(text, "{gap}{}", section.title),
        };
        text.push_str(&match section.shape {
            Shape::List => output::table_as_text(&section.table, format),
            Shape::One | Shape::Tall => output::table_as_text(&upright(&section.table), format),
        });
    }
    text
}

/// A JSON object with one entry a section.
struct Document<'a>(&'a [Section]);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for section in self.0 {
            match section.shape {
                Shape::One => map.serialize_entry(section.key, &section.table.first_row())?,
                Shape::List | Shape::Tall => map.serialize_entry(section.key, &section.table)?,
            }
        }
        map.end()
    }
}

/// For people, a row of many columns stands upright: one line a column. Several rows stand side by side.
fn upright(table: &Table) -> Table {
    let mut columns = vec![Column::text("what").titled("")];
    columns.extend((0..table.rows.len()).map(|_| Column::text("value").titled("")));
    let mut turned = Table { header: Header::Hidden, ..Table::new(columns) };
    for (index, column) in table.columns.iter().enumerate() {
        if table.rows.iter().all(|row| row[index] == Cell::Empty) {
            continue;
        }
        let mut row = vec![Cell::text(&column.title)];
        row.extend(table.rows.iter().map(|cells| cells[index].clone()));
        turned.push(row);
    }
    turned
}

/// For spreadsheets: sections have different columns, so each value is a line of its own.
fn long_form(sections: &[Section]) -> Table {
    let mut long =
        Table::new(vec![Column::text("section"), Column::number("row"), Column::text("column"), Column::text("value")]);
    for section in sections {
        for (index, row) in section.table.rows.iter().enumerate() {
            for (column, cell) in section.table.columns.iter().zip(row) {
                if *cell != Cell::Empty {
                    let row = Cell::count(index + 1);
                    long.push(vec![Cell::text(section.key), row, Cell::text(&column.key), cell.clone()]);
                }
            }
        }
    }
    long
}
