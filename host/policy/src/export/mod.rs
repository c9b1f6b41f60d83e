//! A model as a plain Hugging Face folder, with what was trained merged into its weights.

mod config;
mod merge;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use slhf_plan::ModelPrecision;
use tch::Kind;

use crate::atomic_folder::{AtomicFolder, io, write_error};
use crate::tensor_file::{TensorPlace, write_header, write_tensor};
use crate::weights::ReadWeights as _;
use crate::{Agent, Parameters, PolicyError, RewardHead, StoredModel, WeightEdits};
use merge::Merge;

/// Bytes of one file of weights, as Hugging Face counts 5 GB.
pub const SHARD_BYTES_MAX: u64 = 5_000_000_000;

/// Wins over a template in the tokenizer's settings.
const TEMPLATE_FILE: &str = "chat_template.jinja";

const GENERATION_FILE: &str = "generation_config.json";

/// Files of a folder that say how text becomes tokens and answers end; copied as they are.
const COPIED_FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    TEMPLATE_FILE,
    GENERATION_FILE,
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
];

/// What is exported.
#[derive(Debug)]
pub struct Export<'a> {
    /// The base model.
    pub model: &'a mut StoredModel,
    /// What an adapter that the model was opened with changes in the weights themselves.
    pub edits: Option<&'a WeightEdits>,
    /// The head of the reward model that it is written as, which is among what was trained; `None`: what it was.
    pub head: Option<&'a RewardHead>,
    /// What was trained, and whose of it: adapters are merged, fully trained weights replace the model's.
    pub trained: Option<(&'a Parameters, Agent)>,
    /// Of the written weights. Merging is done in f32.
    pub precision: ModelPrecision,
    /// The folder whose tokenizer's files are copied, if not the model's own.
    pub tokenizer_folder: Option<&'a Path>,
    /// (name, content), written in the place of a folder's own files; all there are where the model is no folder, of
    /// [`Tokens::files`](crate::Tokens::files).
    pub tokenizer_files: &'a [(String, String)],
    /// In the place of the model's own chat template.
    pub chat_template: Option<&'a str>,
    /// Bytes of one file of weights: [`SHARD_BYTES_MAX`].
    pub shard_bytes_max: u64,
}

/// Writes the folder, which must not exist yet: it is there whole or not at all. Returns the files' names and sizes in
/// bytes.
pub fn export_model(export: Export<'_>, folder: &Path) -> Result<Vec<(String, u64)>, PolicyError> {
    let Export {
        model,
        edits,
        head,
        trained,
        precision,
        tokenizer_folder,
        tokenizer_files,
        chat_template,
        shard_bytes_max,
    } = export;
    let kind = match precision {
        ModelPrecision::F32 => Kind::Float,
        ModelPrecision::Bf16 => Kind::BFloat16,
    };
    let mut config = edits.map_or_else(|| model.config().clone(), |edits| edits.config().clone());
    if let Some(head) = head {
        config.reward = Some(head.clone());
    }
    let mut out = AtomicFolder::create(folder)?;
    out.write_bytes("config.json", config::to_json(model, &config, precision)?.as_bytes())?;
    let own = Some(model.path()).filter(|path| path.is_dir());
    if let Some(folder) = tokenizer_folder.or(own) {
        let source = Copied { tokens: folder, model: own.unwrap_or(folder), others: tokenizer_files };
        copy_files(&mut out, &source, chat_template)?;
    }
    tokenizer_files.iter().try_for_each(|(name, content)| out.write_bytes(name, content.as_bytes()))?;
    let places: Vec<TensorPlace> =
        config.tensors().into_iter().map(|(name, shape)| TensorPlace { name, kind, shape }).collect();
    let shards = shards(&places, shard_bytes_max);
    // Merged in f32 and rounded once.
    let mut weights = model.weights(ModelPrecision::F32)?;
    if let Some(edits) = edits {
        edits.apply(&mut weights)?;
    }
    let mut merge = Merge::new(weights, trained)?;
    let mut weight_map = BTreeMap::new();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    for (index, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        let path = folder.join(&name);
        out.write(&name, |file| {
            write_header(file, shard, &metadata).map_err(write_error(&path))?;
            for place in *shard {
                let tensor = merge.take(&place.name, kind)?;
                write_tensor(file, &place.name, &tensor).map_err(write_error(&path))?;
            }
            Ok(())
        })?;
        weight_map.extend(shard.iter().map(|place| (place.name.clone(), name.clone())));
    }
    merge.finish()?;
    if shards.len() > 1 {
        let total: u64 = places.iter().map(TensorPlace::bytes).sum();
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        out.write_bytes("model.safetensors.index.json", format!("{index:#}\n").as_bytes())?;
    }
    out.finish()
}

/// Runs of tensors that fit into one file; a tensor that is larger alone has a file of its own.
fn shards(places: &[TensorPlace], bytes_max: u64) -> Vec<&[TensorPlace]> {
    let mut shards = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, place) in places.iter().enumerate() {
        if index > start && bytes + place.bytes() > bytes_max {
            shards.push(&places[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += place.bytes();
    }
    shards.push(&places[start..]);
    shards
}

/// Which folders the files of an export come from.
struct Copied<'a> {
    /// Says how text becomes tokens.
    tokens: &'a Path,
    /// Says how answers are sampled.
    model: &'a Path,
    /// Written in the place of those of the same names.
    others: &'a [(String, String)],
}

fn copy_files(out: &mut AtomicFolder, from: &Copied<'_>, chat_template: Option<&str>) -> Result<(), PolicyError> {
    for name in COPIED_FILES.into_iter().filter(|name| !from.others.iter().any(|(other, _)| other == name)) {
        if let Some(template) = chat_template.filter(|_| name == TEMPLATE_FILE) {
            out.write_bytes(name, template.as_bytes())?;
            continue;
        }
        let path = if name == GENERATION_FILE { from.model } else { from.tokens }.join(name);
        let bytes = slhf_files::read_if_there(&path, slhf_files::MODEL_JSON_BYTES_MAX);
        if let Some(bytes) = bytes.map_err(io(&path, "read this file of the model"))? {
            out.write_bytes(name, &bytes)?;
        }
    }
    Ok(())
}
