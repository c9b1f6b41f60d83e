//! How a worker ended, in words, with what to do about it where that is known.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

/// How long a worker that closed its output may take to exit.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a worker ended.
#[derive(Debug)]
pub(crate) enum HowItEnded {
    /// By itself or by a signal.
    Exited(ExitStatus),
    /// It closed its output and did not exit, so it was killed.
    Hung,
    /// The system would not say.
    Unknown(io::Error),
}

/// How a worker ended, with the last lines that it wrote to standard error.
#[derive(Debug)]
pub(crate) struct Death {
    pub(super) how: HowItEnded,
    pub(super) last_words: Vec<String>,
}

impl Death {
    /// Whether somebody else's signal ended it: then the same work may well be finished by another one.
    pub(crate) fn was_by_signal(&self) -> bool {
        matches!(&self.how, HowItEnded::Exited(status) if status.signal().is_some())
    }
}

impl fmt::Display for Death {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            HowItEnded::Exited(status) => formatter.write_str(&describe_exit(*status))?,
            HowItEnded::Hung => {
                write!(formatter, "it hung for {} s at its end and was killed", EXIT_TIMEOUT.as_secs())?;
            }
            HowItEnded::Unknown(error) => write!(formatter, "{error}")?,
        }
        if self.last_words.is_empty() {
            return Ok(());
        }
        write!(formatter, "; its last words: {}", self.last_words.join(" / "))
    }
}

/// How a process ended, in words, with what to do about it where that is known.
pub(crate) fn describe_exit(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "killed by signal 9, probably memory: lower --jobs, the number of seeds or the size of the \
                         game (on a language model: method.micro_batch_size, method.max_new_tokens or \
                         evaluation.batch_size), or free some memory"
            .to_owned(),
        (Some(signal), _) => {
            let name = signal_name(signal).map(|name| format!(" ({name})")).unwrap_or_default();
            format!("killed by signal {signal}{name}")
        }
        (None, Some(0)) => "exit code 0".to_owned(),
        (None, Some(127)) => {
            "exit code 127, probably a shared library that was not found: see `slhf-lab doctor`".to_owned()
        }
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "it ended in an unknown way".to_owned(),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "hang-up",
        2 => "interrupt",
        4 => "illegal instruction: libtorch was built for another CPU",
        6 => "abort",
        7 => "bus error",
        8 => "arithmetic error",
        11 => "segmentation fault",
        15 => "termination was asked for",
        24 => "CPU time limit",
        25 => "file size limit",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_put_into_words() {
        for (wait_status, expected) in [
            (9, "killed by signal 9, probably memory"),
            (11, "killed by signal 11 (segmentation fault)"),
            (64, "killed by signal 64"),
            (1 << 8, "exit code 1"),
            (127 << 8, "exit code 127, probably a shared library"),
        ] {
            let words = describe_exit(ExitStatus::from_raw(wait_status));
            assert!(words.starts_with(expected), "{words}");
        }
    }
}
