//! Results on stdout, all else on stderr.

mod blocks;
mod cell;
mod column;
mod fitting;
mod format;
mod layout;
mod look;
mod people;
mod render;
mod table;
mod text;
mod words;
mod wrap;

#[cfg(test)]
mod fits;

pub(crate) use format::Format;
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
