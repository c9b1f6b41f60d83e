//! Which class of transformers reads a folder's tokenizer. A class has special tokens that stand in no file.

use crate::Family;

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
}
