//! Results on stdout, all else on stderr.

mod render;
mod table;

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;
use slhf_report::escape;
use tracing_subscriber::EnvFilter;

pub(crate) use render::Text;
pub(crate) use slhf_words::{duration, half_width, number, share};
pub(crate) use table::{Alignment, Cell, Column, Header, Table};

use crate::failure::Failure;

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

/// One line on stderr for the person who waits: neither a result nor a log line.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{}", escape::lines(&line.to_string()));
}

/// Text from files and plugins within a line: it must not steer a terminal, nor end the line.
pub(crate) fn visible(text: &str) -> String {
    escape::line(text).into_owned()
}

/// `NO_COLOR` counts when it is set and not empty (<https://no-color.org>).
pub(crate) fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

fn terminal_width(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(stream)?;
    (columns > 0).then_some(usize::from(columns))
}

/// Sends `tracing` to stderr; `SLHF_LAB_LOG` overrides the level with a filter of its own.
pub(crate) fn start_log(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("SLHF_LAB_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::running::LogWriter::default)
        .with_ansi(colours_wanted() && io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .try_init();
}
