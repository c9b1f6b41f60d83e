//! Language models on libtorch: weights, tokens, adapters, sampling, log-probabilities.
//!
//! Invariant: `policy` never names a judge.

mod adapter;
mod atomic_folder;
mod batch;
mod cache;
mod decoder;
mod engine;
mod error;
mod export;
mod generate;
mod head;
mod mixture;
mod optimizer;
mod parameters;
mod sampler;
mod scoring;
mod shapes;
mod tensor_file;
mod trace;
mod training;
mod weights;

pub use adapter::{StoredAdapter, WeightEdits, save_adapter};
pub use engine::{Engine, EngineSettings, Player};
pub use error::PolicyError;
pub use export::{Export, SHARD_BYTES_MAX, export_model};
pub use generate::{GenerateCounts, GenerateRow, Generated};
pub use mixture::ReferenceShare;
pub use optimizer::{AgentNorm, AgentRate, Optimizer, OptimizerStep};
pub use parameters::{Agent, LoraSettings, Parameter, Parameters, Training};
pub use scoring::HiddenStates;
pub use shapes::{known_shape, random_tensor};
pub use slhf_model::{
    Activation, Ending, FIXED_DATE, Family, ModelConfig, ModelError, Projection, RopeConfig, RopeScaling,
    SafetensorsEntry, SafetensorsFile, StoredModel, TemplateTexts, TensorInfo, Thinking, Tokens, TurnTokens, Windows,
    YarnRange,
};
pub use training::{PassSettings, TrainingPair, Weigh};
pub use weights::{ReadTensor, ReadWeights, Weights};
