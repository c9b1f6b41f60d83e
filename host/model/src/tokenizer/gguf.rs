//! The tokenizer of a GGUF file: vocabulary and merges as they stand there, the pre-tokenizer by its name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value as Json, json};
use tokenizers::Tokenizer;

use super::class::QWEN2;
use super::llama_cpp;
use super::parts::{Parts, guarded};
use crate::ModelError;
use crate::gguf::Value;

/// ggml's kinds of tokens that are not made by merges.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What a template knows a special token by, and what the file's key has for it.
const NAMES: [(&str, &str); 7] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("sep_token", "seperator"),
    ("pad_token", "padding"),
    ("cls_token", "cls"),
    ("mask_token", "mask"),
];

const MODEL: &str = "tokenizer.ggml.model";

type Metadata = BTreeMap<String, Value>;

struct Source<'a> {
    path: &'a Path,
    metadata: &'a Metadata,
}

pub(super) fn read(path: &Path, metadata: &Metadata) -> Result<Parts, ModelError> {
    let source = Source { path, metadata };
    let model = source.text(MODEL)?;
    let tokens = source.texts("tokenizer.ggml.tokens")?;
    let mut description = match model {
        "gpt2" => source.description(tokens, source.texts("tokenizer.ggml.merges")?)?,
        "llama" => source.sentencepieces(tokens)?,
        other => {
            let problem = format!(
                "is \"{other}\"; known are \"gpt2\" (byte-level BPE) and \"llama\" (SentencePiece): use the model's Hugging Face folder"
            );
            return Err(source.wrong(MODEL, problem));
        }
    };
    description["post_processor"] = source.post_processor(model, tokens)?;
    let failed = |error| ModelError::Tokenizer { path: path.to_owned(), doing: "build the tokenizer", source: error };
    let bytes = serde_json::to_vec(&description).map_err(|error| failed(error.into()))?;
    let tokenizer = guarded(|| Tokenizer::from_bytes(bytes)).map_err(failed)?;
    let mut texts = Vec::new();
    for (name, key) in NAMES {
        let token = source.token(key, tokens)?.map(|id| tokens[id].clone());
        texts.extend(token.map(|token| (name.to_owned(), token)));
    }
    let template = match metadata.get("tokenizer.chat_template") {
        Some(Value::Text(template)) => Some((path.to_owned(), template.clone())),
        _ => None,
    };
    let ends = source.ends(tokens)?;
    let texts = texts.into_iter().collect();
    Ok(Parts { path: path.to_owned(), tokenizer, template, texts, ends, note: None })
}

/// (normalizer, pre-tokenizer, whether whole words of the vocabulary need no merges).
fn splitting(name: &str) -> Option<(Json, Json, bool)> {
    let bytes =
        |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let sequence = |first: Json, second: Json| json!({"type": "Sequence", "pretokenizers": [first, second]});
    Some(match name {
        "smollm" => (Json::Null, sequence(json!({"type": "Digits", "individual_digits": true}), bytes(true)), false),
        _ if llama_cpp::GPT2_NAMES.contains(&name) => (Json::Null, bytes(true), false),
        _ if llama_cpp::QWEN2_NAMES.contains(&name) => {
            (json!({"type": "NFC"}), sequence(split(QWEN2), bytes(false)), false)
        }
        _ if llama_cpp::LLAMA3_NAMES.contains(&name) => (Json::Null, sequence(split(LLAMA3), bytes(false)), true),
        _ => return None,
    })
}

impl Source<'_> {
    fn wrong(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config { path: self.path.to_owned(), key: key.to_owned(), problem: problem.into() }
    }

    fn text(&self, key: &str) -> Result<&str, ModelError> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Ok(text),
            Some(other) => Err(self.wrong(key, format!("is {}; expected a text", other.kind()))),
            None => Err(self.wrong(key, "is missing; the file has no tokenizer that is known here")),
        }
    }

    fn texts(&self, key: &str) -> Result<&[String], ModelError> {
        match self.metadata.get(key) {
            Some(Value::Texts(texts)) => Ok(texts),
            Some(other) => Err(self.wrong(key, format!("is {}; expected a list of texts", other.kind()))),
            None => Err(self.wrong(key, "is missing; the file has no tokenizer that is known here")),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, format!("is {}; expected true or false", other.kind()))),
        }
    }

    /// The id of a special token.
    fn token(&self, name: &str, tokens: &[String]) -> Result<Option<usize>, ModelError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = match self.metadata.get(&key) {
            None if self.text(MODEL)? == "llama" => {
                let default = llama_cpp::SENTENCE_PIECE_IDS.iter().find(|(of, _)| *of == name).map(|(_, id)| *id);
                return Ok(default.and_then(|id| usize::try_from(id).ok()).filter(|id| *id < tokens.len()));
            }
            None => return Ok(None),
            Some(Value::Integer(id)) => *id,
            Some(other) => return Err(self.wrong(&key, format!("is {}; expected an integer", other.kind()))),
        };
        match usize::try_from(id).ok().filter(|id| *id < tokens.len()) {
            Some(id) => Ok(Some(id)),
            None => Err(self.wrong(&key, format!("is {id}, but the vocabulary has {} tokens", tokens.len()))),
        }
    }

    /// Tokens that end an answer: those that the file names, as transformers takes them of the same model. Only of a file that
    /// names none those that llama.cpp finds by their texts, which it takes of every file.
    fn ends(&self, tokens: &[String]) -> Result<Vec<u32>, ModelError> {
        let mut ends = Vec::new();
        for name in llama_cpp::END_KEYS {
            ends.extend(self.token(name, tokens)?);
        }
        let are_named = llama_cpp::END_KEYS
            .iter()
            .any(|name| self.metadata.contains_key(&format!("tokenizer.ggml.{name}_token_id")));
        if are_named {
            return Ok(ends.into_iter().filter_map(|id| u32::try_from(id).ok()).collect());
        }
        let is_end =
            |text: &str, kind: i64| llama_cpp::is_end(text) || text == llama_cpp::CONTROL_END && kind == CONTROL;
        let with_kinds = tokens.iter().zip(self.kinds(tokens)?).enumerate();
        ends.extend(with_kinds.filter(|(_, (text, kind))| is_end(text, **kind)).map(|(id, _)| id));
        Ok(ends.into_iter().filter_map(|id| u32::try_from(id).ok()).collect())
    }

    /// What a text begins and ends with, as `tokenizer.json` says it.
    fn post_processor(&self, model: &str, tokens: &[String]) -> Result<Json, ModelError> {
        let pre_tokenizer = self.text("tokenizer.ggml.pre").ok();
        let flag = |name: &str| self.flag(&format!("tokenizer.ggml.add_{name}_token"));
        let begins = flag("bos")?.unwrap_or_else(|| llama_cpp::adds_beginning(model, pre_tokenizer));
        let ends = flag("eos")?.unwrap_or(false);
        let mut used = Map::new();
        let mut pieces = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
        for (name, _) in [("bos", begins), ("eos", ends)].into_iter().filter(|(_, is_added)| *is_added) {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let missing = || self.wrong(&key, "is missing, although every text is given that token");
            let id = self.token(name, tokens)?.ok_or_else(missing)?;
            let text = &tokens[id];
            used.insert(text.clone(), json!({"id": text, "ids": [id], "tokens": [text]}));
            let piece = json!({"SpecialToken": {"id": text, "type_id": 0}});
            pieces.insert(if name == "bos" { 0 } else { pieces.len() }, piece);
        }
        if used.is_empty() {
            return Ok(Json::Null);
        }
        let mut pair = pieces.clone();
        pair.push(json!({"Sequence": {"id": "B", "type_id": 1}}));
        Ok(json!({"type": "TemplateProcessing", "single": pieces, "pair": pair, "special_tokens": used}))
    }

    fn kinds(&self, tokens: &[String]) -> Result<&[i64], ModelError> {
        match self.metadata.get("tokenizer.ggml.token_type") {
            Some(Value::Integers(kinds)) if kinds.len() == tokens.len() => Ok(kinds),
            _ => {
                Err(self
                    .wrong("tokenizer.ggml.token_type", format!("does not say the kind of {} tokens", tokens.len())))
            }
        }
    }

    /// Ids by token, and the tokens that are found before any merge.
    fn vocabulary(&self, tokens: &[String], kinds: &[i64]) -> Result<(Map<String, Json>, Vec<Json>), ModelError> {
        let mut vocabulary = Map::with_capacity(tokens.len());
        let mut added = Vec::new();
        for (id, (token, kind)) in tokens.iter().zip(kinds).enumerate() {
            if vocabulary.insert(token.clone(), id.into()).is_some() {
                return Err(self.wrong("tokenizer.ggml.tokens", format!("has {token:?} twice")));
            }
            let is_control = [CONTROL, UNKNOWN].contains(kind) || llama_cpp::is_end(token);
            if is_control || *kind == USER_DEFINED {
                added.push(json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": is_control}));
            }
        }
        Ok((vocabulary, added))
    }

    /// `SentencePiece`'s BPE as `tokenizer.json` would say it: merges in the order of the scores, bytes for what no piece
    /// spells, `▁` for a space. Runs that the vocabulary defines itself are found in the text before that.
    fn sentencepieces(&self, tokens: &[String]) -> Result<Json, ModelError> {
        let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        // A space before every run of text, unless the file says otherwise: Llama 2 has it, Gemma has not.
        let normalizer = if self.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
            json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, spaces]})
        } else {
            spaces
        };
        let scores = match self.metadata.get("tokenizer.ggml.scores") {
            Some(Value::Numbers(scores)) if scores.len() == tokens.len() => scores,
            _ => return Err(self.wrong("tokenizer.ggml.scores", format!("does not score {} tokens", tokens.len()))),
        };
        let kinds = self.kinds(tokens)?;
        let (vocabulary, added) = self.vocabulary(tokens, kinds)?;
        let unknown = tokens.iter().zip(kinds).find(|(_, kind)| **kind == UNKNOWN).map(|(token, _)| token);
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": normalizer,
            "pre_tokenizer": null, "post_processor": null,
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": vocabulary, "merges": merges_by_score(tokens, kinds, scores)},
        }))
    }

    /// As `tokenizer.json` would say it: the one form from which a tokenizer is built and saved.
    fn description(&self, tokens: &[String], merges: &[String]) -> Result<Json, ModelError> {
        let name = self.text("tokenizer.ggml.pre")?;
        let (normalizer, pre_tokenizer, ignore_merges) = splitting(name).ok_or_else(|| {
            let problem = format!("is \"{name}\"; known are \"gpt-2\", \"smollm\", \"qwen2\", \"llama-bpe\" and names for the same: use the model's Hugging Face folder");
            self.wrong("tokenizer.ggml.pre", problem)
        })?;
        let (vocabulary, added) = self.vocabulary(tokens, self.kinds(tokens)?)?;
        let merges: Vec<&str> = merges.iter().map(String::as_str).collect();
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": ignore_merges,
                "vocab": vocabulary, "merges": merges},
        }))
    }
}

/// Every way to put a piece together from two others, the piece of the highest score first.
fn merges_by_score<'a>(tokens: &'a [String], kinds: &[i64], scores: &[f64]) -> Vec<[&'a str; 2]> {
    let normal = || (0..tokens.len()).filter(|&id| kinds[id] == NORMAL);
    let ids: HashMap<&str, usize> = normal().map(|id| (tokens[id].as_str(), id)).collect();
    // A piece is only cut where both parts are as long as some piece: else a single long one in a hostile file takes hours.
    let lengths: HashSet<usize> = ids.keys().map(|piece| piece.len()).collect();
    let mut merges = Vec::new();
    for id in normal() {
        let whole = tokens[id].len();
        let cuts = tokens[id].char_indices().skip(1).map(|(middle, _)| middle);
        for middle in cuts.filter(|&middle| lengths.contains(&middle) && lengths.contains(&(whole - middle))) {
            let (left, right) = tokens[id].split_at(middle);
            if let (Some(&first), Some(&second)) = (ids.get(left), ids.get(right)) {
                merges.push((id, first, second, [left, right]));
            }
        }
    }
    merges.sort_by(|one, other| {
        let by_score = scores[other.0].total_cmp(&scores[one.0]);
        by_score.then((one.0, one.1, one.2).cmp(&(other.0, other.1, other.2)))
    });
    merges.into_iter().map(|(.., pair)| pair).collect()
}
