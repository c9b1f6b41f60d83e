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
    named: Vec<(String, Given)>,
    extra: Vec<Given>,
    /// Those of `extra` of which [`Legacy::added`] takes no notice: transformers reads that list after that file.
    unheard: HashSet<String>,
    /// Tokens that join the vocabulary in the order of these numbers, which are no more than that.
    numbered: BTreeMap<u32, Given>,
    class: Class,
}

/// A value and the file that gives it.
#[derive(Clone, Copy)]
struct Said<'a> {
    value: &'a Value,
    file: &'a Fields,
}

/// A token, and how a file gives it: for transformers a text and an object are never the same token.
#[derive(Clone, Debug)]
struct Given {
    token: AddedToken,
    is_text: bool,
    /// Whether the file says whether it is found in the text as the normalizer leaves it. If not, a special token is found in
    /// the text as it was, also one that turns out to be special because it has a name.
    is_normalized_said: bool,
    /// An object of the settings, of which transformers makes a token only after it has read [`Legacy::added`].
    is_late: bool,
}

impl SpecialTokens {
    /// `tokenizer` has the tokens of `tokenizer.json`.
    pub(super) fn read(
        settings: Option<&Fields>,
        legacy: &Legacy,
        class: Class,
        tokenizer: &Tokenizer,
    ) -> Result<Self, ModelError> {
        let map = legacy.map.as_ref();
        let mut tokens =
            Self { named: Vec::new(), extra: Vec::new(), unheard: HashSet::new(), numbered: BTreeMap::new(), class };
        for name in NAMES {
            let own = class.tokens().iter().find(|(own, _)| *own == name);
            let said = [map, settings].into_iter().flatten().find_map(|file| Said::of(file, name));
            match (said, own) {
                // Nothing at all is said with a null.
                (Some(Said { value: Value::Null, .. }), _) | (None, None) => {}
                (Some(said), _) => tokens.name(name, said.token(name, map)?),
                (None, Some((_, text))) => tokens.name(name, Given::text(text)),
            }
        }
        tokens.read_others(settings, map)?;
        tokens.read_extra(settings, legacy)?;
        tokens.read_numbered(settings, legacy, tokenizer)?;
        Ok(tokens)
    }

    /// A token by this name, in the place of an earlier one.
    fn name(&mut self, name: &str, given: Given) {
        match self.named.iter_mut().find(|(own, _)| own == name) {
            Some((_, before)) => *before = given,
            None => self.named.push((name.to_owned(), given)),
        }
    }

    /// Other names in `…_token`. transformers sets the texts of the settings aside before it reads the map, and they win; they
    /// stand behind what is an object or in the map, unless that has the name too.
    fn read_others(&mut self, settings: Option<&Fields>, map: Option<&Fields>) -> Result<(), ModelError> {
        let is_other = |key: &String| key.ends_with("_token") && !NAMES.contains(&key.as_str());
        let others = |file: &Fields| file.keys_in_order(None).into_iter().filter(is_other).collect::<Vec<_>>();
        let (mut keys, mut set_aside) = (Vec::new(), Vec::new());
        for key in settings.map(others).unwrap_or_default() {
            let is_text = settings.is_some_and(|file| file.get(&key).is_some_and(Value::is_string));
            if is_text { set_aside.push(key) } else { keys.push(key) }
        }
        let of_map = map.map(others).unwrap_or_default();
        keys.extend(of_map.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        for key in keys {
            let said = [map, settings].into_iter().flatten().find_map(|file| Said::of(file, &key));
            if let Some(said) = said.filter(|said| said.is_token(map)) {
                self.name(&key, said.token(&key, map)?);
            }
        }
        for key in set_aside {
            if let Some(said) = settings.and_then(|file| Said::of(file, &key)) {
                self.name(&key, said.token(&key, map)?);
            }
        }
        Ok(())
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
                        let given = Said { value, file }.token(key, map)?;
                        if older.is_some() {
                            self.unheard.insert(given.token.content.clone());
                        }
                        self.extra.push(given);
                    }
                }
                Some(Value::Object(object)) => {
                    for name in file.keys_in_order(Some(key)) {
                        let value = object.get(&name).unwrap_or(&Value::Null);
                        if INPUTS.contains(&name.as_str()) {
                            let problem = format!("calls a token \"{name}\", which a chat template is given already");
                            return Err(file.wrong(key, problem));
                        }
                        self.name(&name, Said { value, file }.token(key, map)?);
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
                let given = value.as_object().and_then(described);
                let given = given.ok_or_else(|| {
                    decoder.wrong(&id.to_string(), "is no token; expected an object with its `content`")
                })?;
                self.numbered.insert(id, given);
            }
            return Ok(());
        }
        if let Some(added) = &legacy.added {
            for (text, id) in added.entries() {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                let id = id.ok_or_else(|| added.wrong(text, "has no id; expected a whole number"))?;
                let named = self.named.iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
                let extra = self.extra.iter().filter(|given| !self.unheard.contains(&given.token.content));
                let mut heard = named.map(|(_, given)| given).chain(extra).filter(|given| !given.is_late);
                let is_heard = heard.any(|given| given.token.content == text);
                self.numbered.insert(id, Given::whole(AddedToken::from(text, is_heard)));
            }
        }
        let own = tokenizer.get_added_tokens_decoder().into_iter();
        self.numbered.extend(own.map(|(id, token)| (id, Given::whole(token))));
        Ok(())
    }

    /// Adds what the vocabulary lacks behind what it has; ids are given in that order, whatever the files say.
    pub(super) fn join(&self, tokenizer: &mut Tokenizer) {
        if self.class.is_rebuilt() {
            // It is built from the vocabulary and the merges alone.
            tokenizer.with_added_vocabulary(AddedVocabulary::new());
        }
        let known = tokenizer.get_added_tokens_decoder().into_values();
        let known: HashMap<String, AddedToken> = known.map(|token| (token.content.clone(), token)).collect();
        let is_new = |given: &&Given| known.get(&given.token.content).is_none_or(|known| known != &given.token);
        let mut adding: Vec<Given> = self.numbered.values().filter(is_new).cloned().collect();
        let numbered = self.numbered.values().map(|given| given.token.content.as_str());
        let there: HashSet<&str> = known.keys().map(String::as_str).chain(numbered).collect();
        let mut heard: HashMap<&str, Vec<&Given>> = HashMap::new();
        for given in self.named.iter().map(|(_, given)| given).chain(&self.extra) {
            let content = given.token.content.as_str();
            let before = heard.entry(content).or_default();
            if !there.contains(content) && !before.iter().any(|before| before.is_same(given)) {
                before.push(given);
                adding.push(given.clone());
            }
        }
        let named: HashSet<&str> = self.named.iter().map(|(_, given)| given.token.content.as_str()).collect();
        let adding = adding.into_iter().map(|given| given.named(&named));
        // Of one token that is described twice, the last description counts; special is what one of them calls so.
        let (mut tokens, mut places) = (Vec::<AddedToken>::new(), HashMap::<String, usize>::new());
        for token in adding {
            let place = *places.entry(token.content.clone()).or_insert(tokens.len());
            match tokens.get_mut(place) {
                Some(before) => *before = AddedToken { special: before.special || token.special, ..token },
                None => tokens.push(token),
            }
        }
        tokenizer.add_tokens(&tokens);
        // This class forgets what the files say of spaces around them.
        if self.class == Class::Qwen2 {
            let all = self.named.iter().map(|(_, given)| given).chain(&self.extra);
            let plain: Vec<AddedToken> =
                all.map(|given| AddedToken::from(given.token.content.as_str(), true)).collect();
            tokenizer.add_tokens(&plain);
        }
    }

    pub(super) fn texts(&self) -> TemplateTexts {
        self.named.iter().map(|(name, given)| (name.clone(), given.token.content.clone())).collect()
    }
}

impl Given {
    fn text(content: &str) -> Self {
        Self { token: AddedToken::from(content, true), is_text: true, is_normalized_said: false, is_late: false }
    }

    /// Nothing of this token is left open.
    fn whole(token: AddedToken) -> Self {
        Self { token, is_text: false, is_normalized_said: true, is_late: false }
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.is_text, &self.token) == (other.is_text, &other.token)
    }

    /// The token, special if it is one of `named`.
    fn named(self, named: &HashSet<&str>) -> AddedToken {
        let special = self.token.special || named.contains(self.token.content.as_str());
        let normalized = if self.is_normalized_said { self.token.normalized } else { !special };
        AddedToken { special, normalized, ..self.token }
    }
}

impl<'a> Said<'a> {
    /// What a file says, a null too.
    fn of(file: &'a Fields, key: &str) -> Option<Self> {
        file.entries().find(|(own, _)| *own == key).map(|(_, value)| Said { value, file })
    }

    fn is_of(self, map: Option<&Fields>) -> bool {
        map.is_some_and(|map| map.path() == self.file.path())
    }

    /// Under a name of its own, an object of the settings is a token where it says that it is one.
    fn is_token(self, map: Option<&Fields>) -> bool {
        match self.value {
            Value::String(_) => true,
            Value::Object(object) => {
                self.is_of(map) || object.get("__type").and_then(Value::as_str) == Some("AddedToken")
            }
            _ => false,
        }
    }

    /// `map`: all of its objects are special, whatever they say.
    fn token(self, key: &str, map: Option<&Fields>) -> Result<Given, ModelError> {
        let given = match self.value {
            Value::String(text) => Some(Given::text(text)),
            Value::Object(object) => {
                let mut object = object.clone();
                if self.is_of(map) {
                    object.insert("special".to_owned(), Value::Bool(true));
                }
                described(&object).map(|given| Given { is_late: !self.is_of(map), ..given })
            }
            _ => None,
        };
        given.ok_or_else(|| self.file.wrong(key, "is no token; expected a text, or an object with its `content`"))
    }
}

/// As Python's `AddedToken(**object)`.
fn described(object: &Map<String, Value>) -> Option<Given> {
    let flag = |key: &str| object.get(key).and_then(Value::as_bool);
    let token = AddedToken::from(object.get("content")?.as_str()?, flag("special").unwrap_or(false));
    let token = AddedToken {
        single_word: flag("single_word").unwrap_or(token.single_word),
        lstrip: flag("lstrip").unwrap_or(token.lstrip),
        rstrip: flag("rstrip").unwrap_or(token.rstrip),
        normalized: flag("normalized").unwrap_or(token.normalized),
        ..token
    };
    Some(Given { token, is_text: false, is_normalized_said: flag("normalized").is_some(), is_late: false })
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
