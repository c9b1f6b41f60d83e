//! Files that strangers made are read in a process of their own.
//!
//! A compiler, a decompressor or a parser that is fed by a stranger may take minutes or gigabytes, overflow a stack or
//! panic. None of that happens in the lab: this program, started again with a hidden verb, reads the file under limits of
//! memory and time, and leaves a checked result in the cache or on its standard output. It may come to any end; the lab
//! says which, of which file, and how to raise the limit. One process serves all files of a command.

mod child;
mod limits;
mod process;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slhf_judge::{Compilation, CompileRequest, Elsewhere, HostSettings};

pub(crate) use child::{VERB, main};
pub(crate) use limits::ForeignLimits;
use process::Reader;

/// What the process is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// To check and compile a component; answered by [`ComponentAnswer`].
    Component(CompileRequest),
}

/// Nothing, or why not in a sentence that names the file.
pub(crate) type ComponentAnswer = Result<(), String>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignError {
    /// The program itself cannot be started again.
    #[error("the process that reads files of others cannot be started")]
    CannotStart(#[source] std::io::Error),
    /// A library panicked over the file.
    #[error("{file} cannot be read: {who} gave up ({words})")]
    GaveUp {
        /// The file.
        file: String,
        /// `the library tokenizers 0.22.2`, …
        who: String,
        /// Its last words.
        words: String,
    },
    /// It came to an end.
    #[error(
        "{file} cannot be read: the process that reads it ended ({how}); it may take {memory_mib} MiB, which \
         {} raises",
        limits::MEMORY_VARIABLE
    )]
    Ended {
        /// The file.
        file: String,
        /// How, in words.
        how: String,
        /// The limit.
        memory_mib: u64,
    },
    /// It took too long.
    #[error("{file} cannot be read within {seconds} s; {} raises that limit", limits::SECONDS_VARIABLE)]
    TooSlow {
        /// The file.
        file: String,
        /// The limit.
        seconds: f64,
    },
}

impl Question {
    /// The file in question.
    fn file(&self) -> String {
        let file: &Path = match self {
            Self::Component(request) => &request.path,
        };
        file.display().to_string()
    }
}

/// Asks the process of this command, which is started where there is none.
pub(crate) fn ask<A: DeserializeOwned>(question: &Question) -> Result<A, ForeignError> {
    Reader::of_this_command().ask(question)
}

/// A plugin host that compiles in the other process.
pub(crate) fn host_settings() -> HostSettings {
    let ask = |request: &CompileRequest| -> ComponentAnswer {
        ask::<ComponentAnswer>(&Question::Component(request.clone()))
            .unwrap_or_else(|error| Err(crate::failure::chain(&error)))
    };
    HostSettings { compilation: Compilation::Elsewhere(Elsewhere::new(ask)), ..HostSettings::default() }
}
