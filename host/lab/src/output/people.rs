//! A table for people: what all rows share once above it, as wide as the place allows, and one block a record where no columns fit.

use tabled::builder::Builder;
use tabled::settings::formatting::AlignmentStrategy;
use tabled::settings::location::Locator;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::{Alignment as TabledAlignment, Color, Modify, Style};

use slhf_report::escape;

use super::blocks::blocks;
use super::cell::Cell;
use super::column::{Alignment, Role};
use super::fitting::{Piece, ShownColumn, fit};
use super::look::{Colours, Look};
use super::table::{Constants, Header, Table};
use super::wrap::{LongWord, width, wrap};

/// The table as text, with a newline at its end.
pub(super) fn for_people(table: &Table, look: Look) -> String {
    let mut columns = shown(table);
    let mut text = String::new();
    if table.constants == Constants::Caption {
        let said = take_constants(&mut columns);
        if !said.is_empty() {
            text.push_str(&list("the same everywhere: ", &said, look.width_max.unwrap_or(usize::MAX)));
        }
    }
    match fit(&columns, table.header, look.width_max) {
        Some(fitting) => {
            text.push_str(&drawn(table, &fitting.columns, look));
            if !fitting.left_out.is_empty() {
                let most = look.width_max.unwrap_or(usize::MAX);
                text.push_str(&list("no room here (see --format csv): ", &fitting.left_out, most));
            }
        }
        None => text.push_str(&in_blocks(table.header, &columns, look.width_max.unwrap_or(usize::MAX))),
    }
    text
}

/// `before a, b, c` as lines; an item is broken only where a line is too short for it alone.
fn list(before: &str, items: &[String], most: usize) -> String {
    let mut lines = vec![before.to_owned()];
    for (index, item) in items.iter().enumerate() {
        let item = if index + 1 < items.len() { format!("{item}, ") } else { item.clone() };
        let last = lines.last_mut().filter(|last| width(last) + width(item.trim_end()) <= most);
        match last {
            Some(last) => last.push_str(&item),
            None => lines.push(item),
        }
    }
    let broken = lines.iter().flat_map(|line| wrap(line.trim_end(), most, LongWord::Whole));
    broken.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

/// The columns as they are read.
fn shown(table: &Table) -> Vec<ShownColumn> {
    let column = |(index, column): (usize, &super::column::Column)| {
        let mut pieces: Vec<Piece> = table.rows.iter().map(|row| piece(&row[index])).collect();
        if column.role == Role::Labels {
            let labels: Vec<&str> = pieces.iter().map(Piece::text).collect();
            pieces = slhf_words::short_labels(&labels).into_iter().map(Piece::Text).collect();
        }
        ShownColumn {
            title: escape::line(&column.title).into_owned(),
            alignment: column.alignment,
            role: column.role,
            is_measured: column.holds_estimates || table.rows.iter().any(|row| matches!(row[index], Cell::Time(_))),
            pieces,
        }
    };
    table.columns.iter().enumerate().map(column).collect()
}

fn piece(cell: &Cell) -> Piece {
    let text = cell.for_people();
    match cell {
        Cell::Text(_) | Cell::Brief(_) => Piece::Text(text),
        _ => Piece::Whole(text),
    }
}

/// Takes away the columns in which all of several rows agree, and says what they say. What names the rows stays (labels, else the
/// first column), and so does what was measured.
fn take_constants(columns: &mut Vec<ShownColumn>) -> Vec<String> {
    let rows = columns.first().map_or(0, |column| column.pieces.len());
    let has_labels = columns.iter().any(|column| column.role == Role::Labels);
    let mut said = Vec::new();
    let mut index = 0;
    columns.retain(|column| {
        index += 1;
        let names_rows = column.role == Role::Labels || (index == 1 && !has_labels);
        let is_constant = column.pieces.windows(2).all(|pair| pair[0] == pair[1]);
        if rows < 2 || names_rows || column.is_measured || !is_constant {
            return true;
        }
        let value = column.pieces[0].text();
        if !value.is_empty() {
            said.push(format!("{} = {value}", column.title));
        }
        false
    });
    said
}

fn drawn(table: &Table, columns: &[ShownColumn], look: Look) -> String {
    let mut builder = Builder::with_capacity(table.rows.len() + 1, columns.len());
    if table.header == Header::Shown {
        builder.push_record(columns.iter().map(|column| column.title.as_str()));
    }
    for row in 0..table.rows.len() {
        builder.push_record(columns.iter().map(|column| column.pieces[row].text()));
    }
    let mut shown = builder.build();
    match table.header {
        Header::Shown => shown.with(Style::rounded()),
        Header::Hidden => shown.with(Style::rounded().remove_horizontals()),
    };
    for (index, column) in columns.iter().enumerate() {
        if column.alignment == Alignment::Right {
            // A title of several lines stands at the right line by line.
            let right =
                Modify::new(Columns::one(index)).with(TabledAlignment::right()).with(AlignmentStrategy::PerLine);
            shown.with(right);
        }
    }
    if look.colours == Colours::Ansi {
        paint(table, &mut shown);
    }
    let mut text = shown.to_string();
    text.push('\n');
    text
}

/// Colours say again what the text says: nothing is lost without them.
fn paint(table: &Table, shown: &mut tabled::Table) {
    match table.header {
        Header::Shown => shown.with(Modify::new(Rows::first()).with(Color::BOLD)),
        Header::Hidden => shown.with(Modify::new(Columns::first()).with(Color::BOLD)),
    };
    for (state, colour) in [
        ("finished", Color::FG_GREEN),
        ("running", Color::FG_CYAN),
        ("interrupted", Color::FG_YELLOW),
        ("failed", Color::FG_RED),
        ("superseded", Color::FG_BRIGHT_BLACK),
    ] {
        let is_used = table.rows.iter().flatten().any(|cell| matches!(cell, Cell::State(text) if text == state));
        if is_used {
            shown.with(Modify::new(Locator::content(state)).with(colour));
        }
    }
}

/// A block a row; of a table whose first column says what each row is, a block a further column.
fn in_blocks(header: Header, columns: &[ShownColumn], most: usize) -> String {
    let rows = columns.first().map_or(0, |column| column.pieces.len());
    let records: Vec<_> = match (header, columns.split_first()) {
        (Header::Hidden, Some((names, values))) => values
            .iter()
            .map(|values| (0..rows).map(|row| (names.pieces[row].text(), values.pieces[row].text())).collect())
            .collect(),
        _ => (0..rows)
            .map(|row| columns.iter().map(|column| (column.title.as_str(), column.pieces[row].text())).collect())
            .collect(),
    };
    blocks(&records, most)
}
