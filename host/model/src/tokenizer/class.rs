//! Which class of transformers reads a folder's tokenizer. A class has special tokens that stand in no file.

use serde::Serialize;
use serde_json::{Value, json};
use tokenizers::{ModelWrapper, Tokenizer};

use crate::Family;
use crate::config::Fields;

/// How Qwen2 cuts texts into words.
pub(super) const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A tokenizer's class, as far as it gives special tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `TokenizersBackend` (`PreTrainedTokenizerFast`): only what the files say.
    Plain,
    Gemma,
    Gpt2,
    Llama,
    Qwen2,
    /// One of [`OTHERS`].
    Other(&'static str),
}

/// Further classes of transformers 5.24 that do not take a tokenizer as `tokenizer.json` says it.
const OTHERS: [&str; 88] = [
    "AlbertTokenizer",
    "BarthezTokenizer",
    "BartphoTokenizer",
    "BertGenerationTokenizer",
    "BertJapaneseTokenizer",
    "BertTokenizer",
    "BertTokenizerLegacy",
    "BertweetTokenizer",
    "BigBirdTokenizer",
    "BioGptTokenizer",
    "BlenderbotSmallTokenizer",
    "BlenderbotTokenizer",
    "ByT5Tokenizer",
    "CLIPTokenizer",
    "CTRLTokenizer",
    "CamembertTokenizer",
    "CanineTokenizer",
    "ClvpTokenizer",
    "CodeGenTokenizer",
    "CodeLlamaTokenizer",
    "CohereTokenizer",
    "CpmAntTokenizer",
    "CpmTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "DiaTokenizer",
    "DistilBertTokenizer",
    "EsmTokenizer",
    "EsmcTokenizer",
    "FSMTTokenizer",
    "FastSpeech2ConformerTokenizer",
    "FlaubertTokenizer",
    "FunnelTokenizer",
    "GPTNeoXJapaneseTokenizer",
    "GPTNeoXTokenizer",
    "GPTSw3Tokenizer",
    "HerbertTokenizer",
    "LasrTokenizer",
    "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer",
    "LayoutXLMTokenizer",
    "LukeTokenizer",
    "M2M100Tokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "MLukeTokenizer",
    "MPNetTokenizer",
    "MarianTokenizer",
    "MarkupLMTokenizer",
    "MgpstrTokenizer",
    "MyT5Tokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "PLBartTokenizer",
    "PegasusTokenizer",
    "PerceiverTokenizer",
    "PhobertTokenizer",
    "Pop2PianoTokenizer",
    "ProphetNetTokenizer",
    "Qwen3_5Tokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RoCBertTokenizer",
    "RoFormerTokenizer",
    "RobertaTokenizer",
    "SeamlessM4TTokenizer",
    "Siglip2Tokenizer",
    "SiglipTokenizer",
    "Speech2TextTokenizer",
    "SpeechT5Tokenizer",
    "SplinterTokenizer",
    "T5Tokenizer",
    "TapasTokenizer",
    "Tipsv2Tokenizer",
    "UdopTokenizer",
    "VideoPrismTokenizer",
    "VitsTokenizer",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLMRobertaTokenizer",
    "XLMTokenizer",
    "XLNetTokenizer",
];

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
            (Family::Llama | Family::Qwen3 | Family::Gemma3, named) => {
                OTHERS.into_iter().find(|other| named == Some(other)).map_or(Self::Plain, Self::Other)
            }
        }
    }

    /// Whether transformers builds the tokenizer from the vocabulary and the merges alone, in a way that is known here.
    pub(super) fn is_rebuilt(self) -> bool {
        !matches!(self, Self::Plain | Self::Other(_))
    }

    /// Special tokens where no file names them.
    pub(super) fn tokens(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain | Self::Other(_) => &[],
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
            Self::Other(name) => name,
        }
    }

    /// The class cuts texts into words in a way of its own, whatever `tokenizer.json` says. Here that file counts, with which
    /// the model was trained; where the two are not the same, this says so.
    pub(super) fn note(self, tokenizer: &Tokenizer, settings: Option<&Fields>) -> Option<String> {
        let name = self.name();
        match self {
            Self::Plain => None,
            Self::Other(_) => Some(format!(
                "transformers 5 reads this as a {name}, a class with special tokens and rules of its own, which are not known \
                 here; this file counts here"
            )),
            _ => (!self.cuts_alike(tokenizer, settings) || !self.joins_alike(tokenizer, settings)).then(|| {
                format!(
                    "transformers 5 reads this as a {name}, which cuts texts into words or joins them in another way than this \
                     file says; this file counts here"
                )
            }),
        }
    }

    fn cuts_alike(self, tokenizer: &Tokenizer, settings: Option<&Fields>) -> bool {
        let flag = |key, unless| settings.and_then(|file| file.get(key)?.as_bool()).unwrap_or(unless);
        let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let space = flag("add_prefix_space", false);
        let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": space, "use_regex": regex});
        let normalizer = plain(tokenizer.get_normalizer());
        let pre_tokenizer = plain(tokenizer.get_pre_tokenizer());
        let falls_back = matches!(self, Self::Gemma | Self::Llama);
        let has_model = match tokenizer.get_model() {
            ModelWrapper::BPE(model) => {
                let affix = |text: Option<&String>| text.is_some_and(|text| !text.is_empty());
                model.byte_fallback == falls_back
                    && !model.ignore_merges
                    && !affix(model.continuing_subword_prefix.as_ref())
                    && !affix(model.end_of_word_suffix.as_ref())
            }
            _ => false,
        };
        has_model
            && match self {
                Self::Plain | Self::Other(_) => true,
                // No space is left by then on which its pre-tokenizer could split.
                Self::Gemma => normalizer == spaces,
                Self::Gpt2 => normalizer.is_null() && pre_tokenizer == bytes(true),
                Self::Llama => {
                    let scheme = match (flag("add_prefix_space", true), flag("legacy", false)) {
                        (false, _) => "never",
                        (true, true) => "always",
                        (true, false) => "first",
                    };
                    // A normalizer of older files puts a space before texts that begin with one, too.
                    pre_tokenizer.get("prepend_scheme") == Some(&json!(scheme)) && normalizer.is_null()
                }
                Self::Qwen2 => {
                    let split =
                        json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
                    let both = json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]});
                    normalizer == json!({"type": "NFC"}) && pre_tokenizer == both
                }
            }
    }

    fn joins_alike(self, tokenizer: &Tokenizer, settings: Option<&Fields>) -> bool {
        let decoder = plain(tokenizer.get_decoder());
        if !matches!(self, Self::Gemma | Self::Llama) {
            return decoder.get("type") == Some(&json!("ByteLevel"));
        }
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        let has_space = settings.and_then(|file| file.get("add_prefix_space")?.as_bool()).unwrap_or(true);
        if self == Self::Llama && has_space {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        decoder == json!({"type": "Sequence", "decoders": decoders})
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
