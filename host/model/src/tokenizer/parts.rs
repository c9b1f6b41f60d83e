//! What a tokenizer is made of, and how its library is called.

use std::path::PathBuf;

use tokenizers::Tokenizer;

use super::texts::TemplateTexts;

/// Calls the library, which panics over some files where it should return an error.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, tokenizers::Error>) -> Result<T, tokenizers::Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word");
        Err(format!("the library tokenizers gave up: {text}").into())
    })
}

/// What a tokenizer is made of, whatever file it came from.
pub(super) struct Parts {
    pub(super) path: PathBuf,
    pub(super) tokenizer: Tokenizer,
    /// Where the template stands, and the template.
    pub(super) template: Option<(PathBuf, String)>,
    pub(super) texts: TemplateTexts,
    /// Tokens that end an answer, besides the configuration's and the one that `texts` names.
    pub(super) ends: Vec<u32>,
    /// What users of transformers should know.
    pub(super) note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_gives_up_is_an_error_of_the_file() {
        let error = guarded::<()>(|| panic!("index out of bounds")).expect_err("it panicked");
        assert_eq!(error.to_string(), "the library tokenizers gave up: index out of bounds");
        assert_eq!(guarded(|| Ok(1)).expect("no error"), 1);
    }
}
