//! The tokenizer of a Hugging Face folder.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::class::Class;
use super::parts::{Parts, guarded};
use super::special::{DECODER, Legacy, SpecialTokens};
use crate::config::{Fields, read_if_there};
use crate::{Family, ModelError};

pub(super) fn read(folder: &Path, family: Family) -> Result<Parts, ModelError> {
    let path = folder.join("tokenizer.json");
    let bytes = read_if_there(&path)?.ok_or_else(|| {
        let problem = "there is no such file; save the tokenizer with transformers' AutoTokenizer (use_fast=True) into this folder";
        ModelError::File { path: path.clone(), problem: problem.to_owned() }
    })?;
    let failed = |source| ModelError::Tokenizer { path: path.clone(), doing: "build the tokenizer", source };
    let mut tokenizer =
        guarded(|| Tokenizer::from_bytes(slhf_json::without_byte_order_mark(&bytes))).map_err(failed)?;
    let settings = Fields::read_if_there(&folder.join("tokenizer_config.json"), "a tokenizer's settings")?;
    let mut named = None;
    if let Some(settings) = &settings {
        named = settings.text("tokenizer_class")?.map(str::to_owned);
    }
    if named.is_none() {
        let config = Fields::read(&folder.join("config.json"), "a model's configuration")?;
        named = config.text("tokenizer_class")?.map(str::to_owned);
    }
    let class = Class::choose(family, named.as_deref(), is_byte_level(&tokenizer));
    let is_legacy = settings.as_ref().is_none_or(|settings| settings.get(DECODER).is_none());
    let legacy = if is_legacy { read_legacy(folder)? } else { Legacy::default() };
    let special = SpecialTokens::read(settings.as_ref(), &legacy, class, &tokenizer)?;
    guarded(|| {
        special.join(&mut tokenizer);
        Ok(())
    })
    .map_err(failed)?;
    if let Some(settings) = &settings
        && settings.flag("split_special_tokens")? == Some(true)
    {
        tokenizer.set_encode_special_tokens(true);
    }
    let template = template(folder, settings.as_ref())?;
    let note = class.note(&tokenizer, settings.as_ref());
    Ok(Parts { path, tokenizer, template, texts: special.texts(), ends: Vec::new(), note })
}

fn read_legacy(folder: &Path) -> Result<Legacy, ModelError> {
    Ok(Legacy {
        map: Fields::read_if_there(&folder.join("special_tokens_map.json"), "a map of special tokens")?,
        added: Fields::read_if_there(&folder.join("added_tokens.json"), "the ids of added tokens")?,
    })
}

/// Whether `tokenizer.json` works on bytes, as Llama 3's does and Llama 2's does not.
fn is_byte_level(tokenizer: &Tokenizer) -> bool {
    let parts =
        [serde_json::to_string(&tokenizer.get_pre_tokenizer()), serde_json::to_string(&tokenizer.get_decoder())];
    parts.into_iter().flatten().any(|part| part.contains("\"ByteLevel\""))
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
