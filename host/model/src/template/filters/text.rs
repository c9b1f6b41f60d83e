//! Filters on texts.

use std::rc::Rc;

use crate::template::fault::{Outcome, fail};
use crate::template::format;
use crate::template::markup::{escape, escaped, strip_tags};
use crate::template::methods::{Side, case, integer_or, justified, lines, replaced, stripped, text_of};
use crate::template::run::{Args, Run};
use crate::template::value::{Dict, Value, items, printed};

/// `value | name(args)`
pub(super) fn apply(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<Value> {
    match name {
        "format" => return format_filter(run, value, args),
        "indent" => return indent(run, value, args),
        "truncate" => return truncate(run, value, args),
        "xmlattr" => return xml_attributes(run, value, args),
        "urlencode" => {
            args.bind::<0>(name, [], 0)?;
            return url_encode(run, value);
        }
        _ => {}
    }
    let text = printed(value, &run.budget)?;
    match name {
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"], 2)?;
            let old = printed(&old.unwrap_or(Value::None), &run.budget)?;
            let new = printed(&new.unwrap_or(Value::None), &run.budget)?;
            let count = integer_or(count.filter(|count| !matches!(count, Value::None)), -1, name)?;
            return replaced(run, &text, &old, &new, count).map(Value::from);
        }
        "trim" => {
            let [letters] = args.bind(name, ["chars"], 0)?;
            return stripped(&text, letters.as_ref(), "strip").map(|text| value.like(text.to_owned()));
        }
        "center" => {
            let [width] = args.bind(name, ["width"], 0)?;
            return justified(run, &text, integer_or(width, 80, name)?, ' ', Side::Center).map(|text| value.like(text));
        }
        _ => {}
    }
    args.bind::<0>(name, [], 0)?;
    run.budget.bytes(text.len())?;
    Ok(match name {
        "upper" => value.like(text.to_uppercase()),
        "lower" => value.like(text.to_lowercase()),
        "capitalize" => value.like(case::capitalized(&text)),
        "title" => Value::from(title(&text)),
        "string" => value.like(text),
        "wordcount" => text.split(|letter| !case::is_word(letter)).filter(|word| !word.is_empty()).count().into(),
        "escape" | "e" => Value::Markup(escaped(value, &run.budget)?.into()),
        "forceescape" => Value::Markup(escape(&text).into()),
        "safe" => Value::Markup(text.into()),
        "striptags" => Value::from(strip_tags(&text)?),
        _ => fail!("the filter '{name}' is not supported"),
    })
}

/// Jinja's own title case: a letter that begins the text or follows a space, `-`, or an opening bracket.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let is_boundary =
        |letter: char| matches!(letter, '-' | '(' | '{' | '[' | '<') || crate::template::literal::is_space(letter);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = !is_boundary(first);
        let end = rest.find(|letter| is_boundary(letter) == is_word).unwrap_or(rest.len());
        let (item, after) = rest.split_at(end);
        let (head, tail) = item.split_at(first.len_utf8());
        out.push_str(&head.to_uppercase());
        out.push_str(&tail.to_lowercase());
        rest = after;
    }
    out
}

fn format_filter(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    if !args.positional.is_empty() && !args.named.is_empty() {
        fail!("can't handle positional and keyword arguments at the same time");
    }
    let given = if args.named.is_empty() {
        Value::tuple(args.positional)
    } else {
        let mut dict = Dict::default();
        for (name, value) in args.named {
            dict.push(&name, value);
        }
        Value::Dict(Rc::new(dict))
    };
    let format = if value.text().is_some() { value.clone() } else { Value::from(printed(value, &run.budget)?) };
    format::percent(&format, &given, &run.budget)
}

fn indent(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"], 0)?;
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let width = width.unwrap_or(Value::Integer(4));
    value.check_defined()?;
    let text = text_of(value, "indent")?;
    let indention = if let Some(text) = width.text() {
        text.to_owned()
    } else {
        let width = usize::try_from(integer_or(Some(width), 4, "indent")?).unwrap_or(0);
        run.budget.bytes(width)?;
        " ".repeat(width)
    };
    let text = text.to_owned() + "\n";
    let lines = lines(&text, &run.budget)?;
    run.budget.bytes(text.len().saturating_add(lines.len().saturating_mul(indention.len())))?;
    let blank = is_true(blank);
    let mut out = if is_true(first) { indention.clone() } else { String::new() };
    for (place, (line, _)) in lines.iter().enumerate() {
        if place > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    Ok(value.like(out))
}

fn truncate(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [length, kill_words, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"], 0)?;
    let characters = crate::template::value::length(value, &run.budget)? as i128;
    let length = integer_or(length, 255, "truncate")?;
    let end = end.unwrap_or_else(|| Value::from("..."));
    let end = text_of(&end, "truncate")?;
    let end_length = end.chars().count() as i128;
    let leeway = integer_or(leeway.filter(|leeway| !matches!(leeway, Value::None)), 5, "truncate")?;
    if length < end_length {
        fail!("expected length >= {end_length}, got {length}");
    }
    if leeway < 0 {
        fail!("expected leeway >= 0, got {leeway}");
    }
    if characters <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let text = text_of(value, "truncate")?;
    let kept: String = text.chars().take((length - end_length) as usize).collect();
    let kept = if kill_words.is_some_and(|flag| flag.is_true()) {
        &kept[..]
    } else {
        kept.rsplit_once(' ').map_or(&kept[..], |(before, _)| before)
    };
    Ok(value.like(kept.to_owned() + end))
}

fn xml_attributes(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [space] = args.bind("xmlattr", ["autospace"], 0)?;
    value.check_defined()?;
    let Value::Dict(dict) = value else { fail!("'{}' object has no attribute 'items'", value.type_name()) };
    let mut out = Vec::new();
    for (key, value) in dict.entries() {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let name = text_of(key, "xmlattr")?;
        if name.contains(|letter: char| letter.is_ascii_whitespace() || matches!(letter, '/' | '>' | '=' | '\x0b')) {
            fail!("Invalid character in attribute name: {}", crate::template::value::quoted(name));
        }
        out.push(format!("{}=\"{}\"", escaped(key, &run.budget)?, escaped(value, &run.budget)?));
    }
    let text = out.join(" ");
    let has_space = space.is_none_or(|flag| flag.is_true()) && !text.is_empty();
    Ok(Value::from(if has_space { format!(" {text}") } else { text }))
}

fn quote(text: &str, safe: &str) -> String {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.as_bytes().contains(&byte);
    let quoted = |byte: u8| if is_kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(quoted).collect()
}

fn url_encode(run: &Run, value: &Value) -> Outcome<Value> {
    let is_pairs = !matches!(
        value,
        Value::Text(_) | Value::Markup(_) | Value::None | Value::Bool(_) | Value::Integer(_) | Value::Float(_)
    );
    if !is_pairs {
        return Ok(Value::from(quote(&printed(value, &run.budget)?, "/")));
    }
    let pairs = match value {
        Value::Dict(dict) => items(&Value::View(crate::template::value::View::Items, dict.clone()), &run.budget)?,
        _ => items(value, &run.budget)?,
    };
    let mut out = Vec::new();
    for pair in pairs {
        let pair = items(&pair, &run.budget)?;
        let [key, value] = &pair[..] else { fail!("urlencode takes pairs, but got {} value(s)", pair.len()) };
        let part = |value: &Value| printed(value, &run.budget).map(|text| quote(&text, "").replace("%20", "+"));
        out.push(format!("{}={}", part(key)?, part(value)?));
    }
    Ok(Value::from(out.join("&")))
}
