//! `'%s' % value` and `'{}'.format(value)`.

mod brace;
mod float;
mod percent;
mod spec;

pub(super) use brace::brace;
pub(super) use percent::percent;

use super::literal::backslashed;
use super::methods::justified;
use super::run::Run;
use super::value::quoted;

/// `ascii(value)`: what is not ASCII is escaped.
fn ascii(represented: &str) -> String {
    let escaped = |letter: char| if letter.is_ascii() { letter.to_string() } else { backslashed(letter) };
    represented.chars().map(escaped).collect()
}

/// The digits of a number in this base, with its prefix where one is asked for.
fn in_base(magnitude: u128, kind: char, with_prefix: bool) -> (&'static str, String) {
    let (prefix, digits) = match kind {
        'b' => ("0b", format!("{magnitude:b}")),
        'o' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        _ => ("", magnitude.to_string()),
    };
    (if with_prefix { prefix } else { "" }, digits)
}
