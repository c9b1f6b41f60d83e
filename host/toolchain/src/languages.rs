//! What makes components of Python and JavaScript: tools of other people, fetched on demand into the cache folder by pip and npm,
//! at one version each and checked by hash.

mod javascript;
mod python;
mod tool;

use crate::{Environment, Error, Say};

pub use tool::{Componentizer, Language};

/// The tool for a language: the one in the cache folder, else a fresh installation there.
pub fn componentizer(language: Language, environment: &Environment, say: Say<'_>) -> Result<Componentizer, Error> {
    match language {
        Language::Python => python::find_or_install(environment, say),
        Language::JavaScript => javascript::find_or_install(environment, say),
    }
}
