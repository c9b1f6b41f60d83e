//! What can be wrong with a model's files, in one sentence each.

use std::path::PathBuf;

/// Why a model's files could not be read. A message says what, where and what was expected; what caused it is the error's
/// source and is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
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
    /// A text has a token that the model knows nothing of.
    #[error(
        "{}: a text has the token \"{token}\", whose id {id} is beyond the {rows} rows of the model's embedding; leave it \
         out of the text", path.display()
    )]
    TokenBeyondRows {
        /// `tokenizer.json`, or the GGUF file.
        path: PathBuf,
        /// As the vocabulary spells it.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
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
}
