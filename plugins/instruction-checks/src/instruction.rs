//! The kinds of instructions, as they stand in the data.

use serde::Deserialize;
use slhf_sdk::serde_json::Value;
use slhf_sdk::{Failure, JsonSchema, text};

use crate::ifeval::Ifeval;

/// Counts above this are mistakes.
pub(crate) const COUNT_MAX: u32 = 10_000;

/// Something an answer must do that a program can check.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Instruction {
    /// No capital letter.
    Lowercase {},
    /// No small letter.
    Uppercase {},
    /// The word occurs, in whatever case.
    Mention {
        /// One word.
        word: String,
    },
    /// All of the words occur.
    Keywords {
        /// One word each.
        words: Vec<String>,
    },
    /// The word does not occur.
    Avoid {
        /// One word.
        word: String,
    },
    /// So many lines that begin with "-", "*" or "•".
    Bullets {
        /// Exactly.
        count: u32,
    },
    /// So many sentences.
    Sentences {
        /// Exactly.
        count: u32,
    },
    /// So many words.
    MaxWords {
        /// At most.
        count: u32,
    },
    /// So many words.
    MinWords {
        /// At least.
        count: u32,
    },
    /// The answer's first characters.
    StartsWith {
        /// As it is, capitals included.
        text: String,
    },
    /// The answer's last characters.
    EndsWith {
        /// As it is, capitals included.
        text: String,
    },
    /// No comma.
    NoCommas {},
    /// So many numbers written in digits.
    Numbers {
        /// At least.
        count: u32,
    },
    /// A question mark ends the answer.
    QuestionMarkEnd {},
    /// An exclamation mark ends the answer.
    ExclamationMarkEnd {},
    /// Double quotation marks around the whole answer.
    Quoted {},
    /// One of `IFEval`'s; it is read from `instruction_id_list` and `kwargs`, and has no `kind`.
    #[serde(skip)]
    Ifeval(Ifeval),
}

impl Instruction {
    /// Reads the list under `instructions` of a data row's metadata. The failure names the instruction.
    pub fn read_all(list: &Value) -> Result<Vec<Self>, Failure> {
        let Value::Array(items) = list else {
            return Err(format!("'instructions' of the metadata is {list}, a list was expected").into());
        };
        items.iter().enumerate().map(|(index, item)| Self::read(index, item)).collect()
    }

    fn read(index: usize, item: &Value) -> Result<Self, Failure> {
        let place = match item.get("kind") {
            Some(kind) => format!("instruction {} of the metadata ({kind})", index + 1),
            None => format!("instruction {} of the metadata", index + 1),
        };
        let instruction = Self::deserialize(item)
            .map_err(|error| Failure::new(format!("{place} is not right: {}", error.to_string().replace('`', "'"))))?;
        instruction.check().map_err(|problem| Failure::new(format!("{place} is not right: {problem}")))?;
        Ok(instruction)
    }

    /// Whether the arguments mean something.
    pub fn check(&self) -> Result<(), String> {
        let one_word =
            |word: &str| if text::words(word).eq([word]) { Ok(()) } else { Err(format!("\"{word}\" is not one word")) };
        let counted = |count: u32| {
            if (1..=COUNT_MAX).contains(&count) {
                Ok(())
            } else {
                Err(format!("'count' is {count}, 1 to {COUNT_MAX} was expected"))
            }
        };
        match self {
            Self::Mention { word } | Self::Avoid { word } => one_word(word),
            Self::Keywords { words } if words.is_empty() => Err("'words' is empty".to_owned()),
            Self::Keywords { words } => words.iter().try_for_each(|word| one_word(word)),
            Self::Bullets { count }
            | Self::Sentences { count }
            | Self::MaxWords { count }
            | Self::MinWords { count }
            | Self::Numbers { count } => counted(*count),
            Self::StartsWith { text } | Self::EndsWith { text } if text.trim().is_empty() => {
                Err("'text' is empty".to_owned())
            }
            Self::StartsWith { .. }
            | Self::EndsWith { .. }
            | Self::Lowercase {}
            | Self::Uppercase {}
            | Self::NoCommas {}
            | Self::QuestionMarkEnd {}
            | Self::ExclamationMarkEnd {}
            | Self::Quoted {}
            | Self::Ifeval(_) => Ok(()),
        }
    }

    /// As it stands in the data, with its argument: `mention river`.
    pub fn label(&self) -> String {
        match self {
            Self::Lowercase {} => "lowercase".to_owned(),
            Self::Uppercase {} => "uppercase".to_owned(),
            Self::Mention { word } => format!("mention {word}"),
            Self::Keywords { words } => format!("keywords {}", words.join(" ")),
            Self::Avoid { word } => format!("avoid {word}"),
            Self::Bullets { count } => format!("bullets {count}"),
            Self::Sentences { count } => format!("sentences {count}"),
            Self::MaxWords { count } => format!("max_words {count}"),
            Self::MinWords { count } => format!("min_words {count}"),
            Self::StartsWith { text } => format!("starts_with {text}"),
            Self::EndsWith { text } => format!("ends_with {text}"),
            Self::NoCommas {} => "no_commas".to_owned(),
            Self::Numbers { count } => format!("numbers {count}"),
            Self::QuestionMarkEnd {} => "question_mark_end".to_owned(),
            Self::ExclamationMarkEnd {} => "exclamation_mark_end".to_owned(),
            Self::Quoted {} => "quoted".to_owned(),
            Self::Ifeval(instruction) => instruction.label(),
        }
    }

    /// Whether only a whole answer can be said to have followed it: a text that was cut off might have gone on.
    pub fn needs_the_end(&self) -> bool {
        match self {
            Self::Bullets { .. }
            | Self::Sentences { .. }
            | Self::MaxWords { .. }
            | Self::EndsWith { .. }
            | Self::QuestionMarkEnd {}
            | Self::ExclamationMarkEnd {}
            | Self::Quoted {} => true,
            Self::Ifeval(instruction) => instruction.needs_the_end(),
            _ => false,
        }
    }
}
