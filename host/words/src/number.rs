//! Numbers as people read them. Programs get all digits: see `render`.

use std::time::Duration;

/// Gaps and distances below this are what is left of rounding in f64: nothing is told, or ranked, by them.
pub const ROUNDING_FLOOR: f64 = 1e-15;

/// About four significant digits; scientific where zeros would hide the number.
///
/// Whole numbers stay whole (up to 10¹⁵). Non-finite values have the names that JSON and CSV use.
pub fn number(value: f64) -> String {
    if let Some(name) = non_finite_name(value) {
        return name.to_owned();
    }
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.fract() == 0.0 && size < 1e15 {
        return format!("{value:.0}");
    }
    if !(1e-3..1e5).contains(&size) {
        return trimmed_scientific(value);
    }
    let digits_before_point = size.log10().floor() as i32 + 1;
    let decimals = (4 - digits_before_point).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `1.50e-7` → `1.5e-7`.
fn trimmed_scientific(value: f64) -> String {
    let text = format!("{value:.3e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// `NaN`, `Infinity`, `-Infinity`: as JSON and CSV name what they have no number for.
pub fn non_finite_name(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("Infinity")
    } else if value == f64::NEG_INFINITY {
        Some("-Infinity")
    } else {
        None
    }
}

/// The half-width of an interval: two digits are all that it means.
pub fn half_width(value: f64) -> String {
    if non_finite_name(value).is_some() || value == 0.0 {
        return number(value);
    }
    let magnitude = value.abs().log10().floor() as i32;
    let unit = 10_f64.powi(magnitude - 1);
    number((value / unit).round() * unit)
}

/// A share and its interval, which is seldom even around it: `0.906 [0.671, 0.979]`.
pub fn share(share: f64, (low, high): (f64, f64)) -> String {
    format!("{share:.3} [{low:.3}, {high:.3}]")
}

/// A length of time in at most two units: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 7 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{} s", number((seconds * 10.0).round() / 10.0)),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits_that_matter() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2.0, "2"),
            (123_456.0, "123456"),
            (0.5, "0.5"),
            (0.123_456, "0.1235"),
            (0.012_345_6, "0.01235"),
            (0.001_234_5, "0.001234"),
            (-12.345_6, "-12.35"),
            (99_999.5, "100000"),
            (1.5e-7, "1.5e-7"),
            (1.0e-12, "1e-12"),
            (1_048_576.0, "1048576"),
            (1.234_56e9 + 0.5, "1.235e9"),
            (1e18, "1e18"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(number(value), expected, "{value:e}");
        }
    }

    #[test]
    fn durations_use_two_units_at_most() {
        for (milliseconds, expected) in [
            (0, "0 s"),
            (440, "0.4 s"),
            (9_960, "10 s"),
            (59_400, "59 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (370_800_000, "4 d 7 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }
}
