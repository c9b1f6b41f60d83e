//! Which class of transformers reads a folder's tokenizer. A class has special tokens that stand in no file.

use serde::Serialize;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::gguf::QWEN2;
use crate::Family;
use crate::config::Fields;

/// A tokenizer's class, as far as it gives special tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `TokenizersBackend` (`PreTrainedTokenizerFast`): only what the files say.
    Plain,
    Gemma,
    Gpt2,
    Llama,
    Qwen2,
}

impl Class {
    /// As `AutoTokenizer` of transformers 5.24 chooses: `named` is the `tokenizer_class` of the files.
    pub(super) fn choose(family: Family, named: Option<&str>, is_byte_level: bool) -> Self {
        let named = named.map(|name| name.strip_suffix("Fast").unwrap_or(name));
        match (family, named) {
            // Whatever the file says: many files on the hub are wrong.
            (Family::Qwen2, _) | (Family::Qwen3, None) | (_, Some("Qwen2Tokenizer")) => Self::Qwen2,
            (Family::Gemma3, None) | (_, Some("GemmaTokenizer")) => Self::Gemma,
            (_, Some("GPT2Tokenizer")) => Self::Gpt2,
            // Llama 3's files name the class of Llama 2.
            (_, Some("LlamaTokenizer")) if !is_byte_level => Self::Llama,
            (Family::Llama | Family::Qwen3 | Family::Gemma3, _) => Self::Plain,
        }
    }

    /// Special tokens where no file names them.
    pub(super) fn tokens(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain => &[],
            Self::Gemma => &[
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Self::Gpt2 => {
                &[("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>")]
            }
            Self::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Self::Qwen2 => {
                &[("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")]
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "TokenizersBackend",
            Self::Gemma => "GemmaTokenizer",
            Self::Gpt2 => "GPT2Tokenizer",
            Self::Llama => "LlamaTokenizer",
            Self::Qwen2 => "Qwen2Tokenizer",
        }
    }

    /// The class cuts texts into words in a way of its own, whatever `tokenizer.json` says. Here that file counts, with which
    /// the model was trained; where the two are not the same, this says so.
    pub(super) fn note(self, tokenizer: &Tokenizer, settings: Option<&Fields>) -> Option<String> {
        let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": regex});
        let normalizer = plain(tokenizer.get_normalizer());
        let pre_tokenizer = plain(tokenizer.get_pre_tokenizer());
        let is_same = match self {
            Self::Plain => true,
            // No space is left by then on which its pre-tokenizer could split.
            Self::Gemma => normalizer == spaces,
            Self::Gpt2 => normalizer.is_null() && pre_tokenizer == bytes(true),
            Self::Llama => {
                let flag = |key, unless| settings.and_then(|file| file.get(key)?.as_bool()).unwrap_or(unless);
                let scheme = match (flag("add_prefix_space", true), flag("legacy", false)) {
                    (false, _) => "never",
                    (true, true) => "always",
                    (true, false) => "first",
                };
                let prepend = json!({"type": "Prepend", "prepend": "\u{2581}"});
                let older = json!({"type": "Sequence", "normalizers": [prepend, spaces]});
                pre_tokenizer.get("prepend_scheme") == Some(&json!(scheme)) && normalizer.is_null()
                    || scheme == "always" && normalizer == older && pre_tokenizer.is_null()
            }
            Self::Qwen2 => {
                let split =
                    json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
                let both = json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]});
                normalizer == json!({"type": "NFC"}) && pre_tokenizer == both
            }
        };
        (!is_same).then(|| {
            format!(
                "transformers 5 reads this as a {}, which cuts texts into words in another way than this file says; this file \
                 counts here",
                self.name()
            )
        })
    }
}

/// Without what does not matter for ids.
fn plain(part: Option<&impl Serialize>) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("trim_offsets");
                object.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = part.and_then(|part| serde_json::to_value(part).ok()).unwrap_or_default();
    strip(&mut value);
    value
}
