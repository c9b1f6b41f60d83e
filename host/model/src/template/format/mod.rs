//! `'%s' % value` and `'{}'.format(value)`.

mod brace;
mod float;
mod percent;
mod spec;

pub(super) use brace::brace;
pub(super) use percent::percent;

use super::methods::justified;
use super::run::Run;
use super::value::quoted;

/// `ascii(value)`: what is not ASCII is escaped.
fn ascii(represented: &str) -> String {
    let mut out = String::new();
    for letter in represented.chars() {
        match letter as u32 {
            ..=0x7f => out.push(letter),
            code @ ..=0xff => out.push_str(&format!("\\x{code:02x}")),
            code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
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
