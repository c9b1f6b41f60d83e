//! `format(value, spec)`

use super::float::{Zeros, magnitude};
use super::{Run, in_base, justified, quoted};
use crate::template::fault::{Outcome, fail};
use crate::template::methods::Side;
use crate::template::value::{Value, float_text, printed};

/// A width or a precision is no longer.
const WIDTH_MAX: usize = 1 << 24;

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`
struct Spec {
    fill: char,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn number(rest: &str) -> Outcome<(Option<usize>, &str)> {
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return Ok((None, rest));
    }
    match rest[..length].parse() {
        Ok(number) if number <= WIDTH_MAX => Ok((Some(number), &rest[length..])),
        _ => fail!("width or precision of a format is too large"),
    }
}

fn parse(text: &str) -> Outcome<Spec> {
    let mut spec = Spec {
        fill: ' ',
        align: None,
        sign: None,
        alternate: false,
        width: 0,
        grouping: None,
        precision: None,
        kind: None,
    };
    let is_align = |letter: char| matches!(letter, '<' | '>' | '=' | '^');
    let mut letters = text.chars();
    let (first, second) = (letters.next(), letters.next());
    let mut rest = text;
    let mut has_fill = false;
    if let (Some(fill), Some(align)) = (first, second.filter(|letter| is_align(*letter))) {
        (spec.fill, spec.align, has_fill) = (fill, Some(align), true);
        rest = &text[fill.len_utf8() + 1..];
    } else if let Some(align) = first.filter(|letter| is_align(*letter)) {
        spec.align = Some(align);
        rest = &text[1..];
    }
    if let Some(sign) = rest.chars().next().filter(|letter| matches!(letter, '+' | '-' | ' ')) {
        spec.sign = Some(sign);
        rest = &rest[1..];
    }
    if rest.starts_with('z') {
        fail!("the option z of a format is not supported");
    }
    if let Some(after) = rest.strip_prefix('#') {
        spec.alternate = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('0') {
        if !has_fill {
            spec.fill = '0';
        }
        spec.align = spec.align.or(Some('='));
        rest = after;
    }
    let (width, after) = number(rest)?;
    spec.width = width.unwrap_or(0);
    rest = after;
    if let Some(grouping) = rest.chars().next().filter(|letter| matches!(letter, ',' | '_')) {
        spec.grouping = Some(grouping);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after)?;
        if precision.is_none() {
            fail!("Format specifier missing precision");
        }
        spec.precision = precision;
        rest = after;
    }
    let mut letters = rest.chars();
    spec.kind = letters.next();
    if letters.next().is_some() {
        fail!("Invalid format specifier {}", quoted(text));
    }
    if let (Some(grouping), Some('n')) = (spec.grouping, spec.kind) {
        fail!("Cannot specify '{grouping}' with 'n'.");
    }
    Ok(spec)
}

/// A value in this format.
pub(super) fn formatted(run: &Run, value: &Value, text: &str) -> Outcome<String> {
    if text.is_empty() {
        return printed(value, &run.budget);
    }
    let spec = match value {
        Value::Text(_) | Value::Markup(_) | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => parse(text)?,
        _ => fail!("unsupported format string passed to {}.__format__", value.type_name()),
    };
    match value {
        Value::Text(content) | Value::Markup(content) => string(run, content, &spec),
        Value::Float(number) => float(run, *number, &spec),
        _ => match spec.kind {
            Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => float(run, value.float().unwrap_or(0.0), &spec),
            _ => integer(run, value.integer().unwrap_or(0), &spec),
        },
    }
}

fn string(run: &Run, text: &str, spec: &Spec) -> Outcome<String> {
    if spec.kind.is_some_and(|kind| kind != 's') {
        fail!("Unknown format code '{}' for object of type 'str'", spec.kind.unwrap_or('s'));
    }
    if spec.sign.is_some() || spec.alternate || spec.grouping.is_some() {
        fail!("a sign, # or a grouping is not allowed in the format of a text");
    }
    let kept: String = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let side = match spec.align {
        Some('>') => Side::Right,
        Some('^') => Side::Center,
        Some('=') if spec.fill != '0' => fail!("'=' alignment not allowed in string format specifier"),
        _ => Side::Left,
    };
    aligned(run, &kept, spec, side)
}

/// Unlike `str.center`, a format leaves the odd space on the right.
fn aligned(run: &Run, text: &str, spec: &Spec, side: Side) -> Outcome<String> {
    if side != Side::Center {
        return justified(run, text, spec.width as i128, spec.fill, side);
    }
    let length = text.chars().count();
    let before = spec.width.saturating_sub(length) / 2;
    let left = justified(run, text, (length + before) as i128, spec.fill, Side::Right)?;
    justified(run, &left, spec.width as i128, spec.fill, Side::Left)
}

fn integer(run: &Run, number: i128, spec: &Spec) -> Outcome<String> {
    if spec.precision.is_some() {
        fail!("Precision not allowed in integer format specifier");
    }
    let kind = spec.kind.unwrap_or('d');
    if kind == 'c' {
        fail!("the format code 'c' is not supported");
    }
    if !matches!(kind, 'b' | 'd' | 'o' | 'x' | 'X' | 'n') {
        fail!("Unknown format code '{kind}' for object of type 'int'");
    }
    let (prefix, digits) = in_base(number.unsigned_abs(), kind, spec.alternate);
    let group = if matches!(kind, 'd' | 'n') { 3 } else { 4 };
    if group == 4 && spec.grouping == Some(',') {
        fail!("Cannot specify ',' with '{kind}'.");
    }
    with_sign(run, number < 0, prefix, &digits, group, spec)
}

fn float(run: &Run, number: f64, spec: &Spec) -> Outcome<String> {
    let zeros = if spec.alternate { Zeros::Kept } else { Zeros::Cut };
    let digits = match (spec.kind, spec.precision) {
        (None, _) if spec.alternate => fail!("# in the format of a float without a type is not supported"),
        (None, None) => float_text(number.abs()),
        (None, Some(precision)) => {
            // Like g, but with a digit after the point.
            let text = magnitude(number, 'g', precision, zeros);
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            if is_plain && text.len() >= precision.max(1) {
                magnitude(number, 'e', precision.max(1) - 1, zeros)
            } else if is_plain {
                text + ".0"
            } else {
                text
            }
        }
        (Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')), precision) => {
            magnitude(number, kind, precision.unwrap_or(6), zeros)
        }
        (Some('n'), precision) => magnitude(number, 'g', precision.unwrap_or(6), zeros),
        (Some(kind), _) => fail!("Unknown format code '{kind}' for object of type 'float'"),
    };
    with_sign(run, number.is_sign_negative() && !number.is_nan(), "", &digits, 3, spec)
}

/// Groups the digits before the point and fills up to the width.
fn with_sign(run: &Run, is_negative: bool, prefix: &str, digits: &str, group: usize, spec: &Spec) -> Outcome<String> {
    let sign = match (is_negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    let head = sign.to_owned() + prefix;
    let whole_length = digits.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let is_exponential =
        group == 3 && digits.find(['e', 'E']).is_some_and(|place| place < digits.find('.').unwrap_or(digits.len()));
    let whole_length = if is_exponential { digits.find(['e', 'E']).unwrap_or(whole_length) } else { whole_length };
    let (whole, fraction) = digits.split_at(whole_length);
    let body = match spec.grouping {
        None => digits.to_owned(),
        Some(comma) => {
            // Zeros that fill are grouped too.
            let room = if spec.align == Some('=') && spec.fill == '0' {
                spec.width.saturating_sub(head.len() + fraction.len())
            } else {
                0
            };
            grouped(run, whole, comma, group, room)? + fraction
        }
    };
    match spec.align.unwrap_or('>') {
        '=' => {
            let width = spec.width.saturating_sub(head.chars().count());
            justified(run, &body, width as i128, spec.fill, Side::Right).map(|body| head + &body)
        }
        '<' => aligned(run, &(head + &body), spec, Side::Left),
        '^' => aligned(run, &(head + &body), spec, Side::Center),
        _ => aligned(run, &(head + &body), spec, Side::Right),
    }
}

fn grouped(run: &Run, whole: &str, comma: char, group: usize, room: usize) -> Outcome<String> {
    run.budget.bytes(whole.len() + room)?;
    let mut digits: Vec<char> = whole.chars().collect();
    let commas = |digits: usize| digits.saturating_sub(1) / group;
    while digits.len() + commas(digits.len()) < room {
        digits.insert(0, '0');
    }
    let mut out = String::new();
    for (place, digit) in digits.iter().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(group) {
            out.push(comma);
        }
        out.push(*digit);
    }
    Ok(out)
}
