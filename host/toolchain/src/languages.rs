//! What makes components of Python and JavaScript: tools of other people, fetched on demand into the cache folder by pip and npm,
//! at one version each and checked by hash.

mod componentizer;
mod javascript;
mod python;

pub use componentizer::Componentizer;

use crate::{Environment, Error, Say};

/// A language whose plugins are made by a tool that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// By componentize-py: CPython and the plugin's modules, initialized, in one component.
    Python,
    /// By componentize-qjs: QuickJS likewise.
    JavaScript,
}

impl Componentizer {
    /// The tool for a language: the one in the cache folder, else a fresh installation there.
    pub fn find_or_install(language: Language, environment: &Environment, say: Say<'_>) -> Result<Self, Error> {
        match language {
            Language::Python => python::find_or_install(environment, say),
            Language::JavaScript => javascript::find_or_install(environment, say),
        }
    }
}
