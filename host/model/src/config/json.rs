//! `config.json` and `generation_config.json`.

use std::path::Path;

use super::fields::KEYS;
use super::rope_json::{self, refuse_partial_rotation, rope_of};
use super::{Family, Fields, ModelConfig, gemma, reward, windows};
use crate::ModelError;

impl ModelConfig {
    /// Reads `config.json` and, where there is one, `generation_config.json` of a Hugging Face folder.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        read(folder)
    }

    /// What is otherwise than a reader of a folder's `config.json` may think, in a sentence each that names the file.
    pub(crate) fn notes(&self, folder: &Path) -> Result<Vec<String>, ModelError> {
        notes(folder, self)
    }
}

fn read(folder: &Path) -> Result<ModelConfig, ModelError> {
    let fields = Fields::read(&folder.join("config.json"), "a model's configuration")?;
    let generation = Fields::read_if_there(&folder.join("generation_config.json"), "generation settings")?;
    let model_type = fields.required("model_type", fields.text("model_type")?)?;
    let family = Family::of(model_type)
        .ok_or_else(|| fields.wrong("model_type", format!("is \"{model_type}\"; known are {}", Family::KNOWN)))?;
    refuse_what_changes_numbers(&fields, family)?;

    let needed = |key: &str| fields.required(key, fields.size(key)?);
    let hidden_size = needed(KEYS.hidden_size)?;
    let heads = needed(KEYS.heads)?;
    let mut end_tokens = fields.tokens("eos_token_id")?;
    if let Some(generation) = &generation {
        end_tokens.extend(generation.tokens("eos_token_id")?);
    }
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let layers = needed(KEYS.layers)?;
    let head_size = head_size(&fields, family, hidden_size, heads)?;
    let is_gemma = family == Family::Gemma3;
    let (rope, windows) = if is_gemma {
        gemma::attention(&fields, layers, head_size)?
    } else {
        let rope = rope_of(&fields, head_size)?;
        let windows = windows::of_qwen(&fields, family, layers, &rope)?;
        (rope, windows)
    };
    ModelConfig {
        family,
        hidden_size,
        intermediate_size: needed(KEYS.intermediate_size)?,
        layers,
        heads,
        key_value_heads: fields.size(KEYS.key_value_heads)?.unwrap_or(heads),
        head_size,
        vocabulary_size: needed(KEYS.vocabulary_size)?,
        norm_epsilon: fields.number(KEYS.norm_epsilon)?.unwrap_or(1e-6),
        rope,
        context_length: needed(KEYS.context_length)?,
        tied_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(is_gemma),
        // Qwen2 has no such flag: queries, keys and values always have biases, the output never.
        attention_bias: bias || family == Family::Qwen2,
        output_bias: bias && family != Family::Qwen2,
        query_key_norms: is_gemma || family == Family::Qwen3,
        attention_divisor: if is_gemma { gemma::divisor(&fields)? } else { head_size as f64 },
        windows,
        end_tokens: each_once(end_tokens),
        beginning_token: fields.tokens("bos_token_id")?.first().copied(),
        padding_token: reward::padding_of(&fields, family),
        reward: reward::head_of(&fields)?,
    }
    .checked(fields.path(), &KEYS)
}

/// What is otherwise than a reader of `config.json` may think.
fn notes(folder: &Path, config: &ModelConfig) -> Result<Vec<String>, ModelError> {
    if config.family == Family::Gemma3 {
        return Ok(Vec::new());
    }
    let fields = Fields::read(&folder.join("config.json"), "a model's configuration")?;
    Ok(rope_json::note(&fields, &config.rope)?.into_iter().collect())
}

/// In order of first appearance.
pub(crate) fn each_once(tokens: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut unique = Vec::new();
    for token in tokens {
        if !unique.contains(&token) {
            unique.push(token);
        }
    }
    unique
}

fn head_size(fields: &Fields, family: Family, hidden_size: usize, heads: usize) -> Result<usize, ModelError> {
    match fields.size(KEYS.head_size)? {
        Some(size) => Ok(size),
        // What transformers takes where Qwen3's file is silent.
        None if family == Family::Qwen3 => Ok(128),
        None if family == Family::Gemma3 => Ok(gemma::HEAD_SIZE),
        None if heads > 0 && hidden_size.is_multiple_of(heads) => Ok(hidden_size / heads),
        None => {
            let problem = format!("is missing, and {hidden_size} = hidden_size is no multiple of {heads} heads");
            Err(fields.wrong(KEYS.head_size, problem))
        }
    }
}

/// Settings that the decoder does not have.
fn refuse_what_changes_numbers(fields: &Fields, family: Family) -> Result<(), ModelError> {
    let activations: &[&str] = match family {
        Family::Gemma3 => &["gelu_pytorch_tanh"],
        Family::Llama | Family::Qwen2 | Family::Qwen3 => &["silu", "swish"],
    };
    for key in ["hidden_act", "hidden_activation"] {
        if let Some(activation) = fields.text(key)?
            && !activations.contains(&activation)
        {
            let problem = format!("is \"{activation}\"; only \"{}\" is known for {}", activations[0], family.name());
            return Err(fields.wrong(key, problem));
        }
    }
    if fields.flag("mlp_bias")? == Some(true) {
        return Err(fields.wrong("mlp_bias", "is true; biases in the feed-forward network are not supported"));
    }
    if fields.get("quantization_config").is_some() {
        let problem = "is set; quantized weights are read from GGUF files only (or save the model unquantized)";
        return Err(fields.wrong("quantization_config", problem));
    }
    refuse_partial_rotation(fields)
}
