//! A secret that opens a server.

use std::fmt;

/// The key's text: sent as `Authorization: Bearer …`, and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// What stands in the place of a key.
const HIDDEN: &str = "[key]";

impl Key {
    /// A key that can stand in a header; `None` where it is empty or cannot.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.chars().all(|sign| sign.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Text of a server that may repeat the key, without it: also without a beginning of it that is long enough to matter.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        let mut text = text.replace(&self.0, HIDDEN);
        let beginning = &self.0[..self.0.len().min(12)];
        if self.0.len() > 16 {
            text = text.replace(beginning, HIDDEN);
        }
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_nowhere() {
        let key = Key::new(" sk-0123456789abcdefghij\n").expect("a key");
        assert_eq!(format!("{key:?}"), HIDDEN);
        assert_eq!(key.hide_in("no such key: sk-0123456789abcdefghij!"), "no such key: [key]!");
        assert_eq!(key.hide_in("no such key: sk-012345678***"), "no such key: [key]***");
        assert_eq!(key.header(), "Bearer sk-0123456789abcdefghij");
        for none in ["", "  ", "a b", "a\nb", "schlüssel"] {
            assert_eq!(Key::new(none), None, "{none:?}");
        }
    }
}
