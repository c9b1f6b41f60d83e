//! What there is to see.

use std::fmt::Write as _;

use maud::Markup;

/// Pages of something. Every call may come from any thread, and may take its time.
pub trait Site: Send + Sync + 'static {
    /// Links at the top of every page.
    fn links(&self) -> Vec<Link>;

    /// The page at `path` (its parts between slashes, decoded).
    ///
    /// # Errors
    /// There is none, or the query is not understood.
    fn view(&self, path: &[String], query: &Query) -> Result<View, ViewError>;

    /// Carries out what a form of ours sent to `path`; says where the browser goes next.
    ///
    /// # Errors
    /// Nothing can be written there, or the form is not understood.
    fn change(&self, path: &[String], form: &Query) -> Result<Change, ViewError>;

    /// A text that differs whenever there may be something new to see.
    fn version(&self) -> String;
}

/// A link at the top of every page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `/runs`
    pub path: String,
    /// What it says.
    pub title: String,
}

/// What a form did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The page that shows it.
    pub path: String,
}

/// A page before its frame.
#[derive(Debug)]
pub struct View {
    /// Of the tab, and the heading.
    pub title: String,
    /// Below it.
    pub body: Markup,
}

/// A page cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// There is nothing at this address.
    #[error("{0}")]
    NotFound(String),
    /// The address asks for what there is not.
    #[error("{0}")]
    BadRequest(String),
    /// The record cannot be read.
    #[error("{0}")]
    Failed(String),
}

/// What stands behind the question mark of an address, or in a form: keys with their values, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Of keys with their values.
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs: pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// All values of a key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The address of `path` with this query, where `key` has the one value that is given (or none).
    #[must_use]
    pub fn address_with(&self, path: &str, key: &str, value: Option<&str>) -> String {
        // Another order or another choice begins at its first page.
        let kept = self.pairs.iter().filter(|(known, _)| known != key && known != "page");
        let own = value.map(|value| (key.to_owned(), value.to_owned()));
        address(path, kept.cloned().chain(own))
    }

    /// Likewise, with one more value of `key`.
    #[must_use]
    pub fn address_and(&self, path: &str, key: &str, value: &str) -> String {
        address(path, self.pairs.iter().cloned().chain([(key.to_owned(), value.to_owned())]))
    }

    /// Likewise, without this value of `key`.
    #[must_use]
    pub fn address_without(&self, path: &str, key: &str, value: &str) -> String {
        let is_it = |pair: &(String, String)| pair.0 == key && pair.1 == value;
        address(path, self.pairs.iter().filter(|pair| !is_it(pair)).cloned())
    }
}

fn address(path: &str, pairs: impl Iterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{}={}", encoded(&key), encoded(&value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A part of an address, with everything but letters, digits and `-_.~` as `%XX`.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_what_they_had() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let query = Query::new(vec![pair("q", "κ=5, x"), pair("sort", "gap"), pair("empty", "")]);
        assert_eq!(query.address_with("/runs", "sort", Some("run")), "/runs?q=%CE%BA%3D5%2C%20x&sort=run");
        assert_eq!(query.address_with("/runs", "q", None), "/runs?sort=gap");
        assert_eq!(Query::default().address_with("/runs", "q", None), "/runs");
        let pins = Query::new(vec![pair("pin", "a"), pair("pin", "b")]);
        assert_eq!(pins.address_and("/cells/x", "pin", "c d"), "/cells/x?pin=a&pin=b&pin=c%20d");
        assert_eq!(pins.address_without("/cells/x", "pin", "a"), "/cells/x?pin=b");
        assert_eq!((query.get("sort"), query.get("empty"), query.all("q").count()), (Some("gap"), None, 1));
    }
}
