//! Texts that are escaped for HTML.

use super::fault::{Outcome, fail};
use super::methods::words;
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

/// Without tags and comments, with single spaces, and without what escapes the five letters of HTML.
pub(super) fn strip_tags(text: &str) -> Outcome<String> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let is_comment = rest[start..].starts_with("<!--");
        let end = if is_comment {
            rest.get(start + 4..).and_then(|rest| rest.find("-->")).map(|place| start + 4 + place + 3)
        } else {
            rest[start..].find('>').map(|place| start + place + 1)
        };
        let Some(end) = end else { break };
        kept.push_str(&rest[..start]);
        rest = &rest[end..];
    }
    kept.push_str(rest);
    let mut out = words(&kept).join(" ");
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\"")];
    let others = known.iter().fold(out.replace("&amp;", ""), |text, (name, _)| text.replace(name, ""));
    if others.contains('&') {
        fail!("striptags of a text with other entities than &amp;, &lt;, &gt;, &#39; and &#34; is not supported");
    }
    for (name, letter) in known {
        out = out.replace(name, letter);
    }
    Ok(out.replace("&amp;", "&"))
}
