//! `tojson`, as transformers defines it: Python's `json.dumps` without escapes for HTML.

use super::fault::{Fault, Outcome, fail};
use super::run::{Args, Budget};
use super::value::{Value, float_text, printed};

/// How values are written.
struct Style {
    only_ascii: bool,
    /// What one level adds to the beginning of a line.
    indent: Option<String>,
    comma: String,
    colon: String,
    sorts: bool,
}

/// `tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`
pub(super) fn to_json(value: &Value, args: Args, budget: &Budget) -> Outcome<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [only_ascii, indent, separators, sorts] = args.bind("tojson", names, 0)?;
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(value) => match (value.text(), value.integer()) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Some(width)) => {
                let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
                budget.bytes(width)?;
                Some(" ".repeat(width))
            }
            _ => fail!("tojson's indent is a {}; it must be an integer or a text", value.type_name()),
        },
    };
    let (comma, colon) = match separators {
        None | Some(Value::None) => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(pair) => match &super::value::items(&pair, budget)?[..] {
            [comma, colon] => match (comma.text(), colon.text()) {
                (Some(comma), Some(colon)) => (comma.to_owned(), colon.to_owned()),
                _ => fail!("tojson's separators must be two texts"),
            },
            _ => fail!("tojson's separators must be two texts"),
        },
    };
    let style = Style { only_ascii: is_true(only_ascii), indent, comma, colon, sorts: is_true(sorts) };
    let mut out = String::new();
    write(value, &style, 0, budget, &mut out)?;
    Ok(Value::from(out))
}

fn line(style: &Style, level: usize, budget: &Budget, out: &mut String) -> Outcome<()> {
    if let Some(indent) = &style.indent {
        budget.bytes(indent.len().saturating_mul(level))?;
        out.push('\n');
        out.push_str(&indent.repeat(level));
    }
    Ok(())
}

fn write(value: &Value, style: &Style, level: usize, budget: &Budget, out: &mut String) -> Outcome<()> {
    budget.step()?;
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float(*value)),
        Value::Text(text) | Value::Markup(text) => {
            budget.bytes(text.len())?;
            string(text, style.only_ascii, out);
        }
        Value::List(values) => several(values, style, level, budget, out)?,
        Value::Tuple(tuple) => several(&tuple.items, style, level, budget, out)?,
        Value::Dict(dict) => {
            let mut entries: Vec<&(Value, Value)> = dict.entries().iter().collect();
            if entries.is_empty() {
                out.push_str("{}");
                return Ok(());
            }
            if style.sorts {
                entries = sorted(entries, budget)?;
            }
            out.push('{');
            for (place, (key, value)) in entries.into_iter().enumerate() {
                if place > 0 {
                    out.push_str(&style.comma);
                }
                line(style, level + 1, budget, out)?;
                let key = match key {
                    Value::None => "null".to_owned(),
                    Value::Bool(value) => value.to_string(),
                    Value::Float(value) => float(*value),
                    Value::Integer(_) | Value::Text(_) | Value::Markup(_) => printed(key, budget)?,
                    _ => fail!("keys must be str, int, float, bool or None, not {}", key.type_name()),
                };
                string(&key, style.only_ascii, out);
                out.push_str(&style.colon);
                write(value, style, level + 1, budget, out)?;
            }
            line(style, level, budget, out)?;
            out.push('}');
        }
        _ => return Err(Fault::new(format!("Object of type {} is not JSON serializable", value.type_name()))),
    }
    Ok(())
}

/// Infinity and NaN as Python writes them.
fn float(number: f64) -> String {
    match float_text(number).as_str() {
        "nan" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        text => text.to_owned(),
    }
}

fn several(values: &[Value], style: &Style, level: usize, budget: &Budget, out: &mut String) -> Outcome<()> {
    if values.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    out.push('[');
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push_str(&style.comma);
        }
        line(style, level + 1, budget, out)?;
        write(value, style, level + 1, budget, out)?;
    }
    line(style, level, budget, out)?;
    out.push(']');
    Ok(())
}

fn sorted<'a>(entries: Vec<&'a (Value, Value)>, budget: &Budget) -> Outcome<Vec<&'a (Value, Value)>> {
    let keys: Vec<Value> = entries.iter().map(|(key, _)| key.clone()).collect();
    super::filters::order(&keys, budget).map(|places| places.into_iter().map(|place| entries[place]).collect())
}

fn string(text: &str, only_ascii: bool, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0c' => out.push_str("\\f"),
            '\x08' => out.push_str("\\b"),
            // DEL is escaped only where all that is not printable ASCII is.
            _ if letter < ' ' || only_ascii && !(' '..='~').contains(&letter) => {
                out.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}
