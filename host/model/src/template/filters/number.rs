//! Filters on numbers.

use super::order::Key;
use crate::template::fault::{Fault, Outcome, fail};
use crate::template::literal::is_space;
use crate::template::methods::{case, integer_of, integer_or};
use crate::template::run::{Args, Run};
use crate::template::syntax::Arithmetic;
use crate::template::value::{Value, arithmetic, items, rounded};

/// `value | name(args)`
pub(super) fn apply(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<Value> {
    match name {
        "abs" => {
            args.bind::<0>(name, [], 0)?;
            value.check_defined()?;
            match (value, value.integer()) {
                (_, Some(number)) => {
                    number.checked_abs().map(Value::Integer).ok_or_else(|| Fault::new("the integer is too large"))
                }
                (Value::Float(number), _) => Ok(Value::Float(number.abs())),
                _ => fail!("bad operand type for abs(): '{}'", value.type_name()),
            }
        }
        "int" => {
            let [default, base] = args.bind(name, ["default", "base"], 0)?;
            value.check_defined()?;
            let found = integer(value, integer_or(base, 10, name)?)?;
            Ok(found.map_or_else(|| default.unwrap_or(Value::Integer(0)), Value::Integer))
        }
        "float" => {
            let [default] = args.bind(name, ["default"], 0)?;
            value.check_defined()?;
            let found = value.text().map_or_else(|| value.float(), parsed_float);
            Ok(found.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
        }
        "round" => round(value, args),
        "sum" => {
            let [attribute, start] = args.bind(name, ["attribute", "start"], 0)?;
            let key = Key::new(attribute.as_ref(), None);
            let mut sum = start.unwrap_or(Value::Integer(0));
            if sum.text().is_some() {
                fail!("sum() can't sum strings [use ''.join(seq) instead]");
            }
            for item in items(value, &run.budget)? {
                sum = arithmetic(Arithmetic::Add, &sum, &key.of(run, item)?, &run.budget)?;
            }
            Ok(sum)
        }
        _ => file_size(value, args),
    }
}

/// Digits with single `_` between them.
fn without_underscores(text: &str) -> Option<String> {
    let is_bare = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!is_bare).then(|| text.replace('_', ""))
}

/// `float(text)`
fn parsed_float(text: &str) -> Option<f64> {
    without_underscores(&case::with_ascii_digits(text.trim_matches(is_space)))?.parse().ok()
}

/// `int(value)`, then `int(float(value))`
fn integer(value: &Value, base: i128) -> Outcome<Option<i128>> {
    let Some(text) = value.text() else {
        return match value {
            Value::Float(number) if number.is_nan() => Ok(None),
            Value::Float(number) => truncated(*number).map(Some),
            _ => Ok(value.integer()),
        };
    };
    if let Some(found) = parsed_integer(text, base)? {
        return Ok(Some(found));
    }
    parsed_float(text).filter(|number| number.is_finite()).map(truncated).transpose()
}

fn truncated(number: f64) -> Outcome<i128> {
    if number.is_infinite() {
        fail!("cannot convert float infinity to integer");
    }
    if number.abs() >= 1.7e38 {
        fail!("an integer has more than 38 digits; larger ones are not supported");
    }
    Ok(number.trunc() as i128)
}

fn parsed_integer(text: &str, base: i128) -> Outcome<Option<i128>> {
    let text = case::with_ascii_digits(text.trim_matches(is_space));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    if base != 0 && !(2..=36).contains(&base) {
        // Python raises ValueError, which the filter takes for a text that is no number.
        return Ok(None);
    }
    let prefix = match digits.get(..2).map(str::to_lowercase).as_deref() {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        Some("0b") => Some(2),
        _ => None,
    };
    let (radix, digits) = match prefix {
        Some(radix) if base == 0 || base == radix => (radix, digits[2..].strip_prefix('_').unwrap_or(&digits[2..])),
        _ => (if base == 0 { 10 } else { base }, digits),
    };
    if base == 0
        && radix == 10
        && digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().any(|byte| byte != b'0' && byte != b'_')
    {
        return Ok(None);
    }
    let Some(digits) = without_underscores(digits).filter(|digits| !digits.is_empty()) else { return Ok(None) };
    if !digits.chars().all(|digit| digit.is_digit(radix as u32)) {
        return Ok(None);
    }
    match i128::from_str_radix(&digits, radix as u32) {
        Ok(number) => Ok(Some(sign * number)),
        Err(_) => fail!("an integer has more than 38 digits; larger ones are not supported"),
    }
}

fn round(value: &Value, args: Args) -> Outcome<Value> {
    let [precision, method] = args.bind("round", ["precision", "method"], 0)?;
    let digits = integer_or(precision, 0, "round")?.clamp(-400, 400) as i32;
    value.check_defined()?;
    let up = match method.as_ref().map_or(Some("common"), Value::text) {
        Some("common") => {
            return match (value, value.integer()) {
                (_, Some(number)) => Ok(Value::Integer(rounded_integer(number, digits))),
                (Value::Float(number), _) => Ok(Value::Float(rounded(*number, digits))),
                _ => fail!("type {} doesn't define __round__ method", value.type_name()),
            };
        }
        Some("ceil") => true,
        Some("floor") => false,
        _ => fail!("method must be common, ceil or floor"),
    };
    let Some(number) = value.float() else { fail!("must be real number, not {}", value.type_name()) };
    let scale = 10_f64.powi(digits);
    let scaled = number * scale;
    if !scaled.is_finite() {
        fail!("cannot convert float infinity or NaN to integer");
    }
    // Python's ceil and floor give integers, which have no negative zero.
    Ok(Value::Float((if up { scaled.ceil() } else { scaled.floor() } + 0.0) / scale))
}

/// `round(integer, digits)`: to tens and so on, ties to even.
fn rounded_integer(number: i128, digits: i32) -> i128 {
    if digits >= 0 {
        return number;
    }
    let Some(unit) = 10_i128.checked_pow(digits.unsigned_abs()) else { return 0 };
    let (quotient, rest) = (number.div_euclid(unit), number.rem_euclid(unit));
    let goes_up = rest * 2 > unit || rest * 2 == unit && quotient % 2 != 0;
    (quotient + i128::from(goes_up)) * unit
}

fn file_size(value: &Value, args: Args) -> Outcome<Value> {
    let [binary] = args.bind("filesizeformat", ["binary"], 0)?;
    let is_binary = binary.is_some_and(|flag| flag.is_true());
    value.check_defined()?;
    let Some(bytes) = value.text().map_or_else(|| value.float(), parsed_float) else {
        fail!("could not convert to a number of bytes: {}", value.type_name());
    };
    let base: f64 = if is_binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok(Value::from("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::from(format!("{} Bytes", integer_of(&Value::Integer(bytes as i128), "int")?)));
    }
    let units = if is_binary { "KMGTPEZY" } else { "kMGTPEZY" };
    let suffix = if is_binary { "iB" } else { "B" };
    let mut unit = base;
    for (place, letter) in units.chars().enumerate() {
        unit *= base;
        if bytes < unit || place == 7 {
            return Ok(Value::from(format!("{:.1} {letter}{suffix}", base * bytes / unit)));
        }
    }
    Ok(Value::from(""))
}
