//! What a GGUF file's metadata says of the model.

use std::path::Path;

use super::keys::Keys;
use super::rope::{self, FactorTensors};
use super::{Header, Value};
use crate::config::{SizeKeys, each_once};
use crate::{Family, ModelConfig, ModelError};

const KEYS: SizeKeys = SizeKeys {
    hidden_size: "embedding_length",
    intermediate_size: "feed_forward_length",
    layers: "block_count",
    heads: "attention.head_count",
    key_value_heads: "attention.head_count_kv",
    head_size: "attention.key_length",
    vocabulary_size: "token_embd.weight",
    context_length: "context_length",
    window: "attention.sliding_window",
    norm_epsilon: "attention.layer_norm_rms_epsilon",
};

/// Of `general.architecture`.
pub(super) fn family(path: &Path, header: &Header) -> Result<Family, ModelError> {
    let wrong = |problem| ModelError::Config { path: path.to_owned(), key: "general.architecture".to_owned(), problem };
    match header.metadata.get("general.architecture") {
        Some(Value::Text(name)) => Family::of_architecture(name)
            .ok_or_else(|| wrong(format!("is \"{name}\"; known are {}", Family::ARCHITECTURES))),
        _ => Err(wrong("is missing; this is no model".to_owned())),
    }
}

pub(super) fn read(path: &Path, header: &Header, factors: FactorTensors) -> Result<ModelConfig, ModelError> {
    let family = family(path, header)?;
    let keys = Keys { path, header, family };
    for key in ["expert_count", "attention.sliding_window"] {
        let is_windows = family == Family::Gemma3 && key == "attention.sliding_window";
        if !is_windows && keys.size(key)?.is_some_and(|value| value > 0) {
            let problem = "is set; mixtures of experts and sliding windows are not supported".to_owned();
            return Err(keys.wrong(&keys.full(key), problem));
        }
    }
    keys.refuse_what_changes_numbers()?;
    let (hidden_size, heads) = (keys.needed(KEYS.hidden_size)?, keys.needed(KEYS.heads)?);
    let head_size = match keys.size(KEYS.head_size)? {
        Some(size) => size,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            return Err(keys.wrong(&keys.full(KEYS.heads), format!("is {heads}, which does not divide {hidden_size}")));
        }
    };
    let embeddings = header.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
    let rows = embeddings.and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
    let ends = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];
    let layers = keys.needed(KEYS.layers)?;
    let is_gemma = family == Family::Gemma3;
    let rope = rope::of(&keys, head_size, factors)?;
    let windows = if is_gemma { rope::windows(&keys, layers, &rope)? } else { None };
    ModelConfig {
        family,
        hidden_size,
        intermediate_size: keys.needed(KEYS.intermediate_size)?,
        layers,
        heads,
        key_value_heads: keys.size(KEYS.key_value_heads)?.unwrap_or(heads),
        head_size,
        vocabulary_size: usize::try_from(rows).unwrap_or(0),
        norm_epsilon: keys.positive(KEYS.norm_epsilon)?.unwrap_or(1e-6),
        rope,
        context_length: keys.needed(KEYS.context_length)?,
        tied_embeddings: !keys.has("output.weight"),
        attention_bias: family == Family::Qwen2 || keys.has("blk.0.attn_q.bias"),
        output_bias: keys.has("blk.0.attn_output.bias"),
        query_key_norms: is_gemma || family == Family::Qwen3,
        attention_divisor: match (is_gemma, layers) {
            // The file does not say; the largest Gemma 3 alone divides by another number, and llama.cpp knows it by
            // its layers as well.
            (true, GEMMA_27B_LAYERS) => hidden_size as f64 / heads as f64,
            _ => head_size as f64,
        },
        windows,
        end_tokens: each_once(ends.into_iter().filter_map(|key| keys.token(key))),
        beginning_token: keys.token("tokenizer.ggml.bos_token_id"),
        padding_token: keys.token("tokenizer.ggml.padding_token_id"),
        reward: None,
    }
    .checked(path, &KEYS)
}

const GEMMA_27B_LAYERS: usize = 62;
