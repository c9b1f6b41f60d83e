//! What a model is: its family, its sizes, and everything else that changes a number.
//!
//! Whatever a configuration asks for that the decoder does not do is refused by name: a model that runs with a setting
//! ignored gives plausible, wrong numbers.

mod fields;
mod gemma;
mod head;
mod json;
mod reward;
mod rope;
mod rope_json;
mod windows;

use std::path::Path;

use serde::{Deserialize, Serialize};
use slhf_plan::ModelShape;

use crate::ModelError;

pub(crate) use fields::{Fields, read_if_there};
pub(crate) use gemma::{PATTERN as GEMMA_PATTERN, by_pattern};
pub use head::{HEAD_TENSOR, RewardHead};
pub(crate) use json::each_once;
pub(crate) use rope::yarn_attention_factor;
pub use rope::{RopeConfig, RopeScaling, YarnRange};

/// The families one decoder covers with switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Llama, and what is built like it: `SmolLM2`, Tulu 3.
    Llama,
    /// Qwen2 and Qwen2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen3: norms of each head's queries and keys.
    Qwen3,
    /// The text models of Gemma 3: windows of attention, norms on both sides of a block, scaled embeddings.
    #[serde(rename = "gemma3_text")]
    Gemma3,
}

impl Family {
    /// All of them, as `model_type` names them.
    pub const KNOWN: &'static str = "llama, qwen2, qwen3 and gemma3_text";

    /// From `model_type`.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "llama" => Some(Self::Llama),
            "qwen2" => Some(Self::Qwen2),
            "qwen3" => Some(Self::Qwen3),
            "gemma3_text" => Some(Self::Gemma3),
            _ => None,
        }
    }

    /// All of them, as `general.architecture` of a GGUF file names them.
    pub const ARCHITECTURES: &'static str = "llama, qwen2, qwen3 and gemma3";

    /// From a GGUF file's `general.architecture`. (`model_type = "gemma3"` of a folder is the one that also sees.)
    pub fn of_architecture(name: &str) -> Option<Self> {
        match name {
            "gemma3" => Some(Self::Gemma3),
            "gemma3_text" => None,
            other => Self::of(other),
        }
    }

    /// As `general.architecture` names it.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Gemma3 => "gemma3",
            other => other.name(),
        }
    }

    /// As `model_type` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3_text",
        }
    }
}

/// What the feed-forward network's gate goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · σ(x)`
    Silu,
    /// GELU by its tanh approximation (Hendrycks and Gimpel, arXiv 1606.08415): `gelu_pytorch_tanh`.
    GeluTanh,
}

/// Layers that see the last positions only (Gemma 3, arXiv 2503.19786, section 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// Positions that such a layer sees, its own included; at least 1.
    pub positions: usize,
    /// Rotary positions of such layers.
    pub rope: RopeConfig,
    /// By layer: whether it is such a one.
    pub layers: Vec<bool>,
}

/// What the attention of a layer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything before.
    Full,
    /// The last positions only: see [`Windows`].
    Window,
}

/// A decoder-only transformer: embeddings, `layers` × (RMS norm, grouped-query attention, RMS norm, gated
/// feed-forward network), RMS norm, output matrix. All sizes are positive and fit together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the decoder")]
pub struct ModelConfig {
    /// The family; the switches below say what it means.
    pub family: Family,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward network.
    pub intermediate_size: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Heads of queries; a multiple of `key_value_heads`.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
    /// Width of one head, even; `heads · head_size` need not be `hidden_size` (Qwen3).
    pub head_size: usize,
    /// Rows of the embedding matrix; may be more than the tokenizer has tokens.
    pub vocabulary_size: usize,
    /// ε of every RMS norm.
    pub norm_epsilon: f64,
    /// Rotary position embeddings.
    pub rope: RopeConfig,
    /// Positions the model was made for.
    pub context_length: usize,
    /// The output matrix is the embedding matrix.
    pub tied_embeddings: bool,
    /// `q_proj`, `k_proj` and `v_proj` have biases.
    pub attention_bias: bool,
    /// `o_proj` has a bias (Llama's `attention_bias`, never Qwen2).
    pub output_bias: bool,
    /// `q_norm` and `k_norm`: an RMS norm over each head's `head_size`, before the rotation.
    pub query_key_norms: bool,
    /// Products of queries and keys are divided by its root: `head_size` but in some of Gemma
    /// (`query_pre_attn_scalar`). Only a model with `query_key_norms` may have another.
    pub attention_divisor: f64,
    /// Layers that see the last positions only, where there are such.
    pub windows: Option<Windows>,
    /// Tokens that end an answer: `eos_token_id` of config.json and of `generation_config.json`, each once.
    pub end_tokens: Vec<u32>,
    /// `bos_token_id`.
    pub beginning_token: Option<u32>,
    /// `pad_token_id`: the values of a reward head are those at the last token that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_token: Option<u32>,
    /// In the place of the output matrix, where there is such a one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardHead>,
}

/// Larger sizes than any model has, small enough that products of two fit in an `i64`.
const SIZE_MAX: usize = 1 << 28;
/// Blocks of the deepest model worth believing.
const LAYERS_MAX: usize = 4096;

impl ModelConfig {
    /// Names and shapes of the tensors that such a model has, under Hugging Face's names, in their usual order.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<i64>)> {
        let size = |value: usize| value as i64;
        let hidden = size(self.hidden_size);
        let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![size(self.vocabulary_size), hidden])];
        for layer in 0..self.layers {
            for (name, shape) in self.layer_tensors() {
                tensors.push((format!("model.layers.{layer}.{name}"), shape));
            }
        }
        tensors.push(("model.norm.weight".to_owned(), vec![hidden]));
        if let Some(name) = self.head_tensor() {
            tensors.push((name.to_owned(), vec![size(self.head_rows()), hidden]));
        }
        tensors
    }

    /// What parameters and operations are counted from.
    #[must_use]
    pub fn shape(&self) -> ModelShape {
        let size = |value: usize| value as u64;
        ModelShape {
            hidden_size: size(self.hidden_size),
            intermediate_size: size(self.intermediate_size),
            num_hidden_layers: size(self.layers),
            num_attention_heads: size(self.heads),
            num_key_value_heads: Some(size(self.key_value_heads)),
            head_dim: Some(size(self.head_size)),
            vocab_size: size(self.vocabulary_size),
            tie_word_embeddings: Some(self.tied_embeddings),
        }
    }

    /// What the last hidden states go through; `None`: the embedding itself.
    #[must_use]
    pub fn head_tensor(&self) -> Option<&'static str> {
        match (&self.reward, self.tied_embeddings) {
            (Some(_), _) => Some(HEAD_TENSOR),
            (None, false) => Some("lm_head.weight"),
            (None, true) => None,
        }
    }

    /// Rows of that matrix: labels of a reward model, tokens of the others.
    #[must_use]
    pub fn head_rows(&self) -> usize {
        self.reward.as_ref().map_or(self.vocabulary_size, |head| head.labels.len())
    }

    /// Of one block, without the prefix.
    fn layer_tensors(&self) -> Vec<(&'static str, Vec<i64>)> {
        let size = |value: usize| value as i64;
        let (hidden, intermediate, head) = (size(self.hidden_size), size(self.intermediate_size), size(self.head_size));
        let queries = size(self.heads) * head;
        let keys = size(self.key_value_heads) * head;
        let mut tensors = vec![
            ("input_layernorm.weight", vec![hidden]),
            ("self_attn.q_proj.weight", vec![queries, hidden]),
            ("self_attn.k_proj.weight", vec![keys, hidden]),
            ("self_attn.v_proj.weight", vec![keys, hidden]),
            ("self_attn.o_proj.weight", vec![hidden, queries]),
            ("post_attention_layernorm.weight", vec![hidden]),
            ("mlp.gate_proj.weight", vec![intermediate, hidden]),
            ("mlp.up_proj.weight", vec![intermediate, hidden]),
            ("mlp.down_proj.weight", vec![hidden, intermediate]),
        ];
        if self.attention_bias {
            tensors.push(("self_attn.q_proj.bias", vec![queries]));
            tensors.push(("self_attn.k_proj.bias", vec![keys]));
            tensors.push(("self_attn.v_proj.bias", vec![keys]));
        }
        if self.output_bias {
            tensors.push(("self_attn.o_proj.bias", vec![hidden]));
        }
        if self.has_output_norms() {
            tensors.push(("pre_feedforward_layernorm.weight", vec![hidden]));
            tensors.push(("post_feedforward_layernorm.weight", vec![hidden]));
        }
        if self.query_key_norms {
            tensors.push(("self_attn.q_norm.weight", vec![head]));
            tensors.push(("self_attn.k_norm.weight", vec![head]));
        }
        tensors
    }

    /// What the gate of the feed-forward network goes through.
    #[must_use]
    pub fn activation(&self) -> Activation {
        match self.family {
            Family::Llama | Family::Qwen2 | Family::Qwen3 => Activation::Silu,
            Family::Gemma3 => Activation::GeluTanh,
        }
    }

    /// Whether what the attention and the feed-forward network give is normed before it is added.
    pub fn has_output_norms(&self) -> bool {
        self.family == Family::Gemma3
    }

    /// Whether norms multiply by 1 + weight instead of weight.
    pub fn norms_add_one(&self) -> bool {
        self.family == Family::Gemma3
    }

    /// What embeddings are multiplied by.
    #[must_use]
    pub fn embedding_scale(&self) -> f64 {
        if self.family == Family::Gemma3 { (self.hidden_size as f64).sqrt() } else { 1.0 }
    }

    /// Positions of the longest text that may be scored.
    #[must_use]
    pub fn positions_max(&self) -> usize {
        match &self.rope.scaling {
            // Made to go beyond the context that it was trained on.
            RopeScaling::Dynamic { factor, original_context } => {
                self.context_length.max((factor * *original_context as f64).min(SIZE_MAX as f64) as usize)
            }
            _ => self.context_length,
        }
    }

    /// Positions of the longest text that is generated. Where texts of different lengths turn differently, those within
    /// which all turn alike: beyond them what was read early would have turned otherwise than what is read late, and no
    /// later pass over the whole text would find the same probabilities.
    #[must_use]
    pub fn generated_positions_max(&self) -> usize {
        let window = self.windows.as_ref().and_then(|windows| windows.rope.alike_up_to());
        let alike = self.rope.alike_up_to().into_iter().chain(window);
        alike.fold(self.context_length, usize::min)
    }

    /// What the attention of a layer sees.
    pub fn reach(&self, layer: usize) -> Reach {
        match &self.windows {
            Some(windows) if windows.layers.get(layer) == Some(&true) => Reach::Window,
            _ => Reach::Full,
        }
    }

    /// The norm before the feed-forward network, without the layer's prefix: Hugging Face gives its name to the norm
    /// after the attention where there is such a one.
    pub fn feed_forward_norm(&self) -> &'static str {
        if self.has_output_norms() { "pre_feedforward_layernorm" } else { "post_attention_layernorm" }
    }

    /// Parameters, tied ones once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<i64>() as u64).sum()
    }

    /// Whether the sizes fit together; `keys` are the names under which the file gives them.
    pub(crate) fn checked(self, path: &Path, keys: &SizeKeys) -> Result<Self, ModelError> {
        let wrong =
            |key: &str, problem: String| ModelError::Config { path: path.to_owned(), key: key.to_owned(), problem };
        let sizes = [
            (keys.hidden_size, self.hidden_size, SIZE_MAX),
            (keys.intermediate_size, self.intermediate_size, SIZE_MAX),
            (keys.layers, self.layers, LAYERS_MAX),
            (keys.heads, self.heads, SIZE_MAX >> 12),
            (keys.key_value_heads, self.key_value_heads, SIZE_MAX >> 12),
            (keys.head_size, self.head_size, SIZE_MAX >> 12),
            (keys.vocabulary_size, self.vocabulary_size, SIZE_MAX),
            (keys.context_length, self.context_length, SIZE_MAX),
        ];
        let window = self.windows.as_ref().map(|windows| (keys.window, windows.positions, SIZE_MAX));
        for (key, value, most) in sizes.into_iter().chain(window) {
            if value == 0 || value > most {
                return Err(wrong(key, format!("is {value}; expected 1 to {most}")));
            }
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            let problem = format!("is {}, which does not divide {} = {}", self.key_value_heads, keys.heads, self.heads);
            return Err(wrong(keys.key_value_heads, problem));
        }
        if !self.head_size.is_multiple_of(2) {
            return Err(wrong(keys.head_size, format!("is {}; rotary embeddings need an even size", self.head_size)));
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return Err(wrong(
                keys.norm_epsilon,
                format!("is {}; expected a number between 0 and 1", self.norm_epsilon),
            ));
        }
        Ok(self)
    }
}

/// What a file calls the sizes, for messages.
pub(crate) struct SizeKeys {
    pub(crate) hidden_size: &'static str,
    pub(crate) intermediate_size: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) heads: &'static str,
    pub(crate) key_value_heads: &'static str,
    pub(crate) head_size: &'static str,
    pub(crate) vocabulary_size: &'static str,
    pub(crate) context_length: &'static str,
    /// Of Gemma.
    pub(crate) window: &'static str,
    pub(crate) norm_epsilon: &'static str,
}
