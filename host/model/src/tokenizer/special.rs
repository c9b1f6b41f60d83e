//! Special tokens by their names, out of every file that transformers 5.24 reads, and in its order.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};
use tokenizers::{AddedToken, AddedVocabulary, Tokenizer};

use super::class::Class;
use super::texts::TemplateTexts;
use crate::ModelError;
use crate::config::Fields;

/// Names that every tokenizer knows. A model may have others: they end in `_token`, or stand in `extra_special_tokens`.
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const EXTRA: &str = "extra_special_tokens";
/// What [`EXTRA`] was called before transformers 5.
const ADDITIONAL: &str = "additional_special_tokens";
/// Where this stands, the files of [`Legacy`] are not read.
pub(super) const DECODER: &str = "added_tokens_decoder";
/// What a chat template is given besides special tokens.
const INPUTS: [&str; 5] = ["messages", "tools", "documents", "add_generation_prompt", "enable_thinking"];

/// Files of tokenizers that were saved before there was `added_tokens_decoder`.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    /// `special_tokens_map.json`: wins over the settings.
    pub(super) map: Option<Fields>,
    /// `added_tokens.json`: ids by token.
    pub(super) added: Option<Fields>,
}

/// The special tokens that a folder's files name.
#[derive(Debug)]
pub(super) struct SpecialTokens {
    /// In the order in which they join the vocabulary, where it lacks them.
    named: Vec<(String, AddedToken)>,
    extra: Vec<AddedToken>,
    /// Those of `extra` of which [`Legacy::added`] takes no notice: transformers reads that list after that file.
    unheard: HashSet<String>,
    /// Tokens that join the vocabulary in the order of these numbers, which are no more than that.
    numbered: BTreeMap<u32, AddedToken>,
    class: Class,
}

/// A value and the file that gives it.
#[derive(Clone, Copy)]
struct Said<'a> {
    value: &'a Value,
    file: &'a Fields,
}

/// What a token is where its description does not say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unless {
    Special,
    Ordinary,
}

impl SpecialTokens {
    /// `tokenizer` has the tokens of `tokenizer.json`.
    pub(super) fn read(
        settings: Option<&Fields>,
        legacy: &Legacy,
        class: Class,
        tokenizer: &Tokenizer,
    ) -> Result<Self, ModelError> {
        let mut said = BTreeMap::new();
        for file in [settings, legacy.map.as_ref()].into_iter().flatten() {
            said.extend(file.entries().map(|(key, value)| (key, Said { value, file })));
        }
        let mut tokens =
            Self { named: Vec::new(), extra: Vec::new(), unheard: HashSet::new(), numbered: BTreeMap::new(), class };
        for name in NAMES {
            let own = class.tokens().iter().find(|(own, _)| *own == name);
            match (said.get(name), own) {
                // Nothing at all is said with a null.
                (Some(Said { value: Value::Null, .. }), _) | (None, None) => {}
                (Some(said), _) => tokens.named.push((name.to_owned(), said.token(name)?)),
                (None, Some((_, text))) => tokens.named.push((name.to_owned(), AddedToken::from(*text, true))),
            }
        }
        for (key, said) in said.into_iter().filter(|(key, _)| !NAMES.contains(key) && key.ends_with("_token")) {
            // The settings' own texts are set aside before the map is read.
            let own = settings.and_then(|file| file.get(key).map(|value| Said { value, file }));
            let said = own.filter(|own| own.value.is_string()).unwrap_or(said);
            if matches!(said.value, Value::String(_) | Value::Object(_)) {
                tokens.named.push((key.to_owned(), said.token(key)?));
            }
        }
        tokens.read_extra(settings, legacy)?;
        tokens.read_numbered(settings, legacy, tokenizer)?;
        Ok(tokens)
    }

    /// Tokens without a name, or with one that need not end in `_token`.
    fn read_extra(&mut self, settings: Option<&Fields>, legacy: &Legacy) -> Result<(), ModelError> {
        let said = |file: Option<&'_ Fields>, key| file.is_some_and(|file| file.get(key).is_some_and(is_filled));
        let names = |file: Option<&'_ Fields>, key| file.is_some_and(|file| file.entries().any(|(own, _)| own == key));
        let map = legacy.map.as_ref();
        let own = [EXTRA, ADDITIONAL].into_iter().find(|key| said(settings, key)).map(|key| (settings, key));
        // Names for some tokens leave room for a list of others.
        let has_names = settings.and_then(|file| file.get(EXTRA)).is_some_and(Value::is_object);
        let beside = (has_names && own.is_some_and(|(_, key)| key == EXTRA) && said(settings, ADDITIONAL))
            .then_some((settings, ADDITIONAL));
        let of_map = said(map, EXTRA).then_some((map, EXTRA));
        // Settings that have a list, even an empty one, are newer than the map's.
        let is_older = !names(settings, EXTRA) && !names(settings, ADDITIONAL) && !names(map, EXTRA);
        let older = (is_older && said(map, ADDITIONAL)).then_some((map, ADDITIONAL));
        for (file, key) in [own, beside, of_map, older].into_iter().flatten() {
            let Some(file) = file else { continue };
            match file.get(key) {
                Some(Value::Array(list)) => {
                    for value in list {
                        let token = Said { value, file }.token(key)?;
                        if older.is_some() {
                            self.unheard.insert(token.content.clone());
                        }
                        self.extra.push(token);
                    }
                }
                Some(Value::Object(object)) => {
                    for (name, value) in object {
                        if INPUTS.contains(&name.as_str()) {
                            let problem = format!("calls a token \"{name}\", which a chat template is given already");
                            return Err(file.wrong(key, problem));
                        }
                        self.named.push((name.clone(), Said { value, file }.token(key)?));
                    }
                }
                _ => return Err(file.wrong(key, "is neither a list of tokens nor an object from names to tokens")),
            }
        }
        Ok(())
    }

    fn read_numbered(
        &mut self,
        settings: Option<&Fields>,
        legacy: &Legacy,
        tokenizer: &Tokenizer,
    ) -> Result<(), ModelError> {
        if let Some(file) = settings
            && let Some(decoder) = file.object(DECODER)?
        {
            for (id, value) in decoder.entries() {
                let id: u32 = id.parse().map_err(|_| decoder.wrong(id, "is no token's id; expected a whole number"))?;
                let token = value.as_object().and_then(|object| described(object, Unless::Ordinary));
                let token = token.ok_or_else(|| {
                    decoder.wrong(&id.to_string(), "is no token; expected an object with its `content`")
                })?;
                self.numbered.insert(id, token);
            }
            return Ok(());
        }
        if let Some(added) = &legacy.added {
            for (text, id) in added.entries() {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                let id = id.ok_or_else(|| added.wrong(text, "has no id; expected a whole number"))?;
                let named =
                    self.named.iter().filter(|(name, _)| NAMES.contains(&name.as_str())).map(|(_, token)| token);
                let mut heard = named.chain(self.extra.iter().filter(|token| !self.unheard.contains(&token.content)));
                self.numbered.insert(id, AddedToken::from(text, heard.any(|token| token.content == text)));
            }
        }
        self.numbered.extend(tokenizer.get_added_tokens_decoder());
        Ok(())
    }

    /// Adds what the vocabulary lacks behind what it has; ids are given in that order, whatever the files say.
    pub(super) fn join(&self, tokenizer: &mut Tokenizer) {
        if self.class != Class::Plain {
            // It is built from the vocabulary and the merges alone.
            tokenizer.with_added_vocabulary(AddedVocabulary::new());
        }
        let known = tokenizer.get_added_tokens_decoder().into_values();
        let known: HashMap<String, AddedToken> = known.map(|token| (token.content.clone(), token)).collect();
        let is_new = |token: &&AddedToken| known.get(&token.content).is_none_or(|known| !is_same(known, token));
        let mut adding: Vec<AddedToken> = self.numbered.values().filter(is_new).cloned().collect();
        let mut there: HashSet<&str> = known
            .keys()
            .map(String::as_str)
            .chain(self.numbered.values().map(|token| token.content.as_str()))
            .collect();
        for token in self.named.iter().map(|(_, token)| token).chain(&self.extra) {
            if there.insert(&token.content) {
                adding.push(token.clone());
            }
        }
        let named: HashSet<&str> = self.named.iter().map(|(_, token)| token.content.as_str()).collect();
        for token in &mut adding {
            token.special |= named.contains(token.content.as_str());
        }
        tokenizer.add_tokens(&adding);
        // This class forgets what the files say of spaces around them.
        if self.class == Class::Qwen2 {
            let all = self.named.iter().map(|(_, token)| token).chain(&self.extra);
            let plain: Vec<AddedToken> = all.map(|token| AddedToken::from(token.content.as_str(), true)).collect();
            tokenizer.add_tokens(&plain);
        }
    }

    pub(super) fn texts(&self) -> TemplateTexts {
        self.named.iter().map(|(name, token)| (name.clone(), token.content.clone())).collect()
    }
}

impl Said<'_> {
    fn token(self, key: &str) -> Result<AddedToken, ModelError> {
        let token = match self.value {
            Value::String(text) => Some(AddedToken::from(text.as_str(), true)),
            Value::Object(object) => described(object, Unless::Special),
            _ => None,
        };
        token.ok_or_else(|| self.file.wrong(key, "is no token; expected a text, or an object with its `content`"))
    }
}

fn described(object: &Map<String, Value>, unless: Unless) -> Option<AddedToken> {
    let flag = |key: &str| object.get(key).and_then(Value::as_bool);
    let content = object.get("content")?.as_str()?;
    let special = flag("special").unwrap_or(unless == Unless::Special);
    let token = AddedToken::from(content, special);
    Some(AddedToken {
        single_word: flag("single_word").unwrap_or(token.single_word),
        lstrip: flag("lstrip").unwrap_or(token.lstrip),
        rstrip: flag("rstrip").unwrap_or(token.rstrip),
        normalized: flag("normalized").unwrap_or(token.normalized),
        ..token
    })
}

/// `AddedToken` compares its text only.
fn is_same(one: &AddedToken, other: &AddedToken) -> bool {
    let flags = |token: &AddedToken| (token.single_word, token.lstrip, token.rstrip, token.normalized, token.special);
    one == other && flags(one) == flags(other)
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokenizers::models::bpe::BPE;

    use super::*;

    /// What transformers 5.24 makes of a new token that `added_tokens.json` has, by where else it is named:
    /// (special, normalized).
    #[test]
    fn a_token_of_the_older_file_is_special_where_transformers_hears_of_it() {
        let named = |key: &str| match key {
            "an object" => json!({"extra_special_tokens": {"foo_token": "<Y>"}}),
            list if list.ends_with("tokens") => json!({list: ["<Y>"]}),
            name => json!({name: "<Y>"}),
        };
        let place = tempfile::tempdir().expect("a folder");
        let fields = |name: &str, value: &Value| {
            let path = place.path().join(name);
            std::fs::write(&path, value.to_string()).expect("written");
            Fields::read(&path, "a test").expect("read")
        };
        for (file, key, expected) in [
            ("settings", "additional_special_tokens", (true, false)),
            ("settings", "extra_special_tokens", (true, false)),
            ("settings", "an object", (true, true)),
            ("settings", "mask_token", (true, false)),
            ("settings", "image_token", (true, true)),
            ("map", "additional_special_tokens", (false, true)),
            ("map", "extra_special_tokens", (true, false)),
            ("map", "an object", (true, true)),
            ("map", "mask_token", (true, false)),
            ("map", "image_token", (true, true)),
        ] {
            let said = named(key);
            let settings = (file == "settings").then(|| fields("settings.json", &said));
            let legacy = Legacy {
                map: (file == "map").then(|| fields("map.json", &said)),
                added: Some(fields("added.json", &json!({"<X>": 3, "<Y>": 4}))),
            };
            let mut tokenizer = Tokenizer::new(BPE::default());
            let tokens = SpecialTokens::read(settings.as_ref(), &legacy, Class::Plain, &tokenizer).expect("tokens");
            tokens.join(&mut tokenizer);
            let found = tokenizer.get_added_tokens_decoder().into_values().find(|token| token.content == "<Y>");
            let found = found.map(|token| (token.special, token.normalized));
            assert_eq!(found, Some(expected), "{file}, {key}");
        }
    }
}
