//! Words for the person who waits.

use std::io::{self, Write as _};

use slhf_report::escape;

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
