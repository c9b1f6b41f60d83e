//! Text to tokens and back, and conversations to tokens.

mod answers;
mod class;
mod folder;
mod gguf;
mod llama_cpp;
mod parts;
mod special;
mod texts;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use slhf_plan::Message;
use tokenizers::{ModelWrapper, Tokenizer};

pub use answers::AnswerSetError;
pub use texts::TemplateTexts;

use parts::{Parts, guarded};

use crate::template::{ChatTemplate, Ending, Thinking};
use crate::{ModelConfig, ModelError};

/// Where a template stands that was given in the place of the model's own, for messages.
const GIVEN_TEMPLATE: &str = "chat_template";

/// A model's tokenizer, its special tokens and its chat template.
pub struct Tokens {
    path: PathBuf,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    beginning_token: Option<u32>,
    ends: Vec<u32>,
    texts: TemplateTexts,
    /// Rows of the model's embedding: a token beyond them may stand in the vocabulary, but in no text.
    rows: usize,
    notes: Vec<String>,
    has_lost_dropout: bool,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tokens")
            .field("path", &self.path)
            .field("end_tokens", &self.ends)
            .finish_non_exhaustive()
    }
}

/// What stands between an answer y and the answer y′ to an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnTokens {
    /// Closes an answer that was cut; ends with an end token, or is empty where the template has none.
    pub closing: Vec<u32>,
    /// From there through the instruction to the place where y′ begins.
    pub opening: Vec<u32>,
    ends: Vec<u32>,
}

impl TurnTokens {
    /// What follows this answer: the opening, and before it the closing unless the answer ended by itself.
    pub fn after(&self, answer: &[u32]) -> Vec<u32> {
        let ended = answer.last().is_some_and(|token| self.ends.contains(token));
        let closing = if ended { &[][..] } else { &self.closing };
        [closing, &self.opening].concat()
    }
}

impl Tokens {
    /// Reads a folder's `tokenizer.json`, and where there are such files `tokenizer_config.json`, `chat_template.jinja`,
    /// `special_tokens_map.json` and `added_tokens.json`.
    pub fn from_folder(folder: &Path, config: &ModelConfig, thinking: Thinking) -> Result<Self, ModelError> {
        Self::join(folder::read(folder, config.family)?, config, thinking)
    }

    /// Builds the tokenizer that a GGUF file describes.
    pub(crate) fn from_gguf(
        path: &Path,
        metadata: &BTreeMap<String, crate::gguf::Value>,
        config: &ModelConfig,
        thinking: Thinking,
    ) -> Result<Self, ModelError> {
        Self::join(gguf::read(path, metadata)?, config, thinking)
    }

    fn join(parts: Parts, config: &ModelConfig, thinking: Thinking) -> Result<Self, ModelError> {
        let Parts { path, mut tokenizer, template, texts, ends, note } = parts;
        // Sequences are cut and padded by the engine alone.
        let place = path.clone();
        let failed = move |source| ModelError::Tokenizer { path: place, doing: "switch truncation off", source };
        tokenizer.with_truncation(None).map_err(failed)?;
        tokenizer.with_padding(None);
        let dropout = without_dropout(&mut tokenizer);
        let has_lost_dropout = dropout.is_some();
        let notes = note.into_iter().chain(dropout).map(|note| format!("{}: {note}", path.display())).collect();
        let id = |name: &str| texts.get(name).and_then(|text| tokenizer.token_to_id(text));
        let beginning_token = id("bos_token").or(config.beginning_token);
        let rows = config.vocabulary_size;
        let all_ends = config.end_tokens.iter().copied().chain(id("eos_token")).chain(ends);
        let ends = crate::config::each_once(all_ends.filter(|id| (*id as usize) < rows));
        let template = template
            .map(|(place, source)| ChatTemplate::compile(&place, source, texts.clone(), thinking))
            .transpose()?;
        Ok(Self { path, tokenizer, template, beginning_token, ends, texts, rows, notes, has_lost_dropout })
    }

    /// With another chat template (Jinja) than the model's own, or with one where it has none.
    pub fn with_template(mut self, source: &str, thinking: Thinking) -> Result<Self, ModelError> {
        let template =
            ChatTemplate::compile(Path::new(GIVEN_TEMPLATE), source.to_owned(), self.texts.clone(), thinking)?;
        self.template = Some(template);
        Ok(self)
    }

    fn encode_with(&self, text: &str, special: bool) -> Result<Vec<u32>, ModelError> {
        let encoding = guarded(|| self.tokenizer.encode_fast(text, special))
            .map_err(|source| ModelError::Tokenizer { path: self.path.clone(), doing: "encode a text", source })?;
        let ids = encoding.get_ids();
        match ids.iter().find(|id| **id as usize >= self.rows) {
            None => Ok(ids.to_vec()),
            Some(id) => Err(ModelError::TokenBeyondRows {
                path: self.path.clone(),
                token: self.pieces(&[*id]).concat(),
                id: *id,
                rows: self.rows,
            }),
        }
    }

    /// Tokens of a text. Special tokens written in it are recognised, none is added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.encode_with(text, false)
    }

    /// Tokens of a prompt that is no conversation, with those that the tokenizer puts before and after every text.
    pub fn encode_raw(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.encode_with(text, true)
    }

    /// Whether `tokenizer.json` has a dropout, which is not applied.
    pub fn has_lost_dropout(&self) -> bool {
        self.has_lost_dropout
    }

    /// What is otherwise than a reader of the files may think, in a sentence each that names the file.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Special tokens by their names.
    pub fn texts(&self) -> &TemplateTexts {
        &self.texts
    }

    /// Text of tokens, special tokens left out. Bytes that are no UTF-8 (a character cut in two) become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, ModelError> {
        let failed = |source| ModelError::Tokenizer { path: self.path.clone(), doing: "decode tokens", source };
        guarded(|| self.tokenizer.decode(tokens, true)).map_err(failed)
    }

    /// The vocabulary's own spelling of each token (`Ġthe`); `<id>` for an id beyond the vocabulary.
    pub fn pieces(&self, tokens: &[u32]) -> Vec<String> {
        tokens.iter().map(|id| self.tokenizer.id_to_token(*id).unwrap_or_else(|| format!("<{id}>"))).collect()
    }

    /// Tokens that end an answer: those of the configuration, and the tokenizer's own.
    pub fn end_tokens(&self) -> &[u32] {
        &self.ends
    }

    /// The beginning-of-sequence token.
    pub fn beginning_token(&self) -> Option<u32> {
        self.beginning_token
    }

    /// Tokens in the vocabulary; the model may have more embeddings.
    pub fn vocabulary_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The source of the chat template.
    pub fn template(&self) -> Option<&str> {
        self.template.as_ref().map(ChatTemplate::source)
    }

    fn chat(&self) -> Result<&ChatTemplate, ModelError> {
        self.template.as_ref().ok_or_else(|| ModelError::Template {
            path: self.path.clone(),
            problem: "is missing, so that conversations cannot be rendered; take an instruction-tuned model, or give one with `chat_template`"
                .to_owned(),
        })
    }

    /// A conversation as the model's template writes it.
    pub fn render(&self, messages: &[Message], ending: Ending) -> Result<String, ModelError> {
        self.chat()?.render(messages, ending)
    }

    /// Tokens of a conversation up to the place where the assistant's answer begins.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.encode(&self.render(messages, Ending::GenerationPrompt)?)
    }

    /// Tokens of a conversation as it stands, with no turn opened after it: what transformers' `apply_chat_template(messages)` gives.
    pub fn conversation(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.encode(&self.render(messages, Ending::Closed)?)
    }

    /// How an answer is closed and a user turn with this instruction opened. Refused for a template that rewrites what it
    /// has already said.
    pub fn turn(&self, instruction: &str) -> Result<TurnTokens, ModelError> {
        let (between, rest) = self.chat()?.turn(instruction)?;
        let between_tokens = self.encode(&between)?;
        let closed = between_tokens.iter().position(|token| self.ends.contains(token)).map_or(0, |place| place + 1);
        let mut opening = self.encode(&(between + &rest))?;
        // The text after a special token is tokenised on its own, so both encodings agree up to it.
        let closing: Vec<u32> = opening.drain(..closed.min(opening.len())).collect();
        Ok(TurnTokens { closing, opening, ends: self.ends.clone() })
    }

    /// `tokenizer.json`, `tokenizer_config.json`, `generation_config.json` and `chat_template.jinja` for an exported model:
    /// (name, content).
    pub fn files(&self) -> Result<Vec<(String, String)>, ModelError> {
        let failed = |source| ModelError::Tokenizer { path: self.path.clone(), doing: "write the tokenizer", source };
        let around = guarded(|| self.tokenizer.encode_fast("", true)).map_err(failed)?;
        let id = |name: &str| self.texts.get(name).and_then(|text| self.tokenizer.token_to_id(text));
        let has = |place: Option<&u32>, name: &str| place.is_some_and(|token| id(name) == Some(*token));
        // Readers that know nothing of tokenizer.json's post-processor go by the flags: both say the same.
        let mut settings = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": has(around.get_ids().first(), "bos_token"),
            "add_eos_token": has(around.get_ids().last(), "eos_token"),
            "clean_up_tokenization_spaces": false,
        });
        let mut others = serde_json::Map::new();
        for (name, text) in self.texts.iter() {
            if name.ends_with("_token") {
                settings[name] = text.into();
            } else {
                others.insert(name.to_owned(), text.into());
            }
        }
        if !others.is_empty() {
            settings["extra_special_tokens"] = others.into();
        }
        let generation = serde_json::json!({ "bos_token_id": self.beginning_token, "eos_token_id": self.ends });
        let mut files = vec![
            ("tokenizer.json".to_owned(), self.tokenizer.to_string(false).map_err(failed)?),
            ("tokenizer_config.json".to_owned(), format!("{settings:#}\n")),
            ("generation_config.json".to_owned(), format!("{generation:#}\n")),
        ];
        files.extend(self.template().map(|source| ("chat_template.jinja".to_owned(), source.to_owned())));
        Ok(files)
    }
}

/// Switches the dropout of merges off, with which the same text has other tokens at every call; says so.
fn without_dropout(tokenizer: &mut Tokenizer) -> Option<String> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    let dropout = model.dropout.filter(|dropout| *dropout > 0.0)?;
    let mut model = model.clone();
    model.dropout = None;
    tokenizer.with_model(model);
    Some(format!(
        "the tokenizer leaves out merges by chance (`model.dropout` is {dropout}), so that a text would have other tokens at \
         every call; the dropout is switched off here"
    ))
}
