//! Files of language models: configuration, tokenizer, chat template, and the headers of weights.
//!
//! What is in them is a stranger's: every length is checked before memory is taken, a chat template runs under limits, and
//! whatever a configuration asks for that nobody does is refused. Nothing here needs libtorch, so that a process with an
//! address-space limit can try a model's files before a worker loads them.

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
pub use config::{Activation, Family, ModelConfig, Reach, RopeConfig, RopeScaling, Windows, YarnRange};
pub use error::ModelError;
pub use projection::Projection;
pub use safetensors::{Element, Entry as SafetensorsEntry, RawTensor, SafetensorsFile, tensor_error};
pub use stored::{StoredModel, StoredTensor};
pub use template::{Ending, FIXED_DATE, Fault, Thinking};
pub use tensor::{TensorInfo, UnpackedTensor};
pub use tokenizer::{TemplateTexts, Tokens, TurnTokens};
