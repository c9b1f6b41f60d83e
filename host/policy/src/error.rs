//! What can go wrong with a language model, in one sentence each.

use std::path::PathBuf;

use tch::TchError;

/// Why a model could not be read, run or written. A message says what, where and what was expected; what caused it is the
/// error's source and is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The operating system refused a file or folder.
    #[error("{}: cannot {doing}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `write`, `create`, …
        doing: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is not what its name promises.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, what was expected, how to mend it.
        problem: String,
    },
    /// A JSON file does not parse or lacks a field.
    #[error("{}: this is not the JSON of {what}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A field of a model's configuration cannot be honoured.
    #[error("{}: `{key}` {problem}", path.display())]
    Config {
        /// `config.json`, or the GGUF file.
        path: PathBuf,
        /// The field or metadata key.
        key: String,
        /// What it says and what is known.
        problem: String,
    },
    /// A tensor of the model is wrong or missing.
    #[error("{}: tensor `{tensor}` {problem}", path.display())]
    Tensor {
        /// The file, or the folder where no file has it.
        path: PathBuf,
        /// Its name in that file.
        tensor: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// The tokenizer cannot be built, or cannot encode or decode.
    #[error("{}: cannot {doing}", path.display())]
    Tokenizer {
        /// `tokenizer.json`, or the GGUF file.
        path: PathBuf,
        /// `build the tokenizer`, `encode a text`, …
        doing: &'static str,
        /// The tokenizer's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The chat template cannot be used.
    #[error("{}: the chat template {problem}", path.display())]
    Template {
        /// Where the template stands.
        path: PathBuf,
        /// What is wrong and how to go on.
        problem: String,
    },
    /// The chat template failed on these messages.
    #[error("{}: the chat template cannot render these messages", path.display())]
    Render {
        /// Where the template stands.
        path: PathBuf,
        /// Where in the template, and why.
        source: minijinja::Error,
    },
    /// A setting of a run cannot be honoured.
    #[error("`{key}` {problem}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// What it says and what is possible.
        problem: String,
    },
    /// A trained parameter is not as expected.
    #[error("the parameter `{name}` {problem}")]
    Parameter {
        /// Its name.
        name: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A gradient has no finite norm; nothing was changed.
    #[error("the {agent}'s gradient of `{name}` {problem}; no parameter was changed")]
    Gradient {
        /// Whose.
        agent: &'static str,
        /// The agent's first such parameter.
        name: String,
        /// What is in it.
        problem: String,
    },
    /// libtorch refused an optimizer step.
    #[error("cannot update the parameters of the {agent}")]
    Optimizer {
        /// Whose.
        agent: &'static str,
        /// libtorch's reason.
        source: slhf_torch_shim::ShimError,
    },
    /// Saved parameters and moments are not those of this run.
    #[error("the saved training state {problem}")]
    State {
        /// What was found and what was expected.
        problem: String,
    },
    /// A request that the model cannot carry out.
    #[error("{what} {problem}")]
    Request {
        /// Which row, pair or prompt.
        what: String,
        /// What is wrong with it and what was expected.
        problem: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch cannot {doing}")]
    Torch {
        /// What was being done, with names and shapes.
        doing: String,
        /// libtorch's reason.
        source: TchError,
    },
}

impl PolicyError {
    /// For `map_err` behind an `f_…` call.
    pub fn torch(doing: impl Into<String>) -> impl FnOnce(TchError) -> Self {
        let doing = doing.into();
        move |source| Self::Torch { doing, source }
    }
}
