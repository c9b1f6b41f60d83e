//! The weights of a Hugging Face folder: one safetensors file, or several with an index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::Fields;
use crate::safetensors::{RawTensor, SafetensorsFile, tensor_error};
use crate::stored::TensorInfo;
use crate::{ModelConfig, ModelError};

/// A folder's open files, their headers read and compared with the configuration.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    files: Vec<SafetensorsFile>,
    /// Tensor → index of its file.
    places: BTreeMap<String, usize>,
}

impl Folder {
    /// Opens the files and verifies that every tensor of the configuration is there in its shape.
    pub(crate) fn open(path: &Path, config: &ModelConfig) -> Result<Self, ModelError> {
        let index = path.join("model.safetensors.index.json");
        let folder = match Fields::read_if_there(&index, "an index of safetensors files")? {
            Some(fields) => Self::sharded(path, &fields)?,
            None => Self::single(path)?,
        };
        folder.verify(config)?;
        Ok(folder)
    }

    fn single(path: &Path) -> Result<Self, ModelError> {
        let file = path.join("model.safetensors");
        if !file.exists() {
            let hint = if path.join("pytorch_model.bin").exists() {
                "pytorch_model.bin is not read, because unpickling runs code: save the model with safe_serialization=True"
            } else {
                "expected model.safetensors, or model.safetensors.index.json and the files it names"
            };
            let problem = format!("there are no weights in this folder; {hint}");
            return Err(ModelError::File { path: path.to_owned(), problem });
        }
        let file = SafetensorsFile::open(&file)?;
        let places = file.entries().iter().map(|entry| (entry.name.clone(), 0)).collect();
        Ok(Self { path: path.to_owned(), files: vec![file], places })
    }

    fn sharded(path: &Path, fields: &Fields) -> Result<Self, ModelError> {
        let Some(Value::Object(map)) = fields.get("weight_map") else {
            return Err(fields.wrong("weight_map", "is missing; expected an object from tensors to files"));
        };
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut folder = Self { path: path.to_owned(), files: Vec::new(), places: BTreeMap::new() };
        for (tensor, file) in map {
            let name = file.as_str().filter(|name| is_plain(name)).ok_or_else(|| {
                fields.wrong(
                    "weight_map",
                    format!("gives {file} for {tensor}; expected the name of a file in the same folder"),
                )
            })?;
            let number = match numbers.get(name).copied() {
                Some(number) => number,
                None => folder.open_file(name)?,
            };
            numbers.insert(name, number);
            if folder.files[number].find(tensor).is_none() {
                let problem = "is missing, although model.safetensors.index.json says it is in this file";
                return Err(tensor_error(folder.files[number].path(), tensor, problem));
            }
            folder.places.insert(tensor.clone(), number);
        }
        Ok(folder)
    }

    /// The new file's number.
    fn open_file(&mut self, name: &str) -> Result<usize, ModelError> {
        self.files.push(SafetensorsFile::open(&self.path.join(name))?);
        Ok(self.files.len() - 1)
    }

    fn verify(&self, config: &ModelConfig) -> Result<(), ModelError> {
        for (name, shape) in config.tensors() {
            let Some(file) = self.places.get(&name).map(|number| &self.files[*number]) else {
                let problem = format!("is missing; config.json expects it with shape {shape:?}");
                return Err(tensor_error(&self.path, &name, problem));
            };
            let Some(entry) = file.find(&name) else { continue };
            if entry.shape != shape {
                let problem = format!("has shape {:?}, but config.json expects {shape:?}", entry.shape);
                return Err(tensor_error(file.path(), &name, problem));
            }
            if entry.element().is_none() {
                let problem = format!("is stored as {}; expected F32, F16 or BF16", entry.data_type);
                return Err(tensor_error(file.path(), &name, problem));
            }
        }
        Ok(())
    }

    /// All tensors, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let found = |(name, number): (&String, &usize)| {
            let entry = self.files[*number].find(name)?;
            Some(TensorInfo { name: name.clone(), data_type: entry.data_type.clone(), shape: entry.shape.clone() })
        };
        self.places.iter().filter_map(found).collect()
    }

    /// A tensor as it is stored.
    pub(crate) fn read(&mut self, name: &str) -> Result<RawTensor, ModelError> {
        match self.places.get(name) {
            Some(number) => self.files[*number].read(name),
            None => Err(tensor_error(&self.path, name, "is missing")),
        }
    }
}

/// A file name that stays within its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
