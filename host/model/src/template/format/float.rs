//! Floats with a number of digits.

/// How the digits after the point are counted, and whether those that are zero stay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zeros {
    Kept,
    Cut,
}

/// More digits than these say nothing.
const PRECISION_MAX: usize = 2000;

/// The magnitude of a float as `e`, `f`, `g` (or `%`) writes it, without its sign.
pub(super) fn magnitude(number: f64, kind: char, precision: usize, zeros: Zeros) -> String {
    let precision = precision.min(PRECISION_MAX);
    let number = number.abs();
    let text = if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        "inf".to_owned()
    } else {
        match kind.to_ascii_lowercase() {
            'e' => with_exponent(number, precision),
            'g' => general(number, precision.max(1), zeros),
            '%' => format!("{:.precision$}%", number * 100.0),
            _ => format!("{number:.precision$}"),
        }
    };
    let text = if zeros == Zeros::Kept && number.is_finite() { with_point(&text) } else { text };
    if kind.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

/// `#` asks for a point even where no digit follows it.
fn with_point(text: &str) -> String {
    if text.contains('.') {
        return text.to_owned();
    }
    let end = text.find(['e', '%']).unwrap_or(text.len());
    format!("{}.{}", &text[..end], &text[end..])
}

fn with_exponent(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn general(number: f64, precision: usize, zeros: Zeros) -> String {
    let scientific = with_exponent(number, precision - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..precision as i32).contains(&power) {
        let decimals = (precision as i32 - 1 - power).max(0) as usize;
        return cut(&format!("{number:.decimals$}"), zeros);
    }
    format!("{}e{exponent}", cut(digits, zeros))
}

fn cut(digits: &str, zeros: Zeros) -> String {
    if zeros == Zeros::Cut && digits.contains('.') {
        return digits.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    digits.to_owned()
}
