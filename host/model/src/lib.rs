//! Files of language models: configuration, tokenizer, chat template, and the headers of weights.
//!
//! What is in them is a stranger's: every length is checked before memory is taken, a chat template runs under limits, and whatever a
//! configuration asks for that nobody does is refused by name. Nothing here needs libtorch, so that a process with an address-space limit
//! can try a model's files before a worker loads them.
//!
//! It never computes with weights, never fetches a file, and never guesses: a model that runs with a setting ignored gives plausible, wrong
//! numbers.
//!
//! Begin reading with `stored.rs`, the one door to a Hugging Face folder or a GGUF file; then `config/mod.rs` (what a model is),
//! `tokenizer/mod.rs`, and `template/mod.rs` (Jinja2's language as transformers has it).
//!
//! ```
//! use slhf_model::{Family, ModelError, StoredModel};
//!
//! assert_eq!(Family::of("gemma3_text"), Some(Family::Gemma3));
//! let refused: Result<StoredModel, ModelError> = StoredModel::open("no-such-model".as_ref());
//! assert!(refused.unwrap_err().to_string().contains("no such file or folder"));
//! ```

mod adapter;
mod config;
mod error;
mod folder;
mod gguf;
mod projection;
mod safetensors;
mod stored;
mod template;
mod tensor;
mod tokenizer;

pub use adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, AdapterForm, AdapterSettings, open_adapter};
pub use config::{
    Activation, Family, HEAD_TENSOR, ModelConfig, Reach, RewardHead, RopeConfig, RopeScaling, Windows, YarnRange,
};
pub use error::ModelError;
pub use projection::Projection;
pub use safetensors::{Element, Entry as SafetensorsEntry, RawTensor, SafetensorsFile, tensor_error};
pub use stored::{StoredModel, StoredTensor};
pub use template::{Ending, FIXED_DATE, Fault, Thinking};
pub use tensor::{Codes, PackedNumbers, PackedTensor, TensorInfo, UnpackedTensor};
pub use tokenizer::{AnswerSetError, TemplateTexts, Tokens, TurnTokens};
