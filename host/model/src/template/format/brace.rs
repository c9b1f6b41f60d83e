//! `'{}'.format(value)`, as the sandbox of Jinja carries it out.

use super::ascii;
use super::spec::formatted;
use crate::template::fault::{Outcome, fail};
use crate::template::markup;
use crate::template::run::{Args, Run};
use crate::template::value::{Value, printed, represented};

/// How the fields were numbered so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbering {
    Unknown,
    Automatic(usize),
    Manual,
}

/// A format, formats in its fields, and formats in theirs, which are empty.
const DEPTH_MAX: usize = 3;

/// `format.format(args)`
pub(in crate::template) fn brace(run: &Run, format: &Value, args: Args) -> Outcome<Value> {
    let text = format.text().unwrap_or_default();
    let mut numbering = Numbering::Unknown;
    let escapes = matches!(format, Value::Markup(_));
    fill(run, text, &args, &mut numbering, DEPTH_MAX, escapes).map(|text| format.like(text))
}

fn fill(run: &Run, text: &str, args: &Args, numbering: &mut Numbering, depth: usize, escapes: bool) -> Outcome<String> {
    if depth == 0 {
        fail!("Max string recursion exceeded");
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = rest.find(['{', '}']) {
        out.push_str(&rest[..place]);
        let mark = &rest[place..=place];
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix(mark) {
            out.push_str(mark);
            rest = after;
            continue;
        }
        if mark == "}" {
            fail!("Single '}}' encountered in format string");
        }
        let (field, after) = field(rest)?;
        out.push_str(&replacement(run, field, args, numbering, depth, escapes)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands up to the closing brace, with the braces inside it.
fn field(rest: &str) -> Outcome<(&str, &str)> {
    let mut depth = 0;
    let mut is_key = false;
    for (place, letter) in rest.char_indices() {
        match letter {
            '[' => is_key = true,
            ']' => is_key = false,
            '{' if !is_key => depth += 1,
            '}' if !is_key && depth == 0 => return Ok((&rest[..place], &rest[place + 1..])),
            '}' if !is_key => depth -= 1,
            _ => {}
        }
    }
    if rest.is_empty() {
        fail!("Single '{{' encountered in format string");
    }
    fail!("expected '}}' before end of string")
}

fn replacement(
    run: &Run,
    field: &str,
    args: &Args,
    numbering: &mut Numbering,
    depth: usize,
    escapes: bool,
) -> Outcome<String> {
    let key_end = field.rfind(']').map_or(0, |place| place + 1);
    let end = field[key_end..].find(['!', ':']).map_or(field.len(), |place| key_end + place);
    let end = field.find([':', '!']).filter(|place| !field[..*place].contains('[')).unwrap_or(end);
    let (name, rest) = field.split_at(end);
    let (conversion, spec) = match rest.strip_prefix('!') {
        Some(after) => {
            let Some(conversion) = after.chars().next() else {
                fail!("end of string while looking for conversion specifier")
            };
            let after = &after[conversion.len_utf8()..];
            match after.strip_prefix(':') {
                Some(spec) => (Some(conversion), spec),
                None if after.is_empty() => (Some(conversion), ""),
                None => fail!("expected ':' after conversion specifier"),
            }
        }
        None => (None, rest.strip_prefix(':').unwrap_or_default()),
    };
    let value = named(run, name, args, numbering)?;
    let value = match conversion {
        None => value,
        Some('s') => Value::from(printed(&value, &run.budget)?),
        Some('r') => Value::from(represented(&value, &run.budget)?),
        Some('a') => Value::from(ascii(&represented(&value, &run.budget)?)),
        Some(other) => fail!("Unknown conversion specifier {other}"),
    };
    let spec = fill(run, spec, args, numbering, depth - 1, false)?;
    if escapes {
        if matches!(value, Value::Markup(_)) && !spec.is_empty() {
            fail!("Unsupported format specification for Markup.");
        }
        if !matches!(value, Value::Markup(_)) {
            return Ok(markup::escape(&formatted(run, &value, &spec)?));
        }
    }
    formatted(run, &value, &spec)
}

/// The value of `0`, `name`, `0.attribute` or `0[key]`.
fn named(run: &Run, name: &str, args: &Args, numbering: &mut Numbering) -> Outcome<Value> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let place = if first.is_empty() {
        let place = match *numbering {
            Numbering::Unknown => 0,
            Numbering::Automatic(place) => place,
            Numbering::Manual => fail!("cannot switch from manual field specification to automatic field numbering"),
        };
        *numbering = Numbering::Automatic(place + 1);
        Some(place)
    } else if let Ok(place) = first.parse::<usize>() {
        if matches!(numbering, Numbering::Automatic(_)) {
            fail!("cannot switch from automatic field numbering to manual field specification");
        }
        *numbering = Numbering::Manual;
        Some(place)
    } else {
        None
    };
    let mut value = match place {
        Some(place) => match args.positional.get(place) {
            Some(value) => value.clone(),
            None => fail!("Replacement index {place} out of range for positional args tuple"),
        },
        None => match args.named.iter().find(|(other, _)| **other == *first) {
            Some((_, value)) => value.clone(),
            None => fail!("the format names '{first}', which is not given"),
        },
    };
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 {
                fail!("Empty attribute in format string");
            }
            value = run.attribute(&value, &after[..end].into())?;
            rest = &after[end..];
            continue;
        }
        let Some((key, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            fail!("Missing ']' in format string");
        };
        let key = key.parse().map_or_else(|_| Value::from(key), Value::Integer);
        value = run.item(&value, &key)?;
        rest = after;
    }
    Ok(value)
}
