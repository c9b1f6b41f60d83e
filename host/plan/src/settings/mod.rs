//! How a table of settings is read: key by key, each declared once.
//!
//! A [`Key`] has a name and a meaning. Reading a table with [`Reader`] takes the keys that the table's type asks for; what is left
//! is refused. The same function, run over an empty table, says which keys there are, of which types, with which defaults:
//! the JSON Schema and the reference page come from it.

mod problems;
mod reader;
mod shorthand;
mod words;

pub use problems::{Problem, Problems};
pub use reader::{FindPlugins, KeyOfTable, Placeholders, PluginUse, Reader, Usage};
pub use shorthand::{ConstantOr, NameOr, RewardOr, constant, kind, reward};
pub use words::{in_words, place_of, unknown_variant};

/// A key of a table of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// As it is written in a TOML.
    pub name: &'static str,
    /// What it means: a sentence, with the range where it is not plain.
    pub about: &'static str,
    /// Why tables without it have no use for it; empty where that is plain.
    pub why_not: &'static str,
    /// A value, as a TOML writes it; for the reference page.
    pub example: &'static str,
    /// Likewise where a language model wants another one.
    pub example_on_language_models: &'static str,
}

impl Key {
    /// A key with its meaning.
    #[must_use]
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, why_not: "", example: "", example_on_language_models: "" }
    }

    /// A value that somebody could want, as a TOML writes it.
    #[must_use]
    pub const fn example(self, example: &'static str) -> Self {
        Self { example, example_on_language_models: example, ..self }
    }

    /// One for language models, where that of a game means nothing there.
    #[must_use]
    pub const fn example_on_language_models(self, example: &'static str) -> Self {
        Self { example_on_language_models: example, ..self }
    }

    /// Says why the others have no use for it: completes "only x has it: …".
    #[must_use]
    pub const fn why_not(self, why_not: &'static str) -> Self {
        Self { why_not, ..self }
    }
}
