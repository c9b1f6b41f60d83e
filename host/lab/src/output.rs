//! Results on stdout, all else on stderr.

mod format;
mod render;
mod table;
mod text;
mod words;

pub(crate) use format::Format;
pub(crate) use words::{colours_wanted, say, visible};

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use slhf_report::escape;

pub(crate) use slhf_words::{duration, half_width, number, share};
pub(crate) use table::{Alignment, Cell, Column, Header, Table};
pub(crate) use text::Text;

use crate::failure::Failure;

/// Prints a table on stdout: as wide as the terminal allows, unlimited and colourless through a pipe.
pub(crate) fn print_table(table: &Table, format: Format) -> Result<(), Failure> {
    print_table_of(table, format, Text::Escaped)
}

/// Likewise, of text as it is where the user asked for that.
pub(crate) fn print_table_of(table: &Table, format: Format, text: Text) -> Result<(), Failure> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let look = render::Look {
        width_max: terminal.then(|| terminal_width(&stdout)).flatten(),
        colours: if terminal && colours_wanted() { render::Colours::Ansi } else { render::Colours::None },
        text,
    };
    print_raw(&render::render(table, format, look))
}

/// Prints a table on stderr, for people.
pub(crate) fn print_table_to_stderr(table: &Table) {
    let stderr = io::stderr();
    let terminal = stderr.is_terminal();
    let look = render::Look {
        width_max: terminal.then(|| terminal_width(&stderr)).flatten(),
        colours: if terminal && colours_wanted() { render::Colours::Ansi } else { render::Colours::None },
        text: Text::Escaped,
    };
    let _ = stderr.lock().write_all(render::render(table, Format::Table, look).as_bytes());
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

/// Columns of stdout, where it is a terminal.
pub(crate) fn width() -> Option<usize> {
    terminal_width(&io::stdout())
}

fn terminal_width(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(stream)?;
    (columns > 0).then_some(usize::from(columns))
}
