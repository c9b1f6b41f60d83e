//! The one door to both kinds of model files: headers read, tensors verified against the configuration.

use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::gguf::GgufFile;
use crate::safetensors::{Element, RawTensor};
use crate::tensor::{PackedNumbers, PackedTensor, TensorInfo, UnpackedTensor};
use crate::{ModelConfig, ModelError, Thinking, Tokens};

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
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let store = if path.is_dir() {
            let mut config = ModelConfig::from_folder(path)?;
            let folder = Folder::open(path, &mut config)?;
            Store::Folder(Box::new(config), folder)
        } else if path.exists() {
            Store::Gguf(Box::new(GgufFile::open(path)?))
        } else {
            let problem = "there is no such file or folder; expected a Hugging Face folder or a .gguf file".to_owned();
            return Err(ModelError::File { path: path.to_owned(), problem });
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

    /// What is otherwise than a reader of the files may think, in a sentence each that names the file.
    pub fn notes(&self) -> Result<Vec<String>, ModelError> {
        match &self.store {
            Store::Folder(config, _) => config.notes(&self.path),
            Store::Gguf(_) => Ok(Vec::new()),
        }
    }

    /// Reads the tokenizer and the chat template.
    pub fn tokens(&self, thinking: Thinking) -> Result<Tokens, ModelError> {
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

    /// A tensor that the configuration names.
    pub fn read(&mut self, name: &str) -> Result<StoredTensor, ModelError> {
        match &mut self.store {
            Store::Folder(_, folder) => folder.read(name).map(StoredTensor::Raw),
            Store::Gguf(file) => file.read(name).map(StoredTensor::Unpacked),
        }
    }

    /// A matrix that the configuration names, as its file packs it: codes with scales, or plain numbers. `None` where it is no matrix.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_packed(&mut self, name: &str) -> Result<Option<PackedTensor>, ModelError> {
        match &mut self.store {
            Store::Folder(_, folder) => folder.read(name).map(|raw| of_raw(&raw)),
            Store::Gguf(file) => file.read_packed(name),
        }
    }
}

fn of_raw(raw: &RawTensor) -> Option<PackedTensor> {
    let &[rows, inputs] = raw.shape.as_slice() else { return None };
    let words = || raw.bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let numbers = match raw.element {
        Element::F32 => PackedNumbers::Floats(
            raw.bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect(),
        ),
        Element::F16 => PackedNumbers::Halves(words()),
        Element::Bf16 => PackedNumbers::Bfloats(words()),
    };
    Some(PackedTensor { numbers, rows: usize::try_from(rows).ok()?, inputs: usize::try_from(inputs).ok()? })
}

/// A tensor as its file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredTensor {
    /// The bytes of a safetensors file.
    Raw(RawTensor),
    /// The numbers of a GGUF file.
    Unpacked(UnpackedTensor),
}
