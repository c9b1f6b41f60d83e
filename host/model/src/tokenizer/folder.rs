//! The tokenizer of a Hugging Face folder.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::Parts;
use crate::ModelError;
use crate::config::{Fields, read_if_there};
use crate::template::TemplateTexts;

pub(super) fn read(folder: &Path) -> Result<Parts, ModelError> {
    let path = folder.join("tokenizer.json");
    let bytes = read_if_there(&path)?.ok_or_else(|| {
        let problem = "there is no such file; save the tokenizer with transformers' AutoTokenizer (use_fast=True) into this folder";
        ModelError::File { path: path.clone(), problem: problem.to_owned() }
    })?;
    let tokenizer = super::guarded(|| Tokenizer::from_bytes(bytes)).map_err(|source| ModelError::Tokenizer {
        path: path.clone(),
        doing: "build the tokenizer",
        source,
    })?;
    let settings = Fields::read_if_there(&folder.join("tokenizer_config.json"), "a tokenizer's settings")?;
    let text = |key: &str| match &settings {
        Some(settings) => special(settings, key),
        None => Ok(None),
    };
    let texts = TemplateTexts {
        bos_token: text("bos_token")?,
        eos_token: text("eos_token")?,
        pad_token: text("pad_token")?,
        unk_token: text("unk_token")?,
    };
    let adds_beginning = match &settings {
        Some(settings) => settings.flag("add_bos_token")?,
        None => None,
    };
    let template = template(folder, settings.as_ref())?;
    Ok(Parts { path, tokenizer, template, texts, adds_beginning })
}

/// A special token is a text or an object with its `content`.
fn special(settings: &Fields, key: &str) -> Result<Option<String>, ModelError> {
    match settings.get(key) {
        Some(Value::Object(object)) => match object.get("content") {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            _ => Err(settings.wrong(key, "has no `content`; expected a text or an object with it")),
        },
        _ => Ok(settings.text(key)?.map(str::to_owned)),
    }
}

/// A file of its own wins, as it does in transformers; else a text, or the entry `default` of a list.
fn template(folder: &Path, settings: Option<&Fields>) -> Result<Option<(PathBuf, String)>, ModelError> {
    let path = folder.join("chat_template.jinja");
    if let Some(bytes) = read_if_there(&path)? {
        let text = String::from_utf8(bytes).map_err(|_| ModelError::Template {
            path: path.clone(),
            problem: "is not UTF-8; save the file as UTF-8".to_owned(),
        })?;
        return Ok(Some((path, text)));
    }
    let Some(settings) = settings else { return Ok(None) };
    let place = settings.path().to_owned();
    match settings.get("chat_template") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some((place, text.clone()))),
        Some(Value::Array(list)) => {
            let named = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
            let text = list.iter().find(named).and_then(|entry| entry.get("template")).and_then(Value::as_str);
            let text =
                text.ok_or_else(|| settings.wrong("chat_template", "is a list without an entry named \"default\""))?;
            Ok(Some((place, text.to_owned())))
        }
        Some(_) => Err(settings.wrong("chat_template", "is neither a text nor a list of named templates")),
    }
}
