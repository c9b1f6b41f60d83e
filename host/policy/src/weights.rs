//! A model's tensors, verified against its configuration, and the one door to both kinds of model files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use slhf_plan::ModelPrecision;
use tch::{Kind, Tensor};

use crate::folder::Folder;
use crate::gguf::GgufFile;
use crate::safetensors::tensor_error;
use crate::{ModelConfig, PolicyError, Thinking, Tokens};

/// A tensor of a model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Hugging Face's name where it has one, else the file's.
    pub name: String,
    /// As the file stores it: `BF16`, `Q4_K`, …
    pub data_type: String,
    /// Rows first.
    pub shape: Vec<i64>,
}

/// A model's files, opened: headers read, every tensor's name and shape verified, no weights in memory yet.
#[derive(Debug)]
pub struct StoredModel {
    path: PathBuf,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Folder(Box<ModelConfig>, Folder),
    Gguf(Box<GgufFile>),
}

impl StoredModel {
    /// Opens a Hugging Face folder or a GGUF file.
    pub fn open(path: &Path) -> Result<Self, PolicyError> {
        let store = if path.is_dir() {
            let config = ModelConfig::from_folder(path)?;
            let folder = Folder::open(path, &config)?;
            Store::Folder(Box::new(config), folder)
        } else if path.exists() {
            Store::Gguf(Box::new(GgufFile::open(path)?))
        } else {
            let problem = "there is no such file or folder; expected a Hugging Face folder or a .gguf file".to_owned();
            return Err(PolicyError::File { path: path.to_owned(), problem });
        };
        Ok(Self { path: path.to_owned(), store })
    }

    /// The folder or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the model is.
    pub fn config(&self) -> &ModelConfig {
        match &self.store {
            Store::Folder(config, _) => config,
            Store::Gguf(file) => file.config(),
        }
    }

    /// Reads the tokenizer and the chat template.
    pub fn tokens(&self, thinking: Thinking) -> Result<Tokens, PolicyError> {
        match &self.store {
            Store::Folder(config, _) => Tokens::from_folder(&self.path, config, thinking),
            Store::Gguf(file) => Tokens::from_gguf(&self.path, file.metadata(), file.config(), thinking),
        }
    }

    /// What the files hold, surplus tensors included.
    pub fn tensors(&self) -> Vec<TensorInfo> {
        match &self.store {
            Store::Folder(_, folder) => folder.tensors(),
            Store::Gguf(file) => file.tensors(),
        }
    }

    /// Reads all tensors that the configuration names, in the precision that is wanted, onto the CPU.
    pub fn weights(&mut self, precision: ModelPrecision) -> Result<Weights, PolicyError> {
        let kind = match precision {
            ModelPrecision::F32 => Kind::Float,
            ModelPrecision::Bf16 => Kind::BFloat16,
        };
        let mut tensors = BTreeMap::new();
        for (name, _) in self.config().tensors() {
            let tensor = match &mut self.store {
                Store::Folder(_, folder) => folder.tensor(&name)?,
                Store::Gguf(file) => file.tensor(&name)?,
            };
            let tensor = tensor.f_to_kind(kind).map_err(PolicyError::torch(format!("convert tensor {name}")))?;
            tensors.insert(name, tensor);
        }
        Ok(Weights { path: self.path.clone(), tensors })
    }
}

/// Tensors on the CPU under Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`), all of them in one
/// precision and in the shapes that the configuration says.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Takes a tensor out. An error if the model has none of this name, or if it was taken before.
    pub fn take(&mut self, name: &str) -> Result<Tensor, PolicyError> {
        self.tensors.remove(name).ok_or_else(|| tensor_error(&self.path, name, "is not among this model's weights"))
    }

    /// Names of those that were not taken yet, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}
