//! `strftime_now`: a run must not depend on the day it is made.

use super::fault::{Outcome, fail};

/// What a template inserts as today's date. It is the date that Llama 3's own template falls back to.
pub const FIXED_DATE: &str = "26 Jul 2024";

/// Fields of that date, as `strftime` names them.
const DATE_FIELDS: [(&str, &str); 22] = [
    ("d", "26"),
    ("-d", "26"),
    ("e", "26"),
    ("b", "Jul"),
    ("h", "Jul"),
    ("B", "July"),
    ("m", "07"),
    ("-m", "7"),
    ("y", "24"),
    ("Y", "2024"),
    ("A", "Friday"),
    ("a", "Fri"),
    ("j", "208"),
    ("u", "5"),
    ("w", "5"),
    ("F", "2024-07-26"),
    ("D", "07/26/24"),
    ("x", "07/26/24"),
    ("U", "29"),
    ("W", "30"),
    ("V", "30"),
    ("%", "%"),
];

/// The fixed date in this format.
pub(super) fn fixed_date(format: &str) -> Outcome<String> {
    let mut text = String::new();
    let mut rest = format;
    while let Some(place) = rest.find('%') {
        text.push_str(&rest[..place]);
        rest = &rest[place + 1..];
        let Some((field, value)) = DATE_FIELDS.iter().find(|(field, _)| rest.starts_with(field)) else {
            let field: String = rest.chars().take(if rest.starts_with('-') { 2 } else { 1 }).collect();
            fail!("strftime_now(\"{format}\") asks for %{field}; the date is always {FIXED_DATE}, without a time");
        };
        text.push_str(value);
        rest = &rest[field.len()..];
    }
    text.push_str(rest);
    Ok(text)
}
