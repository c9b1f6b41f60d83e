//! From Python's JSON to the standard's, in one pass over the bytes; what is standard already is borrowed.

use std::borrow::Cow;

/// What Python's `json` writes for numbers that are not finite.
pub(crate) const NAMES: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// The only key of the mark that stands for a number that is not finite; its value is the number's name.
pub(crate) const MARK: &str = "not a finite number";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// U+FFFD as an escape: as long as what it replaces.
const LOST: &[u8] = b"\\ufffd";

/// No number with fewer characters and without an exponent is infinite.
const DIGITS_FINITE: usize = 308;

pub(crate) fn without_byte_order_mark(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(BYTE_ORDER_MARK) {
        bytes = rest;
    }
    bytes
}

/// The same text in standard JSON, without a byte order mark. Whatever else is wrong with it is left to the parser.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = without_byte_order_mark(bytes);
    let mut pass = Pass { bytes, at: 0, copied: 0, text: Vec::new() };
    pass.run();
    if pass.copied == 0 {
        return Cow::Borrowed(bytes);
    }
    pass.text.extend_from_slice(&bytes[pass.copied..]);
    Cow::Owned(pass.text)
}

struct Pass<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of which `text` has the equal already.
    copied: usize,
    text: Vec<u8>,
}

impl Pass<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'N' | b'I' | b'-' | b'0'..=b'9' => self.number(),
                _ => self.at += 1,
            }
        }
    }

    /// Puts `instead` in the place of the next `length` bytes.
    fn replace(&mut self, length: usize, instead: &[u8]) {
        self.text.extend_from_slice(&self.bytes[self.copied..self.at]);
        self.text.extend_from_slice(instead);
        self.at += length;
        self.copied = self.at;
    }

    fn number(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || [b'-', b'+', b'.', b'_'].contains(byte)))
            .unwrap_or(rest.len());
        let word = &rest[..length];
        let name = NAMES.into_iter().find(|name| name.as_bytes() == word).or_else(|| infinite(word));
        match name {
            Some(name) => self.replace(length, format!("{{\"{MARK}\":\"{name}\"}}").as_bytes()),
            None => self.at += length,
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.escape(),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) {
        match unit(&self.bytes[self.at..]) {
            // The first half of a pair, with its second half behind it or without.
            Some(0xd800..=0xdbff) => match unit(&self.bytes[self.at + LOST.len()..]) {
                Some(0xdc00..=0xdfff) => self.at += 2 * LOST.len(),
                _ => self.replace(LOST.len(), LOST),
            },
            Some(0xdc00..=0xdfff) => self.replace(LOST.len(), LOST),
            Some(_) => self.at += LOST.len(),
            // Whatever is behind the backslash is no end of the string.
            None => self.at += 2,
        }
    }
}

/// The number of an escape `\uXXXX` at the start.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// The name of a number in JSON's notation that is too large for an `f64`.
fn infinite(word: &[u8]) -> Option<&'static str> {
    if word.len() <= DIGITS_FINITE && !word.iter().any(|byte| [b'e', b'E'].contains(byte)) {
        return None;
    }
    let number: f64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    // What `parse` takes beside JSON's notation has letters: `inf`.
    let is_json = word.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    match (is_json && number.is_infinite(), number > 0.0) {
        (true, true) => Some("Infinity"),
        (true, false) => Some("-Infinity"),
        (false, _) => None,
    }
}
