//! What the place where a table is printed allows.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use super::text::Text;
use super::words::colours_wanted;

/// Whether escape sequences may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// No.
    None,
    /// Yes.
    Ansi,
}

/// What the place where a table is printed allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Columns of text; `None`: as wide as it gets.
    pub(crate) width_max: Option<usize>,
    /// Escape sequences.
    pub(crate) colours: Colours,
    /// Of a CSV's fields.
    pub(crate) text: Text,
}

impl Look {
    /// Of a stream: as wide as `COLUMNS` says, else as the terminal; unlimited and colourless through a pipe.
    pub(crate) fn of(stream: &(impl IsTerminal + AsFd), text: Text) -> Self {
        let is_terminal = stream.is_terminal();
        let terminal = is_terminal.then(|| terminal_width(stream)).flatten();
        Self {
            width_max: columns_asked(std::env::var_os("COLUMNS")).or(terminal),
            colours: if is_terminal && colours_wanted() { Colours::Ansi } else { Colours::None },
            text,
        }
    }
}

/// `COLUMNS`, where it is a number above 0.
fn columns_asked(variable: Option<OsString>) -> Option<usize> {
    variable?.to_str()?.trim().parse().ok().filter(|columns| *columns > 0)
}

fn terminal_width(stream: &impl AsFd) -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(stream)?;
    (columns > 0).then_some(usize::from(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_where_they_are_a_number() {
        let asked = |text: &str| columns_asked(Some(text.into()));
        assert_eq!(asked("80"), Some(80));
        assert_eq!(asked(" 120 "), Some(120));
        assert_eq!((asked("0"), asked(""), asked("wide"), columns_asked(None)), (None, None, None, None));
    }
}
