//! Language models on libtorch: weights, tokens, adapters, sampling, log-probabilities.
//!
//! Invariant: `policy` never names a judge.

mod adapter;
mod atomic_folder;
mod batch;
mod cache;
mod config;
mod decoder;
mod engine;
mod error;
mod export;
mod folder;
mod generate;
mod gguf;
mod head;
mod mixture;
mod optimizer;
mod parameters;
mod projection;
mod safetensors;
mod sampler;
mod scoring;
mod shapes;
mod template;
mod tensor_file;
mod tokenizer;
mod trace;
mod training;
mod weights;

pub use adapter::{StoredAdapter, save_adapter};
pub use config::{Activation, Family, ModelConfig, RopeConfig, RopeScaling, Windows};
pub use engine::{Engine, EngineSettings, Player};
pub use error::PolicyError;
pub use export::{Export, SHARD_BYTES_MAX, export_model};
pub use generate::{GenerateCounts, GenerateRow, Generated};
pub use mixture::ReferenceShare;
pub use optimizer::{AgentNorm, AgentRate, Optimizer, OptimizerStep};
pub use parameters::{Agent, LoraSettings, Parameter, Parameters, Training};
pub use projection::Projection;
pub use safetensors::{Entry as SafetensorsEntry, SafetensorsFile};
pub use scoring::HiddenStates;
pub use shapes::{known_shape, random_tensor};
pub use template::{Ending, FIXED_DATE, TemplateTexts, Thinking};
pub use tokenizer::{Tokens, TurnTokens};
pub use training::{PassSettings, TrainingPair, Weigh};
pub use weights::{StoredModel, TensorInfo, Weights};
