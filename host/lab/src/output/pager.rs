//! Long output on a terminal, through the program that the user reads long texts with.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

/// Whether a pager may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    /// Where the output is a terminal.
    OnTerminals,
    /// Nowhere.
    Never,
}

/// Shows the text through a pager; `false`: there is none, or it is not wanted.
pub(super) fn show(text: &str, paging: Paging) -> bool {
    if paging == Paging::Never || !io::stdout().is_terminal() {
        return false;
    }
    let Some((program, arguments)) = command(std::env::var_os("PAGER")) else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    let Ok(mut pager) = command.spawn() else { return false };
    if let Some(mut input) = pager.stdin.take() {
        // Whoever has read enough closes it.
        let _ = input.write_all(text.as_bytes());
    }
    let _ = pager.wait();
    true
}

/// `$PAGER` with its arguments, or `less -FRX`; none where the variable is empty or `cat`.
fn command(variable: Option<OsString>) -> Option<(String, Vec<String>)> {
    let words = match variable {
        None => "less -FRX".to_owned(),
        Some(words) => words.into_string().ok()?,
    };
    let mut words = words.split_whitespace().map(str::to_owned);
    let program = words.next().filter(|program| program != "cat")?;
    Some((program, words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_pager_is_used_and_none_where_they_want_none() {
        let of = |variable: Option<&str>| command(variable.map(OsString::from)).map(|(program, _)| program);
        assert_eq!(of(None).as_deref(), Some("less"));
        assert_eq!(command(Some("most -s".into())), Some(("most".to_owned(), vec!["-s".to_owned()])));
        assert_eq!((of(Some("")), of(Some("cat"))), (None, None));
    }
}
