//! Results on stdout, all else on stderr.

mod blocks;
mod cell;
mod column;
mod fitting;
mod format;
mod layout;
mod look;
mod pager;
mod people;
mod render;
mod table;
mod text;
mod words;
mod wrap;

#[cfg(test)]
mod fits;

pub(crate) use format::Format;
pub(crate) use pager::Paging;
pub(crate) use words::{colours_wanted, say, visible};

use std::io::{self, Write as _};

use serde::Serialize;
use slhf_report::escape;

pub(crate) use cell::Cell;
pub(crate) use column::{Alignment, Column};
pub(crate) use slhf_words::{duration, half_width, number, share};
pub(crate) use table::{Header, Table};
pub(crate) use text::Text;

use crate::failure::Failure;
use look::Look;

/// Prints a table on stdout: as wide as the place allows, colourless through a pipe.
pub(crate) fn print_table(table: &Table, format: Format) -> Result<(), Failure> {
    print_table_of(table, format, Text::Escaped)
}

/// Likewise, of text as it is where the user asked for that.
pub(crate) fn print_table_of(table: &Table, format: Format, text: Text) -> Result<(), Failure> {
    print_raw(&render::render(table, format, Look::of(&io::stdout(), text)))
}

/// A table as it would be printed on stdout.
pub(crate) fn table_as_text(table: &Table, format: Format) -> String {
    render::render(table, format, Look::of(&io::stdout(), Text::Escaped))
}

/// Prints text that was made by [`table_as_text`], and may be long.
pub(crate) fn print_paged(text: &str, paging: Paging) -> Result<(), Failure> {
    if pager::show(text, paging) { Ok(()) } else { print_raw(text) }
}

/// Prints a table of metrics. People see no NaN: what could not be measured is left out, and it is said why, once a metric.
pub(crate) fn print_measured(mut table: Table, format: Format) -> Result<(), Failure> {
    if matches!(format, Format::Table | Format::Markdown) {
        let missing = table.take_non_numbers();
        if !missing.is_empty() {
            table = table.without_empty_columns();
        }
        print_table(&table, format)?;
        for key in &missing {
            say_no_number(key);
        }
        return Ok(());
    }
    print_table(&table, format)
}

/// Why a metric is NaN.
pub(crate) fn say_no_number(key: &str) {
    let why = slhf_plan::MetricKey::parse(key).map_or("it could not be computed", slhf_plan::MetricKey::why_no_number);
    say(format!("note: left out where it is NaN: {} ({why})", visible(key)));
}

/// Prints a table on stderr, for people.
pub(crate) fn print_table_to_stderr(table: &Table) {
    let stderr = io::stderr();
    let shown = render::render(table, Format::Table, Look::of(&stderr, Text::Escaped));
    let _ = stderr.lock().write_all(shown.as_bytes());
}

/// Prints text on stdout; what could steer a terminal is spelt out.
pub(crate) fn print_text(text: &str) -> Result<(), Failure> {
    print_raw(&escape::lines(text))
}

/// Prints text on stdout as it is: what was escaped already, or what the user asked for as it is.
pub(crate) fn print_raw(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::failed)
}

/// Prints a value on stdout as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    text.push('\n');
    print_raw(&escape::json(&text))
}

/// Columns of text on stdout; `None`: as wide as it gets.
pub(crate) fn width() -> Option<usize> {
    Look::of(&io::stdout(), Text::Escaped).width_max
}
