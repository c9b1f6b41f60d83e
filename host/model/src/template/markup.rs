//! Texts that are escaped for HTML.

use super::fault::Outcome;
use super::run::Budget;
use super::value::{Value, printed};

/// As `markupsafe.escape` writes it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(letter),
        }
    }
    out
}

/// The text of a value, escaped unless it is marked up.
pub(super) fn escaped(value: &Value, budget: &Budget) -> Outcome<String> {
    let text = printed(value, budget)?;
    budget.bytes(text.len())?;
    Ok(if matches!(value, Value::Markup(_)) { text } else { escape(&text) })
}
