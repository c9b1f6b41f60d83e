//! Typed access to the fields of a JSON object, with errors that name file and field.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::SizeKeys;
use crate::ModelError;

/// What `config.json` calls the sizes.
pub(super) const KEYS: SizeKeys = SizeKeys {
    hidden_size: "hidden_size",
    intermediate_size: "intermediate_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    key_value_heads: "num_key_value_heads",
    head_size: "head_dim",
    vocabulary_size: "vocab_size",
    context_length: "max_position_embeddings",
    window: "sliding_window",
    norm_epsilon: "rms_norm_eps",
};

/// A JSON object out of a file. A field that is `null` counts as absent, as it does in transformers.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    path: PathBuf,
    /// Before the field's name in messages: `rope_scaling.`, or nothing.
    prefix: String,
    object: Map<String, Value>,
    /// The file as it stands: it has the order of the keys, which `object` has lost.
    bytes: Arc<[u8]>,
}

/// A file's bytes, if there is such a file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    let failed = |source| ModelError::Io { path: path.to_owned(), doing: "read this file of the model", source };
    slhf_files::read_if_there(path, slhf_files::MODEL_JSON_BYTES_MAX).map_err(failed)
}

impl Fields {
    /// Reads a file; `what` is what it should be the JSON of.
    pub(crate) fn read(path: &Path, what: &'static str) -> Result<Self, ModelError> {
        Self::read_if_there(path, what)?.ok_or_else(|| ModelError::File {
            path: path.to_owned(),
            problem: "there is no such file; expected the folder of a Hugging Face model, or a .gguf file".to_owned(),
        })
    }

    /// Likewise, of a file that may be absent.
    pub(crate) fn read_if_there(path: &Path, what: &'static str) -> Result<Option<Self>, ModelError> {
        let Some(bytes) = read_if_there(path)? else { return Ok(None) };
        let object = slhf_json::read_settings(&bytes).map_err(|source| ModelError::Json {
            path: path.to_owned(),
            what,
            source,
        })?;
        Ok(Some(Self { path: path.to_owned(), prefix: String::new(), object, bytes: bytes.into() }))
    }

    /// An object of this file that says nothing.
    pub(crate) fn empty(&self, key: &str) -> Self {
        Self { object: Map::new(), ..self.within(key) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    /// What `other` says, and else what this says.
    pub(crate) fn updated(mut self, other: Self) -> Self {
        self.object.extend(other.object);
        Self { prefix: other.prefix, ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The field, unless it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// All fields, those that are null included.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.object.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The field cannot be honoured.
    pub(crate) fn wrong(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config { path: self.path.clone(), key: format!("{}{key}", self.prefix), problem: problem.into() }
    }

    fn typed<T>(&self, key: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, ModelError> {
        self.get(key)
            .map(|value| read(value).ok_or_else(|| self.wrong(key, format!("is {}; expected {what}", shown(value)))))
            .transpose()
    }

    /// There must be such a field.
    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, ModelError> {
        value.ok_or_else(|| self.wrong(key, "is missing"))
    }

    pub(crate) fn size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.typed(key, "a whole number", |value| value.as_u64().and_then(|value| usize::try_from(value).ok()))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A finite number above 0.
    pub(crate) fn positive(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(key, "a number above 0", |value| value.as_f64().filter(|value| value.is_finite() && *value > 0.0))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, format!("is {}; expected a text", shown(other)))),
        }
    }

    /// One token id, or a list of them.
    pub(crate) fn tokens(&self, key: &str) -> Result<Vec<u32>, ModelError> {
        let token = |value: &Value| value.as_u64().and_then(|value| u32::try_from(value).ok());
        let list = self.typed(key, "a token id or a list of them", |value| match value {
            Value::Array(list) => list.iter().map(token).collect(),
            one => token(one).map(|token| vec![token]),
        })?;
        Ok(list.unwrap_or_default())
    }

    /// An object within this one.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Self>, ModelError> {
        let object = self.typed(key, "an object", |value| value.as_object().cloned())?;
        Ok(object.map(|object| Self { object, ..self.within(key) }))
    }

    fn within(&self, key: &str) -> Self {
        let (path, prefix) = (self.path.clone(), format!("{}{key}.", self.prefix));
        Self { path, prefix, object: Map::new(), bytes: Arc::clone(&self.bytes) }
    }

    /// The fields of the file, or of the object in its field `key`, in the order in which they stand.
    pub(crate) fn keys_in_order(&self, key: Option<&str>) -> Vec<String> {
        let path: Vec<&str> = key.into_iter().collect();
        slhf_json::keys_in_order(&self.bytes, &path).unwrap_or_default()
    }
}

/// A value in a message: short.
fn shown(value: &Value) -> String {
    let text = slhf_json::describe(value).to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}
