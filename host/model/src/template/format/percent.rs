//! `'%s' % value`

use super::float::{Zeros, magnitude};
use super::{ascii, in_base};
use crate::template::fault::{Outcome, fail};
use crate::template::markup;
use crate::template::run::Budget;
use crate::template::value::{Value, printed, represented};

/// A width or a precision is no longer.
const WIDTH_MAX: usize = 1 << 24;

/// The letters `-`, `+`, space, `0` and `#` before the width.
struct Flags<'a>(&'a str);

impl Flags<'_> {
    fn has(&self, flag: char) -> bool {
        self.0.contains(flag)
    }
}

/// What is still to be formatted.
struct Given<'a> {
    values: &'a [Value],
    place: usize,
    whole: &'a Value,
}

impl<'a> Given<'a> {
    fn next(&mut self) -> Outcome<&'a Value> {
        let Some(value) = self.values.get(self.place) else { fail!("not enough arguments for format string") };
        self.place += 1;
        Ok(value)
    }

    /// Where a value has keys, those that are not used do no harm.
    fn has_keys(&self) -> bool {
        !matches!(
            self.whole,
            Value::Tuple(_)
                | Value::Text(_)
                | Value::Markup(_)
                | Value::None
                | Value::Bool(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::View(..)
                | Value::Iterator(_)
                | Value::Loop(_)
                | Value::Callable(_)
                | Value::Namespace(_)
                | Value::Cycler(_)
        )
    }
}

/// `format % given`
pub(in crate::template) fn percent(format: &Value, given: &Value, budget: &Budget) -> Outcome<Value> {
    let text = format.text().unwrap_or_default();
    budget.bytes(text.len())?;
    let values = match given {
        Value::Tuple(tuple) => &tuple.items[..],
        one => std::slice::from_ref(one),
    };
    let mut given = Given { values, place: 0, whole: given };
    let escapes = matches!(format, Value::Markup(_));
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('%') {
        out.push_str(&rest[..place]);
        rest = conversion(&rest[place + 1..], &mut given, escapes, budget, &mut out)?;
    }
    out.push_str(rest);
    if given.place < given.values.len() && !given.has_keys() {
        fail!("not all arguments converted during string formatting");
    }
    Ok(format.like(out))
}

/// A number at the beginning, or the next value for `*`.
fn width<'a>(rest: &'a str, given: &mut Given<'_>) -> Outcome<(Option<i128>, &'a str)> {
    if let Some(rest) = rest.strip_prefix('*') {
        return match given.next()?.integer() {
            Some(width) => Ok((Some(width), rest)),
            None => fail!("* wants int"),
        };
    }
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..length].parse().ok();
    Ok((number, &rest[length..]))
}

fn bounded(width: i128) -> Outcome<usize> {
    match usize::try_from(width) {
        Ok(width) if width <= WIDTH_MAX => Ok(width),
        _ => fail!("width or precision of a format is too large"),
    }
}

/// One conversion; gives back what follows it.
fn conversion<'a>(
    text: &'a str,
    given: &mut Given<'_>,
    escapes: bool,
    budget: &Budget,
    out: &mut String,
) -> Outcome<&'a str> {
    let mut rest = text;
    let mut keyed = None;
    if let Some(after) = rest.strip_prefix('(') {
        let Some((key, after)) = after.split_once(')') else { fail!("incomplete format key") };
        let Value::Dict(dict) = given.whole else { fail!("format requires a mapping") };
        match dict.named(key) {
            Some(value) => keyed = Some(value.clone()),
            None => fail!("the format names the key '{key}', which the mapping lacks"),
        }
        rest = after;
    }
    let length = rest.len() - rest.trim_start_matches(['-', '+', ' ', '0', '#']).len();
    let flags = Flags(&rest[..length]);
    let (wide, mut rest) = width(&rest[length..], given)?;
    let is_left = flags.has('-') || wide.is_some_and(|width| width < 0);
    let wide = wide.map(i128::saturating_abs);
    let wide = bounded(wide.unwrap_or(0))?;
    let mut precision = None;
    if let Some(after) = rest.strip_prefix('.') {
        let (number, after) = width(after, given)?;
        precision = Some(bounded(number.unwrap_or(0).max(0))?);
        rest = after;
    }
    rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
    let Some(kind) = rest.chars().next() else { fail!("incomplete format") };
    let after = &rest[kind.len_utf8()..];
    if kind == '%' {
        out.push('%');
        return Ok(after);
    }
    let value = match keyed {
        Some(value) => value,
        None => given.next()?.clone(),
    };
    let (sign, body, is_number) = converted(kind, &value, &flags, precision, escapes, budget)?;
    let length = sign.chars().count() + body.chars().count();
    budget.bytes(wide + body.len())?;
    let missing = wide.saturating_sub(length);
    if is_left {
        out.extend([sign.as_str(), &body, &" ".repeat(missing)]);
    } else if flags.has('0') && is_number {
        out.extend([sign.as_str(), &"0".repeat(missing), &body]);
    } else {
        out.extend([&" ".repeat(missing), sign.as_str(), &body]);
    }
    Ok(after)
}

/// The sign (with a prefix such as 0x), the rest, and whether zeros may fill between them.
fn converted(
    kind: char,
    value: &Value,
    flags: &Flags<'_>,
    precision: Option<usize>,
    escapes: bool,
    budget: &Budget,
) -> Outcome<(String, String, bool)> {
    let signed = |is_negative: bool| match (is_negative, flags.has('+'), flags.has(' ')) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    match kind {
        's' | 'r' | 'a' => {
            let mut text = match kind {
                's' => printed(value, budget)?,
                'r' => represented(value, budget)?,
                _ => ascii(&represented(value, budget)?),
            };
            if escapes && !(kind == 's' && matches!(value, Value::Markup(_))) {
                text = markup::escape(&text);
            }
            if let Some(precision) = precision {
                text = text.chars().take(precision).collect();
            }
            Ok((String::new(), text, false))
        }
        'c' => {
            let letter = match (value.text(), value.integer()) {
                (Some(text), _) if text.chars().count() == 1 => text.to_owned(),
                (_, Some(code)) => match u32::try_from(code).ok().and_then(char::from_u32) {
                    Some(letter) => letter.to_string(),
                    None => fail!("%c arg not in range(0x110000)"),
                },
                _ => fail!("%c requires int or char"),
            };
            Ok((String::new(), letter, false))
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let number = whole_number(kind, value)?;
            let (prefix, digits) = in_base(number.unsigned_abs(), kind, flags.has('#'));
            let missing = precision.unwrap_or(0).saturating_sub(digits.len());
            Ok((signed(number < 0).to_owned() + prefix, "0".repeat(missing) + &digits, true))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            value.check_defined()?;
            let Some(number) = value.float() else { fail!("must be real number, not {}", value.type_name()) };
            let zeros = if flags.has('#') { Zeros::Kept } else { Zeros::Cut };
            let digits = magnitude(number, kind, precision.unwrap_or(6), zeros);
            Ok((signed(number.is_sign_negative() && !number.is_nan()).to_owned(), digits, true))
        }
        _ => fail!("unsupported format character '{kind}' (0x{:x})", kind as u32),
    }
}

/// What `%d` and its like write.
fn whole_number(kind: char, value: &Value) -> Outcome<i128> {
    match (value, value.integer()) {
        (_, Some(number)) => Ok(number),
        (Value::Float(number), None) if matches!(kind, 'd' | 'i' | 'u') && number.abs() < 1e38 => {
            Ok(number.trunc() as i128)
        }
        (Value::Float(number), None) if matches!(kind, 'd' | 'i' | 'u') => {
            if !number.is_finite() {
                fail!("cannot convert float infinity or NaN to integer");
            }
            fail!("an integer has more than 38 digits; larger ones are not supported");
        }
        (Value::Undefined(sentence), _) => fail!("{sentence}"),
        _ if matches!(kind, 'd' | 'i' | 'u') => {
            fail!("%{kind} format: a real number is required, not {}", value.type_name())
        }
        _ => fail!("%{kind} format: an integer is required, not {}", value.type_name()),
    }
}
