//! Every way a search or an installation can fail, each as one sentence that says how to mend it.

use std::io;
use std::path::PathBuf;

use crate::bytes::Bytes;

/// A failed search or installation. `Display` is one sentence and never repeats its source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No variable says where a cache folder could be.
    #[error(
        "no cache folder is known (none of SLHF_LAB_CACHE, XDG_CACHE_HOME and HOME is set): set SLHF_LAB_CACHE to a folder"
    )]
    NoCacheFolder,

    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done, as in "cannot … PATH".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },

    /// The cache's file system is too full.
    #[error(
        "{purpose} needs {needed} of free disk, but {} has {free}: free some, or set SLHF_LAB_CACHE to a folder elsewhere",
        folder.display()
    )]
    NotEnoughSpace {
        /// What would be stored.
        purpose: &'static str,
        /// Bytes needed while installing.
        needed: Bytes,
        /// Bytes there are.
        free: Bytes,
        /// The folder that was looked at.
        folder: PathBuf,
    },

    /// A program the installation needs is not there, or cannot do what it must.
    #[error("{problem}, which {purpose} needs: {mend}")]
    MissingProgram {
        /// What is missing, as the start of a sentence.
        problem: String,
        /// What needs it.
        purpose: &'static str,
        /// What to install.
        mend: String,
    },

    /// A program could not be started.
    #[error("cannot start `{program}`")]
    NotStarted {
        /// The program.
        program: String,
        /// The reason.
        source: io::Error,
    },

    /// A program ended with an error.
    #[error("{doing} failed ({status}): {said}; {mend}")]
    ProgramFailed {
        /// What it was doing, as the start of a sentence.
        doing: String,
        /// How it ended.
        status: String,
        /// The telling line of what it printed.
        said: String,
        /// What to try.
        mend: String,
    },

    /// Prebuilt files exist for another kind of machine only.
    #[error("{what} can be fetched for x86_64 Linux only, and this is {machine}: {mend}")]
    UnsupportedMachine {
        /// What would have been fetched.
        what: &'static str,
        /// Architecture and system.
        machine: String,
        /// What to do instead.
        mend: &'static str,
    },

    /// A tool is published for other kinds of machines only.
    #[error("{tool} is not published for {machine}: {mend}")]
    NoTool {
        /// Name and version.
        tool: &'static str,
        /// Architecture and system.
        machine: String,
        /// What to do instead.
        mend: &'static str,
    },

    /// A folder given as libtorch lacks files.
    #[error(
        "{origin} names {} as libtorch, but {missing} is not there: point it at a folder with include/ and lib/ of libtorch {expected}, or unset it to have one fetched",
        folder.display()
    )]
    LibtorchIncomplete {
        /// Who named the folder.
        origin: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The first missing file, relative to the folder.
        missing: &'static str,
        /// The version that is needed.
        expected: &'static str,
    },

    /// A folder given as libtorch is another version.
    #[error(
        "{origin} names {}, which is libtorch {found}, but this build needs {expected}: point it at that version, or unset it to have one fetched",
        folder.display()
    )]
    LibtorchVersion {
        /// Who named the folder.
        origin: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The version found there.
        found: String,
        /// The version that is needed.
        expected: &'static str,
    },

    /// The compiler that the environment names cannot compile guests.
    #[error(
        "SLHF_LAB_WASM_RUSTC names {}, but {problem}: point it at a rustc that has the target wasm32-unknown-unknown, or unset it",
        rustc.display()
    )]
    WasmCompilerUnusable {
        /// The named compiler.
        rustc: PathBuf,
        /// Why it cannot be used.
        problem: String,
    },

    /// No way to compile guests.
    #[error("no compiler for wasm32-unknown-unknown: {reason}; {mend}")]
    NoWasmCompiler {
        /// Why the automatic route is closed.
        reason: String,
        /// What to run.
        mend: String,
    },

    /// No model has that name.
    #[error(
        "there is no model called \"{name}\": the set-up provides {known}; others are named by the path of a Hugging Face folder or a GGUF file"
    )]
    UnknownModel {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },

    /// A model with a name was not fetched yet.
    #[error("the model {name} is not on this machine: run `slhf-lab model fetch {name}` (downloads {download})")]
    ModelMissing {
        /// The name.
        name: &'static str,
        /// What fetching it costs.
        download: Bytes,
    },

    /// Nobody accepted a model's terms.
    #[error(
        "{name} comes under the {terms} ({text}): `slhf-lab model fetch {name}` shows them, and fetches it once they are accepted"
    )]
    TermsNotAccepted {
        /// The model.
        name: &'static str,
        /// What they are called.
        terms: &'static str,
        /// Where they stand.
        text: &'static str,
    },

    /// What was fetched is not the model.
    #[error(
        "what was fetched as {name} has the SHA-256 {found}, but {expected} was expected: it is not used; fetch it again, from another index"
    )]
    ModelTampered {
        /// The name.
        name: &'static str,
        /// Of the fetched file.
        found: String,
        /// Of the model.
        expected: &'static str,
    },
}

impl Error {
    /// Makes the adapter for `map_err` on file operations.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// This error and its sources in one line, joined by ": ".
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            source = cause.source();
        }
        line
    }
}
