//! Language models on libtorch: weights, adapters, sampling, log-probabilities, the packed training pass, the optimizer.
//!
//! An [`Engine`] is one model on one device, in the roles of Leader, Follower and reference ([`Player`]). [`Engine::generate`] samples;
//! a training pass shows log-probabilities, is told one coefficient a token, and runs backward; an [`Optimizer`] moves the [`Parameters`].
//! [`save_adapter`] and [`export_model`] write what others read.
//!
//! Invariant: this crate never names a judge and never a method: which coefficient a token gets is decided elsewhere.
//!
//! Invariant: the same weights, device, libtorch and seed give the same bits, however rows are batched; the order of a sum is fixed.
//!
//! Begin reading with `engine.rs`, then `decoder/mod.rs` (one decoder for all families), `generate.rs` and `training.rs`. Files are read by `slhf_model`.
//!
//! ```
//! use slhf_policy::{Family, ReferenceShare};
//!
//! // Nash-MD's opponent: a quarter of the reference, three quarters of the policy.
//! assert!(ReferenceShare::new(0.25).is_some());
//! assert!(ReferenceShare::new(1.5).is_none());
//! assert_eq!(Family::of("qwen3"), Some(Family::Qwen3));
//! ```

mod adapter;
mod agent_pass;
mod atomic_folder;
mod batch;
mod blocks;
mod cache;
mod decoder;
mod engine;
mod error;
mod export;
mod forest;
mod generate;
mod head;
mod kept;
mod mixture;
mod optimizer;
mod parameters;
mod reading;
mod sampler;
mod scoring;
mod shapes;
mod tensor_file;
mod trace;
mod training;
mod tree;
mod value_training;
mod weights;

pub use adapter::{StoredAdapter, WeightEdits, save_adapter};
pub use agent_pass::PassSettings;
pub use blocks::{BLOCK_TOKENS, ReadBlocks, ReadCounts};
pub use engine::{Engine, EngineSettings, Player};
pub use error::PolicyError;
pub use export::{Export, SHARD_BYTES_MAX, export_model};
pub use forest::AnswerTree;
pub use generate::{GenerateCounts, GenerateLayout, GenerateRow, Generated};
pub use kept::KeptParameters;
pub use mixture::ReferenceShare;
pub use optimizer::{AgentNorm, AgentRate, BegunOptimizerStep, Optimizer, OptimizerStep, Share, ShareMoments};
pub use parameters::{Agent, HEAD_PARAMETER, LoraSettings, Parameter, Parameters, Training};
pub use reading::Pooling;
pub use sampler::Draw;
pub use scoring::HiddenStates;
pub use shapes::{known_shape, random_tensor};
pub use slhf_model::{
    Activation, AnswerSetError, Ending, FIXED_DATE, Family, HEAD_TENSOR, ModelConfig, ModelError, Projection,
    RewardHead, RopeConfig, RopeScaling, SafetensorsEntry, SafetensorsFile, StoredModel, TemplateTexts, TensorInfo,
    Thinking, Tokens, TurnTokens, Windows, YarnRange,
};
pub use training::{BegunPass, Supports, TrainingPair, Weigh};
pub use tree::{BegunTrees, WeighTrees};
pub use value_training::{ValuePass, WeighValues, drawn_head};
pub use weights::{ReadTensor, ReadWeights, Weights};
