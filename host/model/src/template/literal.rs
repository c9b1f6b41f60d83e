//! Numbers and texts as a template writes them.

use super::fault::{Fault, Outcome, fail};
use super::token::Token;

/// What Python's `str.isspace` holds for space.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter)
}

/// The length of digits with single `_` between them.
fn digits(text: &str, is_digit: impl Fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let joins = *byte == b'_' && length > 0 && bytes.get(length + 1).is_some_and(|next| is_digit(*next));
        if !is_digit(*byte) && !joins {
            break;
        }
        length += 1;
    }
    length
}

fn decimal(text: &str) -> usize {
    digits(text, |byte| byte.is_ascii_digit())
}

/// A float's length, where one begins here.
fn float_length(text: &str) -> Option<usize> {
    let whole = decimal(text);
    if whole == 0 {
        return None;
    }
    let mut end = whole;
    let fraction = text[end..].strip_prefix('.').map_or(0, decimal);
    if fraction > 0 {
        end += 1 + fraction;
    }
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let signless = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = decimal(signless);
        if length > 0 {
            return Some(end + 1 + (exponent.len() - signless.len()) + length);
        }
    }
    (fraction > 0).then_some(end)
}

/// A number at the beginning of this text.
pub(super) fn number(text: &str, follows_dot: bool) -> Outcome<Option<(usize, Token)>> {
    if !text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Ok(None);
    }
    if let Some(length) = float_length(text).filter(|_| !follows_dot) {
        let number: f64 =
            text[..length].replace('_', "").parse().map_err(|_| Fault::new("a float that cannot be read"))?;
        if number.is_infinite() {
            fail!("the float {} is infinite; such literals are not supported", &text[..length]);
        }
        return Ok(Some((length, Token::Float(number))));
    }
    let lower: String = text.chars().take(2).flat_map(char::to_lowercase).collect();
    for (prefix, radix) in [("0b", 2_u32), ("0o", 8), ("0x", 16)] {
        let is_digit = |byte: u8| (byte as char).is_digit(radix);
        let Some(rest) = text.get(2..).filter(|_| lower == prefix) else { continue };
        let rest_without =
            rest.strip_prefix('_').filter(|rest| rest.bytes().next().is_some_and(is_digit)).unwrap_or(rest);
        let length = digits(rest_without, is_digit);
        if length > 0 {
            let length = length + (rest.len() - rest_without.len());
            return integer(&rest[..length], radix).map(|number| Some((length + 2, Token::Integer(number))));
        }
    }
    let length = if text.starts_with('0') { digits(text, |byte| byte == b'0') } else { decimal(text) };
    integer(&text[..length], 10).map(|number| Some((length, Token::Integer(number))))
}

fn integer(text: &str, radix: u32) -> Outcome<i128> {
    i128::from_str_radix(&text.replace('_', ""), radix)
        .map_err(|_| Fault::new(format!("the integer {text} has more than 38 digits; larger ones are not supported")))
}

/// A text in quotes at the beginning of this one.
pub(super) fn text(source: &str) -> Outcome<Option<(usize, Token)>> {
    let Some(quote) = source.chars().next().filter(|letter| matches!(letter, '\'' | '"')) else { return Ok(None) };
    let mut is_escaped = false;
    for (place, letter) in source.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return Ok(Some((place + 1, Token::Text(unescaped(&source[1..place])?)))),
            _ => {}
        }
    }
    Ok(None)
}

/// A letter by its code, as Python writes it.
pub(super) fn backslashed(letter: char) -> String {
    match letter as u32 {
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// Python's `encode("ascii", "backslashreplace").decode("unicode-escape")`.
fn unescaped(source: &str) -> Outcome<String> {
    if !source.contains('\\') {
        return Ok(source.to_owned());
    }
    let mut ascii = String::with_capacity(source.len());
    for letter in source.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            ascii.push_str(&backslashed(letter));
        }
    }
    let mut text = String::with_capacity(ascii.len());
    let mut rest = ascii.as_str();
    while let Some(place) = rest.find('\\') {
        text.push_str(&rest[..place]);
        let (length, letter) = escape(&rest[place..])?;
        text.extend(letter);
        if length == 1 {
            text.push('\\');
        }
        rest = &rest[place + length..];
    }
    text.push_str(rest);
    Ok(text)
}

/// How long this escape is and what it stands for; a length of one says that the backslash stands for itself.
fn escape(source: &str) -> Outcome<(usize, Option<char>)> {
    let Some(letter) = source.chars().nth(1) else { fail!("\\ at end of string") };
    let simple = match letter {
        '\n' => return Ok((2, None)),
        '\\' | '\'' | '"' => Some(letter),
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        _ => None,
    };
    if simple.is_some() {
        return Ok((2, simple));
    }
    let (start, length, radix) = match letter {
        '0'..='7' => {
            let length = source[1..].bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            (1, length, 8)
        }
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        'N' => fail!("the escape \\N{{…}} in a string is not supported; write the character itself"),
        _ => return Ok((1, None)),
    };
    let code = source.get(start..start + length).filter(|code| code.bytes().all(|byte| (byte as char).is_digit(radix)));
    let Some(code) = code.and_then(|code| u32::from_str_radix(code, radix).ok()) else {
        fail!("truncated \\{letter} escape in a string")
    };
    match char::from_u32(code) {
        Some(found) => Ok((start + length, Some(found))),
        None => fail!("the escape {} in a string is half of a pair or no character", &source[..start + length]),
    }
}
