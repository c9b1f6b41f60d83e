//! The command line of `slhf-lab`: reads arguments, starts and watches workers, writes the record, shows it.
//!
//! What an experiment means is [`slhf_experiment`]'s, what policies are worth beside each other [`slhf_comparison`]'s, what is kept
//! [`slhf_record`]'s: this crate asks them, and prints.
//!
//! Invariant: this crate never links libtorch; whatever needs a tensor runs in a worker process.
//!
//! Begin with `cli.rs`: the verbs. A verb is a file of `verb/`; `running/` starts workers and writes down what they say;
//! `output.rs` is the one way to standard output.
//!
//! ```no_run
//! // All that the program does. It looks at the arguments of the process, so there is nothing to try here.
//! let code: std::process::ExitCode = slhf_lab::main();
//! ```

mod cli;
mod failure;
mod granted;
mod launching;
mod log;
mod output;
mod over_seeds;
mod plugin;
mod running;
mod terminal_chart;
mod trial;
mod verb;

use std::process::ExitCode;

/// The program: one verb of the command line, or, where this program started itself, the reader of foreign files.
pub fn main() -> ExitCode {
    // Not a verb of the command line: only this program starts itself so.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == slhf_foreign::VERB) {
        log::start(0, false);
        return slhf_foreign::main();
    }
    cli::main()
}
