//! The log: `tracing` to standard error, around the progress bar.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::output::colours_wanted;

/// Sends `tracing` to stderr; `SLHF_LAB_LOG` overrides the level with a filter of its own.
pub(crate) fn start(verbose: u8, quiet: bool) {
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
