//! The methods of `str`.

use super::arguments::{integer_of, integer_or, text_of};
use super::case;
use super::split::{From, lines, split};
use crate::template::fault::{Outcome, fail};
use crate::template::literal::is_space;
use crate::template::run::{Args, Run};
use crate::template::value::{Value, items, printed};
use crate::template::{format, markup};

/// `text.name(args)`; what it makes is marked up where the receiver is.
pub(super) fn call(run: &Run, receiver: &Value, text: &str, name: &str, args: Args) -> Outcome<Value> {
    if let Some(found) = case::consists_of(name, text) {
        args.bind::<0>(name, [], 0)?;
        return Ok(found.into());
    }
    let changed = match name {
        "upper" => Some(text.to_uppercase()),
        "lower" => Some(text.to_lowercase()),
        "title" => Some(case::title(text)),
        "capitalize" => Some(case::capitalized(text)),
        "swapcase" => Some(case::swapped(text)),
        "casefold" if text.is_ascii() => Some(text.to_lowercase()),
        "casefold" => fail!("casefold() of a text that is not ASCII is not supported; use lower()"),
        _ => None,
    };
    if let Some(changed) = changed {
        args.bind::<0>(name, [], 0)?;
        return Ok(receiver.like(changed));
    }
    match name {
        "strip" | "lstrip" | "rstrip" => {
            let [letters] = args.bind(name, ["chars"], 0)?;
            stripped(text, letters.as_ref(), name).map(|text| receiver.like(text.to_owned()))
        }
        "split" | "rsplit" => split_call(run, receiver, text, name, args),
        "splitlines" => {
            let [keeps] = args.bind(name, ["keepends"], 0)?;
            let keeps = integer_or(keeps, 0, name)? != 0;
            let line =
                |(line, end): (&str, &str)| receiver.like(if keeps { [line, end].concat() } else { line.to_owned() });
            Ok(Value::list(lines(text, &run.budget)?.into_iter().map(line).collect()))
        }
        "partition" | "rpartition" => partition(receiver, text, name, args),
        "startswith" | "endswith" => edge(text, name, args),
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, name, args),
        "replace" => replace_call(run, receiver, text, args),
        "removeprefix" | "removesuffix" => remove_affix(receiver, text, name, args),
        "join" => {
            let [values] = args.bind(name, ["iterable"], 1)?;
            join(run, receiver, text, &values.unwrap_or(Value::None))
        }
        "center" | "ljust" | "rjust" | "zfill" | "expandtabs" => pad(run, receiver, text, name, args),
        "format" => format::brace(run, receiver, args),
        "format_map" => {
            let [mapping] = args.bind(name, ["mapping"], 1)?;
            let Some(Value::Dict(dict)) = &mapping else { fail!("format_map() takes a dict") };
            let named =
                dict.entries().iter().filter_map(|(key, value)| Some((key.text()?.into(), value.clone()))).collect();
            format::brace(run, receiver, Args { positional: Vec::new(), named })
        }
        "striptags" => {
            args.bind::<0>(name, [], 0)?;
            markup::strip_tags(text).map(Value::from)
        }
        _ => fail!("the method '{name}' of a text is not supported"),
    }
}

/// `strip`, `lstrip` and `rstrip`: of spaces, or of these letters.
pub(in crate::template) fn stripped<'a>(text: &'a str, letters: Option<&Value>, how: &str) -> Outcome<&'a str> {
    let letters = match letters {
        None | Some(Value::None) => None,
        Some(value) => Some(text_of(value, how)?),
    };
    let is_cut = |letter: char| letters.map_or_else(|| is_space(letter), |letters| letters.contains(letter));
    let text = if how == "rstrip" { text } else { text.trim_start_matches(is_cut) };
    Ok(if how == "lstrip" { text } else { text.trim_end_matches(is_cut) })
}

fn split_call(run: &Run, receiver: &Value, text: &str, name: &str, args: Args) -> Outcome<Value> {
    let [separator, most] = args.bind(name, ["sep", "maxsplit"], 0)?;
    let separator = match &separator {
        None | Some(Value::None) => None,
        Some(value) => Some(text_of(value, name)?),
    };
    let most = usize::try_from(integer_or(most, -1, name)?).ok();
    let from = if name == "split" { From::Start } else { From::End };
    let parts = match separator.filter(|separator| !separator.is_empty()) {
        Some(separator) => text.matches(separator).count(),
        None => text.matches(is_space).count(),
    };
    // A part takes the room of some values, however short it is.
    run.budget.values(parts.min(most.unwrap_or(usize::MAX)))?;
    let parts = split(text, separator, most, from)?;
    Ok(Value::list(parts.into_iter().map(|part| receiver.like(part.to_owned())).collect()))
}

fn partition(receiver: &Value, text: &str, name: &str, args: Args) -> Outcome<Value> {
    let [separator] = args.bind(name, ["sep"], 1)?;
    let separator = separator.unwrap_or(Value::None);
    let separator = text_of(&separator, name)?;
    if separator.is_empty() {
        fail!("empty separator");
    }
    let found = if name == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if name == "partition" => [text, "", ""],
        None => ["", "", text],
    };
    Ok(Value::tuple(parts.into_iter().map(|part| receiver.like(part.to_owned())).collect()))
}

/// The part of a text between two places, counted in characters, and the first of them; none where it begins beyond the end.
fn window<'a>(
    text: &'a str,
    start: Option<Value>,
    stop: Option<Value>,
    name: &str,
) -> Outcome<Option<(usize, &'a str)>> {
    let length = text.chars().count() as i128;
    let bound = |value: Option<Value>, default: i128| -> Outcome<i128> {
        match value {
            None | Some(Value::None) => Ok(default),
            Some(value) => {
                let place = integer_of(&value, name)?;
                Ok(if place < 0 { place.saturating_add(length).max(0) } else { place })
            }
        }
    };
    let (start, stop) = (bound(start, 0)?, bound(stop, length)?.min(length));
    if start > length || start > stop {
        return Ok(None);
    }
    let byte = |place: i128| text.char_indices().nth(place as usize).map_or(text.len(), |(byte, _)| byte);
    Ok(Some((start as usize, &text[byte(start)..byte(stop)])))
}

fn edge(text: &str, name: &str, args: Args) -> Outcome<Value> {
    let [part, start, stop] = args.bind(name, ["prefix", "start", "end"], 1)?;
    let part = part.unwrap_or(Value::None);
    let parts = match &part {
        Value::Tuple(tuple) => &tuple.items[..],
        one => std::slice::from_ref(one),
    };
    let Some((_, text)) = window(text, start, stop, name)? else {
        for part in parts {
            text_of(part, name)?;
        }
        return Ok(false.into());
    };
    for part in parts {
        let part = text_of(part, name)?;
        if if name == "startswith" { text.starts_with(part) } else { text.ends_with(part) } {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn search(text: &str, name: &str, args: Args) -> Outcome<Value> {
    let [part, start, stop] = args.bind(name, ["sub", "start", "end"], 1)?;
    let part = part.unwrap_or(Value::None);
    let part = text_of(&part, name)?;
    let window = window(text, start, stop, name)?;
    if name == "count" {
        return Ok(window.map_or(0, |(_, text)| text.matches(part).count()).into());
    }
    let found = window.and_then(|(first, text)| {
        let byte = if name.starts_with('r') { text.rfind(part) } else { text.find(part) }?;
        Some(first + text[..byte].chars().count())
    });
    match found {
        Some(place) => Ok(place.into()),
        None if name.ends_with("find") => Ok(Value::Integer(-1)),
        None => fail!("substring not found"),
    }
}

/// `text.replace(old, new, count)`; a negative count replaces all.
pub(in crate::template) fn replaced(run: &Run, text: &str, old: &str, new: &str, count: i128) -> Outcome<String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    run.budget.bytes(text.len().saturating_add(new.len().saturating_mul(found.min(most))))?;
    Ok(text.replacen(old, new, most))
}

fn join(run: &Run, receiver: &Value, separator: &str, values: &Value) -> Outcome<Value> {
    let mut out = String::new();
    for (place, value) in items(values, &run.budget)?.iter().enumerate() {
        if place > 0 {
            run.budget.bytes(separator.len())?;
            out.push_str(separator);
        }
        if matches!(receiver, Value::Markup(_)) {
            out.push_str(&markup::escaped(value, &run.budget)?);
            continue;
        }
        match value.text() {
            Some(_) => out.push_str(&printed(value, &run.budget)?),
            None => fail!("sequence item {place}: expected str instance, {} found", value.type_name()),
        }
    }
    Ok(receiver.like(out))
}

/// Where a text stands in its width.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::template) enum Side {
    Left,
    Right,
    Center,
}

/// A text in a width.
pub(in crate::template) fn justified(run: &Run, text: &str, width: i128, fill: char, side: Side) -> Outcome<String> {
    let width = usize::try_from(width).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    run.budget.bytes(text.len().saturating_add(missing.saturating_mul(4)))?;
    let before = match side {
        Side::Left => 0,
        Side::Right => missing,
        // As CPython rounds it.
        Side::Center => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| fill.to_string().repeat(count);
    Ok([&fill(before), text, &fill(missing - before)].concat())
}

fn pad(run: &Run, receiver: &Value, text: &str, name: &str, args: Args) -> Outcome<Value> {
    if name == "expandtabs" {
        let [size] = args.bind(name, ["tabsize"], 0)?;
        return expand_tabs(run, text, integer_or(size, 8, name)?).map(|text| receiver.like(text));
    }
    if name == "zfill" {
        let [width] = args.bind(name, ["width"], 1)?;
        let width = integer_or(width, 0, name)?;
        let (sign, digits) = match text.strip_prefix(['+', '-']) {
            Some(digits) => (&text[..1], digits),
            None => ("", text),
        };
        let filled = justified(run, digits, width.saturating_sub(sign.len() as i128), '0', Side::Right)?;
        return Ok(receiver.like(sign.to_owned() + &filled));
    }
    let [width, fill] = args.bind(name, ["width", "fillchar"], 1)?;
    let width = integer_or(width, 0, name)?;
    let fill = match &fill {
        None => ' ',
        Some(value) => {
            let mut letters = text_of(value, name)?.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => letter,
                _ => fail!("the fill character must be exactly one character long"),
            }
        }
    };
    let side = match name {
        "ljust" => Side::Left,
        "rjust" => Side::Right,
        _ => Side::Center,
    };
    justified(run, text, width, fill, side).map(|text| receiver.like(text))
}

fn expand_tabs(run: &Run, text: &str, size: i128) -> Outcome<String> {
    let size = usize::try_from(size).unwrap_or(0);
    let mut out = String::new();
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' if size > 0 => {
                let missing = size - column % size;
                run.budget.bytes(missing)?;
                out.push_str(&" ".repeat(missing));
                column += missing;
            }
            '\t' => {}
            _ => {
                out.push(letter);
                column = if matches!(letter, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    Ok(out)
}

fn replace_call(run: &Run, receiver: &Value, text: &str, args: Args) -> Outcome<Value> {
    let name = "replace";
    let [old, new, count] = args.bind(name, ["old", "new", "count"], 2)?;
    let (old, new) = (old.unwrap_or(Value::None), new.unwrap_or(Value::None));
    let count = integer_or(count, -1, name)?;
    let new = if matches!(receiver, Value::Markup(_)) {
        markup::escaped(&new, &run.budget)?
    } else {
        text_of(&new, name)?.to_owned()
    };
    replaced(run, text, text_of(&old, name)?, &new, count).map(|text| receiver.like(text))
}

fn remove_affix(receiver: &Value, text: &str, name: &str, args: Args) -> Outcome<Value> {
    let [part] = args.bind(name, ["affix"], 1)?;
    let part = part.unwrap_or(Value::None);
    let part = text_of(&part, name)?;
    let rest = if name == "removeprefix" { text.strip_prefix(part) } else { text.strip_suffix(part) };
    Ok(receiver.like(rest.unwrap_or(text).to_owned()))
}
