//! Floats as Python prints and rounds them.

/// `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16.
pub(in crate::template) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = shortest(number);
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return plain(digits, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The shortest digits that read back; where two are as near, the even one, as Python has it.
fn shortest(number: f64) -> String {
    let text = format!("{number:e}");
    let count = text.split('e').next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    let exact = format!("{number:.*e}", count.saturating_sub(1));
    if exact.parse() == Ok(number) { exact } else { text }
}

/// Digits without an exponent, and with a point.
fn plain(digits: &str, exponent: i32) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    let digits = format!("{digits:0<whole$}");
    let (whole, fraction) = digits.split_at(whole);
    format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}

/// `round(number, digits)`: to the nearest decimal, ties of the exact binary value to even.
pub(in crate::template) fn rounded(number: f64, digits: i32) -> f64 {
    if !number.is_finite() || number == 0.0 || digits > 323 {
        return number;
    }
    if digits >= 0 {
        // The exact value is written out, so that a tie is one only where it is exact; `format!` rounds ties to even.
        return format!("{number:.*}", digits as usize).parse().unwrap_or(number);
    }
    let places = digits.unsigned_abs() as usize;
    if places > 308 {
        return 0.0_f64.copysign(number);
    }
    let exact = format!("{:.0}", number.abs().trunc());
    if exact.len() < places {
        return 0.0_f64.copysign(number);
    }
    let (kept, cut) = exact.split_at(exact.len() - places);
    let half = format!("5{}", "0".repeat(places - 1));
    let has_fraction = number.fract() != 0.0;
    let is_odd = kept.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let goes_up = *cut > *half || *cut == *half && (has_fraction || is_odd);
    let zeros = "0".repeat(places);
    let kept: f64 = format!("{kept:0>1}").parse().unwrap_or(0.0);
    let kept = if goes_up { kept + 1.0 } else { kept };
    format!("{kept:.0}{zeros}").parse::<f64>().unwrap_or(0.0).copysign(number)
}
