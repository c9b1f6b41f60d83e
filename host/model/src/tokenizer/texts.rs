//! What a chat template knows of the vocabulary.

use std::collections::BTreeMap;

use serde::Serialize;

/// Special tokens by the names that a template knows them by: `bos_token`, `eos_token`, `image_token`, …
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TemplateTexts(BTreeMap<String, String>);

impl TemplateTexts {
    /// The token of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and tokens, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl FromIterator<(String, String)> for TemplateTexts {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(named: I) -> Self {
        Self(named.into_iter().collect())
    }
}
