//! Keys of a GGUF file, by the names of the model's architecture.

use std::path::Path;

use super::{Header, Value};
use crate::{Family, ModelError};

/// Metadata of one architecture.
pub(super) struct Keys<'a> {
    pub(super) path: &'a Path,
    pub(super) header: &'a Header,
    pub(super) family: Family,
}

impl Keys<'_> {
    pub(super) fn wrong(&self, key: &str, problem: String) -> ModelError {
        ModelError::Config { path: self.path.to_owned(), key: key.to_owned(), problem }
    }

    /// `llama.block_count` of `block_count`.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.family.architecture())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(&self.full(key))
    }

    pub(super) fn size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let read = |value: &Value| match value {
            Value::Integer(integer) => usize::try_from(*integer).ok(),
            // By layer, as llama.cpp may write any of them, and all alike.
            Value::Integers(list) => match list.as_slice() {
                [first, rest @ ..] if rest.iter().all(|other| other == first) => usize::try_from(*first).ok(),
                _ => None,
            },
            _ => None,
        };
        self.get(key)
            .map(|value| {
                let problem =
                    || format!("is {}; expected a whole number that fits, or a list of one and the same", value.kind());
                read(value).ok_or_else(|| self.wrong(&self.full(key), problem()))
            })
            .transpose()
    }

    pub(super) fn needed(&self, key: &str) -> Result<usize, ModelError> {
        self.size(key)?.ok_or_else(|| self.wrong(&self.full(key), "is missing".to_owned()))
    }

    /// A finite number above 0.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_finite() && *number > 0.0 => Ok(Some(decimal(*number))),
            Some(Value::Integer(integer)) if *integer > 0 => Ok(Some(*integer as f64)),
            Some(other) => Err(self.wrong(&self.full(key), format!("is {other:?}; expected a number above 0"))),
        }
    }

    /// Settings that the decoder does not have.
    pub(super) fn refuse_what_changes_numbers(&self) -> Result<(), ModelError> {
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if self.positive(key)?.is_some() {
                return Err(self.wrong(&self.full(key), "is set; capped logits are not supported".to_owned()));
            }
        }
        match self.get("attention.causal") {
            Some(Value::Flag(false)) => {
                let problem = "is false; only causal attention is supported".to_owned();
                Err(self.wrong(&self.full("attention.causal"), problem))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn has(&self, tensor: &str) -> bool {
        self.header.tensors.binary_search_by(|found| found.name.as_str().cmp(tensor)).is_ok()
    }

    pub(super) fn token(&self, key: &str) -> Option<u32> {
        match self.header.metadata.get(key) {
            Some(Value::Integer(integer)) => u32::try_from(*integer).ok(),
            _ => None,
        }
    }
}

/// The decimal number that was meant where the file keeps an f32: 1e-5, not 9.99999974e-6.
pub(super) fn decimal(number: f64) -> f64 {
    let narrow = number as f32;
    if f64::from(narrow) == number { narrow.to_string().parse().unwrap_or(number) } else { number }
}
