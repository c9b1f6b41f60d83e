//! Words of messages that every crate says alike: the name that was probably meant, and an error with its causes.
//!
//! It knows no crate of the project and none of its names: whoever asks says what is known. Whether to suggest anything is
//! decided here once ([`nearest`], [`known()`]), so that a key, a verb and a method are corrected by the same measure; so is how causes are
//! joined ([`chain()`]).
//!
//! ```
//! assert_eq!(slhf_words::nearest("lerning_rate", ["steps", "learning_rate"]), Some("learning_rate"));
//! assert_eq!(slhf_words::nearest("zebra", ["steps", "learning_rate"]), None);
//! ```

mod keys;
mod number;

pub use keys::{short_keys, short_labels};
pub use number::{ROUNDING_FLOOR, duration, half_width, non_finite_name, number, share};

use std::error::Error;

/// How alike two names are at least (Jaro and Winkler's measure, from 0 to 1) for one to be meant by the other.
const LIKENESS_MIN: f64 = 0.8;

/// The known name that was most likely meant, if one is near. Case counts for nothing, and a hyphen is an underscore.
pub fn nearest<'a>(said: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let said = plain(said);
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(&said, &plain(name)), name));
    let (likeness, name) = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness >= LIKENESS_MIN).then_some(name)
}

/// Names that a message offers in the place of an unknown one.
const OFFERED_MAX: usize = 5;

/// What is known, for a message about a name that is not: the five nearest, nearest first, and how many more there are.
///
/// ```
/// assert_eq!(slhf_words::known("step", ["seed", "steps"]), "steps, seed");
/// assert_eq!(slhf_words::known("c", ["a", "b", "c1", "d", "e", "f", "g"]), "c1, a, b, d, e and 2 more");
/// assert_eq!(slhf_words::known("a", []), "none");
/// ```
pub fn known<'a>(said: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let said = plain(said);
    let mut scored: Vec<(f64, &str)> =
        known.into_iter().map(|name| (strsim::jaro_winkler(&said, &plain(name)), name)).collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    let more = scored.len().saturating_sub(OFFERED_MAX);
    let names: Vec<&str> = scored.iter().take(OFFERED_MAX).map(|(_, name)| *name).collect();
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_'], "-")
}

/// An error and its causes in one line, joined by colons. What a cause says that stands at the end already is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !sentence.ends_with(&words) {
            sentence = format!("{sentence}: {words}");
        }
        source = cause.source();
    }
    // Some libraries break their lines: a sentence is one.
    sentence.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known = ["steps", "learning_rate", "tau_leader", "stackelberg-gda"];
        let check = |said: &str, expected: Option<&str>| assert_eq!(nearest(said, known), expected, "{said}");
        check("step", Some("steps"));
        check("Learning rate", Some("learning_rate"));
        check("tau_leeder", Some("tau_leader"));
        check("stackelberg_gda", Some("stackelberg-gda"));
        check("ppo", None);
        check("", None);
        assert_eq!(nearest("a", []), None);
    }

    #[test]
    fn causes_are_said_once_and_in_one_line() {
        #[derive(Debug)]
        struct Layer(&'static str, Option<Box<Layer>>);
        impl std::fmt::Display for Layer {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.0)
            }
        }
        impl Error for Layer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.1.as_deref().map(|layer| layer as &(dyn Error + 'static))
            }
        }
        let deep = Layer("opening: a.db is no file", Some(Box::new(Layer("a.db is no file", None))));
        let whole = Layer("cannot start", Some(Box::new(deep)));
        assert_eq!(chain(&whole), "cannot start: opening: a.db is no file");
        assert_eq!(chain(&Layer("one\n  two", None)), "one two");
    }
}
