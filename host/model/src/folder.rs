//! The weights of a Hugging Face folder: one safetensors file, or several with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::Fields;
use crate::safetensors::{RawTensor, SafetensorsFile, tensor_error};
use crate::tensor::TensorInfo;
use crate::{ModelConfig, ModelError};

/// A folder's open files, their headers read and compared with the configuration.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    files: Vec<SafetensorsFile>,
    /// Tensor → index of its file.
    places: BTreeMap<String, usize>,
    /// Tensor → the name under which its file has it.
    aliases: BTreeMap<&'static str, &'static str>,
}

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const EMBEDDING: &str = "model.embed_tokens.weight";
const OUTPUT: &str = "lm_head.weight";

impl Folder {
    /// Opens the files and verifies that every tensor of the configuration is there in its shape, and no other one. The
    /// whole file goes before an index, which may be left from an earlier saving. The configuration learns whether the
    /// output matrix is one of its own.
    pub(crate) fn open(path: &Path, config: &mut ModelConfig) -> Result<Self, ModelError> {
        let index = if path.join(WHOLE).exists() {
            None
        } else {
            Fields::read_if_there(&path.join(INDEX), "an index of safetensors files")?
        };
        let mut folder = match index {
            Some(fields) => Self::sharded(path, &fields)?,
            None => Self::single(path)?,
        };
        folder.settle_output(config)?;
        folder.verify(config)?;
        Ok(folder)
    }

    /// The output matrix of a model that says it has none of its own: what transformers 5 makes of one that is there.
    fn settle_output(&mut self, config: &mut ModelConfig) -> Result<(), ModelError> {
        if !config.tied_embeddings || config.reward.is_some() {
            return Ok(());
        }
        match (self.places.contains_key(EMBEDDING), self.places.get(OUTPUT).copied()) {
            (false, Some(place)) => {
                self.aliases.insert(EMBEDDING, OUTPUT);
                self.places.insert(EMBEDDING.to_owned(), place);
            }
            (true, Some(_)) => config.tied_embeddings = self.read(EMBEDDING)?.is_alike(&self.read(OUTPUT)?),
            (_, None) => {}
        }
        Ok(())
    }

    fn single(path: &Path) -> Result<Self, ModelError> {
        let file = path.join(WHOLE);
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
        Ok(Self { path: path.to_owned(), files: vec![file], places, aliases: BTreeMap::new() })
    }

    fn sharded(path: &Path, fields: &Fields) -> Result<Self, ModelError> {
        let Some(Value::Object(map)) = fields.get("weight_map") else {
            return Err(fields.wrong("weight_map", "is missing; expected an object from tensors to files"));
        };
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut folder =
            Self { path: path.to_owned(), files: Vec::new(), places: BTreeMap::new(), aliases: BTreeMap::new() };
        for (tensor, file) in map {
            let name = file.as_str().filter(|name| is_plain(name)).ok_or_else(|| {
                fields.wrong(
                    "weight_map",
                    format!("gives {file} for {tensor}; expected the name of a file in the same folder"),
                )
            })?;
            // A file that is gone is missed only if it held a tensor that the model needs.
            let number = match numbers.get(name).copied() {
                Some(number) => number,
                None if folder.path.join(name).exists() => folder.open_file(name)?,
                None => continue,
            };
            numbers.insert(name, number);
            if folder.files[number].find(tensor).is_some() {
                folder.places.insert(tensor.clone(), number);
            }
        }
        Ok(folder)
    }

    /// The new file's number. Its tensors are found whether the index names them or not.
    fn open_file(&mut self, name: &str) -> Result<usize, ModelError> {
        let (file, number) = (SafetensorsFile::open(&self.path.join(name))?, self.files.len());
        for entry in file.entries() {
            self.places.entry(entry.name.clone()).or_insert(number);
        }
        self.files.push(file);
        Ok(number)
    }

    fn verify(&self, config: &ModelConfig) -> Result<(), ModelError> {
        for (name, shape) in config.tensors() {
            let Some(file) = self.places.get(&name).map(|number| &self.files[*number]) else {
                let problem = format!("is missing; config.json expects it with shape {shape:?}{}", self.hint());
                return Err(tensor_error(&self.path, &name, problem));
            };
            let Some(entry) = file.find(self.stored_name(&name)) else { continue };
            if entry.shape != shape {
                let problem = format!("has shape {:?}, but config.json expects {shape:?}", entry.shape);
                return Err(tensor_error(file.path(), &name, problem));
            }
            if entry.element().is_none() {
                let problem = format!("is stored as {}; expected F32, F16 or BF16", entry.data_type);
                return Err(tensor_error(file.path(), &name, problem));
            }
        }
        self.refuse_surplus(config)
    }

    /// Where to look for what is missing.
    fn hint(&self) -> String {
        let names = self.places.keys().map(String::as_str);
        if names.clone().any(|name| name.starts_with("layers.")) {
            return "; the file holds the model without its output head: save the one with it (…ForCausalLM)"
                .to_owned();
        }
        if self.path.join(WHOLE).exists() {
            return String::new();
        }
        format!("; it is in none of the files that {INDEX} names and that are there")
    }

    /// A tensor that nobody asked for would be a model that computes something else than its file says.
    fn refuse_surplus(&self, config: &ModelConfig) -> Result<(), ModelError> {
        let known: BTreeSet<String> = config.tensors().into_iter().map(|(name, _)| name).collect();
        let surplus = self.places.iter().find(|(name, _)| {
            // A head stands in the place of an output matrix, which some savers leave in the file.
            let has_no_output = config.tied_embeddings || config.reward.is_some();
            let is_harmless = has_no_output && *name == OUTPUT || name.contains(".rotary_emb.");
            !known.contains(*name) && !is_harmless
        });
        match surplus {
            None => Ok(()),
            Some((name, number)) => {
                let problem = format!(
                    "is in the file, but a {} model with this config.json has no such tensor, and it would be ignored; \
                     take config.json and weights of one and the same model, or remove the tensor",
                    config.family.name()
                );
                Err(tensor_error(self.files[*number].path(), name, problem))
            }
        }
    }

    /// The name in the file.
    fn stored_name<'a>(&self, name: &'a str) -> &'a str {
        self.aliases.get(name).copied().unwrap_or(name)
    }

    /// All tensors, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let found = |(name, number): (&String, &usize)| {
            let entry = self.files[*number].find(self.stored_name(name))?;
            Some(TensorInfo { name: name.clone(), data_type: entry.data_type.clone(), shape: entry.shape.clone() })
        };
        self.places.iter().filter_map(found).collect()
    }

    /// A tensor as it is stored.
    pub(crate) fn read(&mut self, name: &str) -> Result<RawTensor, ModelError> {
        let stored = self.stored_name(name);
        match self.places.get(name) {
            Some(number) => self.files[*number].read(stored),
            None => Err(tensor_error(&self.path, name, "is missing")),
        }
    }
}

/// A file name that stays within its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
