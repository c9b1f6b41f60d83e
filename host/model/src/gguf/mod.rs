//! Models in GGUF files, unpacked on load: llama.cpp's names become Hugging Face's, and its reordered rows are put back.

mod coding;
mod config;
mod keys;
mod low_bit;
mod metadata;
mod packed;
mod quantisation;
mod rope;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub(crate) use metadata::{Header, Value};

use crate::safetensors::{not_finite, tensor_error};
use crate::tensor::{PackedTensor, TensorInfo, UnpackedTensor};
use crate::{Family, ModelConfig, ModelError, RopeScaling};
use metadata::Described;
use quantisation::Quantisation;
use rope::FactorTensors;

/// An open GGUF file, its tensors verified against its own metadata.
#[derive(Debug)]
pub(crate) struct GgufFile {
    path: PathBuf,
    file: File,
    header: Header,
    config: ModelConfig,
    /// Hugging Face's name → index of the tensor.
    places: BTreeMap<String, usize>,
}

impl GgufFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let header = metadata::read(path)?;
        refuse_a_part(path, &header)?;
        let failed = |source| ModelError::Io { path: path.to_owned(), doing: "read this GGUF file", source };
        let mut file = slhf_files::open(path, slhf_files::WEIGHTS_BYTES_MAX).map_err(failed)?;
        let family = config::family(path, &header)?;
        let places: BTreeMap<_, _> = header
            .tensors
            .iter()
            .enumerate()
            .filter_map(|(index, tensor)| Some((usual_name(&tensor.name, family)?, index)))
            .collect();
        let mut numbers = |name: &str| match header.tensors.iter().find(|tensor| tensor.name == name) {
            Some(tensor) => unpacked(path, &mut file, tensor).map(Some),
            None => Ok(None),
        };
        let factors = FactorTensors {
            all: numbers(FactorTensors::ALL)?,
            short: numbers(FactorTensors::SHORT)?,
            long: numbers(FactorTensors::LONG)?,
        };
        let config = config::read(path, &header, factors)?;
        let opened = Self { path: path.to_owned(), file, header, config, places };
        opened.verify()?;
        Ok(opened)
    }

    pub(crate) fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub(crate) fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.header.metadata
    }

    fn verify(&self) -> Result<(), ModelError> {
        for (name, shape) in self.config.tensors() {
            let Some(place) = self.places.get(&name) else {
                let problem =
                    format!("is missing in llama.cpp's spelling; the metadata expects it with shape {shape:?}");
                return Err(tensor_error(&self.path, &name, problem));
            };
            let found = &self.header.tensors[*place];
            if found.shape != shape {
                let problem = format!("has shape {:?}, but the metadata expects {shape:?}", found.shape);
                return Err(tensor_error(&self.path, &found.name, problem));
            }
        }
        self.refuse_surplus()
    }

    /// A tensor that nobody asked for would be a model that computes something else than its file says; llama.cpp does
    /// not load such a file either.
    fn refuse_surplus(&self) -> Result<(), ModelError> {
        let known: BTreeSet<String> = self.config.tensors().into_iter().map(|(name, _)| name).collect();
        // llama.cpp, too, reads these of a llama only, and two of them for one way of stretching.
        let factors: &[&str] = match (self.config.family, &self.config.rope.scaling) {
            (Family::Llama, RopeScaling::LongRope { .. }) => &[FactorTensors::SHORT, FactorTensors::LONG],
            (Family::Llama, _) => &[FactorTensors::ALL],
            _ => &[],
        };
        let surplus = self.header.tensors.iter().find(|tensor| {
            let is_known = usual_name(&tensor.name, self.config.family).is_some_and(|name| known.contains(&name));
            !is_known && !factors.contains(&tensor.name.as_str())
        });
        match surplus {
            None => Ok(()),
            Some(tensor) => {
                let problem = format!(
                    "is in the file, but a {} model with this metadata has no such tensor, and it would be ignored; \
                     convert the model anew, or take another file",
                    self.config.family.architecture()
                );
                Err(tensor_error(&self.path, &tensor.name, problem))
            }
        }
    }

    /// All tensors, those without a usual name under the file's.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let info = |tensor: &Described| TensorInfo {
            name: usual_name(&tensor.name, self.config.family).unwrap_or_else(|| tensor.name.clone()),
            data_type: tensor.quantisation.name().to_owned(),
            shape: tensor.shape.clone(),
        };
        self.header.tensors.iter().map(info).collect()
    }

    /// A tensor's numbers, and what is to be done to have them as Hugging Face has them.
    pub(crate) fn read(&mut self, name: &str) -> Result<UnpackedTensor, ModelError> {
        let place = *self.places.get(name).ok_or_else(|| tensor_error(&self.path, name, "is missing"))?;
        let described = &self.header.tensors[place];
        let values = unpacked(&self.path, &mut self.file, described)?;
        // llama.cpp keeps what is multiplied with, Hugging Face what is added to 1.
        let surplus = if self.config.norms_add_one() && name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        let rotated_heads = rotated_heads(name, &self.config);
        Ok(UnpackedTensor { values, shape: described.shape.clone(), rotated_heads, surplus })
    }

    /// A matrix as the file packs it, its rows in Hugging Face's order; `None` for what is no matrix.
    pub(crate) fn read_packed(&mut self, name: &str) -> Result<Option<PackedTensor>, ModelError> {
        let place = *self.places.get(name).ok_or_else(|| tensor_error(&self.path, name, "is missing"))?;
        let described = &self.header.tensors[place];
        let &[rows, inputs] = described.shape.as_slice() else { return Ok(None) };
        let bytes = bytes_of(&self.path, &mut self.file, described)?;
        let order = packed::RowOrder::new(rows as usize, rotated_heads(name, &self.config));
        Ok(Some(packed::tensor(described.quantisation, &bytes, [rows as usize, inputs as usize], &order)))
    }
}

/// One file of several has the metadata of the whole in its first, and some of the tensors.
fn refuse_a_part(path: &Path, header: &Header) -> Result<(), ModelError> {
    let count = match header.metadata.get("split.count") {
        Some(Value::Integer(count)) if *count > 1 => Some(count.to_string()),
        _ => None,
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let by_name = name.rsplit_once("-of-").and_then(|(before, count)| {
        let part = before.rsplit('-').next()?;
        let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(count) && is_number(part)).then(|| count.trim_start_matches('0').to_owned())
    });
    match count.or(by_name).filter(|count| count != "1") {
        None => Ok(()),
        Some(count) => {
            let problem = format!(
                "this is one of the {count} files of a model that was split, and only whole files are read; join them: \
                 llama-gguf-split --merge FIRST-FILE WHOLE.gguf"
            );
            Err(ModelError::File { path: path.to_owned(), problem })
        }
    }
}

/// Heads of a tensor whose rows llama.cpp has reordered.
fn rotated_heads(name: &str, config: &ModelConfig) -> Option<usize> {
    let name = name.rsplit("self_attn.").next().unwrap_or(name);
    match (config.family, name) {
        (Family::Llama, "q_proj.weight" | "q_proj.bias") => Some(config.heads),
        (Family::Llama, "k_proj.weight" | "k_proj.bias") => Some(config.key_value_heads),
        _ => None,
    }
}

/// Hugging Face's name of llama.cpp's.
fn usual_name(name: &str, family: Family) -> Option<String> {
    let whole = match name {
        "token_embd.weight" => Some("model.embed_tokens.weight"),
        "output_norm.weight" => Some("model.norm.weight"),
        "output.weight" => Some("lm_head.weight"),
        _ => None,
    };
    if let Some(whole) = whole {
        return Some(whole.to_owned());
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let part = match part {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "post_attention_norm" if family == Family::Gemma3 => "post_attention_layernorm",
        "ffn_norm" if family == Family::Gemma3 => "pre_feedforward_layernorm",
        "post_ffw_norm" if family == Family::Gemma3 => "post_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    Some(format!("model.layers.{}.{part}.{kind}", layer.parse::<u32>().ok()?))
}

fn bytes_of(path: &Path, file: &mut File, tensor: &Described) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::Io { path: path.to_owned(), doing: "read a tensor of this GGUF file", source };
    file.seek(SeekFrom::Start(tensor.start)).map_err(failed)?;
    let mut bytes = vec![0; tensor.bytes as usize];
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Elements below which a thread costs more than it gains.
const ELEMENTS_A_THREAD: usize = 1 << 18;

/// Reads a tensor and unpacks it to f32 on all processors. Its place was checked against the file's size.
fn unpacked(path: &Path, file: &mut File, tensor: &Described) -> Result<Vec<f32>, ModelError> {
    let bytes = bytes_of(path, file, tensor)?;
    let block = tensor.quantisation.block();
    let blocks = bytes.len() / block.bytes;
    let mut values = vec![0.0; blocks * block.elements];
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = processors.min(values.len() / ELEMENTS_A_THREAD).max(1);
    let share = blocks.div_ceil(threads).max(1);
    let parts = bytes.chunks(share * block.bytes).zip(values.chunks_mut(share * block.elements));
    std::thread::scope(|scope| {
        for (bytes, values) in parts {
            let mut unpack = move || Quantisation::unpack(tensor.quantisation, bytes, values);
            if threads == 1 {
                unpack();
            } else {
                scope.spawn(unpack);
            }
        }
    });
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(not_finite(path, &tensor.name, index)),
        None => Ok(values),
    }
}
