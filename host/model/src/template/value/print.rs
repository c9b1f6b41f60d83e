//! `str` and `repr`.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{Value, View, float_text, items};
use crate::template::fault::{Outcome, fail};
use crate::template::literal::backslashed;
use crate::template::run::Budget;

/// `str(value)`
pub(in crate::template) fn printed(value: &Value, budget: &Budget) -> Outcome<String> {
    if let Value::Text(text) | Value::Markup(text) = value {
        budget.bytes(text.len())?;
        return Ok(text.to_string());
    }
    let mut out = String::new();
    if !matches!(value, Value::Undefined(_)) {
        represent(value, budget, &mut out)?;
    }
    Ok(out)
}

/// `repr(value)`
pub(in crate::template) fn represented(value: &Value, budget: &Budget) -> Outcome<String> {
    let mut out = String::new();
    represent(value, budget, &mut out)?;
    Ok(out)
}

fn represent(value: &Value, budget: &Budget, out: &mut String) -> Outcome<()> {
    budget.step()?;
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Text(text) => {
            budget.bytes(text.len())?;
            out.push_str(&quoted(text));
        }
        Value::Markup(text) => {
            budget.bytes(text.len())?;
            out.extend(["Markup(", &quoted(text), ")"]);
        }
        Value::List(list) => several("[", list, "]", budget, out)?,
        Value::Tuple(tuple) if tuple.items.len() == 1 => several("(", &tuple.items, ",)", budget, out)?,
        Value::Tuple(tuple) => several("(", &tuple.items, ")", budget, out)?,
        Value::Dict(dict) => pairs(dict.entries(), budget, out)?,
        Value::View(view, _) => {
            let name = match view {
                View::Keys => "dict_keys([",
                View::Values => "dict_values([",
                View::Items => "dict_items([",
            };
            several(name, &items(value, budget)?, "])", budget, out)?;
        }
        Value::Range(range) => {
            let step = if range.step == 1 { String::new() } else { format!(", {}", range.step) };
            let text = format!("range({}, {}{step})", range.start, range.stop);
            out.push_str(&text);
        }
        Value::Namespace(dict) => {
            out.push_str("<Namespace ");
            pairs(dict.borrow().entries(), budget, out)?;
            out.push('>');
        }
        Value::Loop(state) => {
            let text = format!("<LoopContext {}/{}>", state.index(), state.known_length()?);
            out.push_str(&text);
        }
        Value::Template => out.push_str("<TemplateReference None>"),
        Value::Callable(callable) => match callable.printed() {
            Some(text) => out.push_str(&text),
            None => fail!("a {} has no text: Python prints its address", value.type_name()),
        },
        Value::Iterator(_) | Value::Cycler(_) => {
            fail!("a {} has no text: Python prints its address; use the filter list first", value.type_name())
        }
    }
    Ok(())
}

fn several(open: &str, values: &[Value], close: &str, budget: &Budget, out: &mut String) -> Outcome<()> {
    out.push_str(open);
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        represent(value, budget, out)?;
    }
    out.push_str(close);
    Ok(())
}

fn pairs(entries: &[(Value, Value)], budget: &Budget, out: &mut String) -> Outcome<()> {
    out.push('{');
    for (place, (key, value)) in entries.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        represent(key, budget, out)?;
        out.push_str(": ");
        represent(value, budget, out)?;
    }
    out.push('}');
    Ok(())
}

/// What `str.isprintable` holds for printable.
pub(in crate::template) fn is_printable(letter: char) -> bool {
    letter == ' '
        || !matches!(
            letter.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::Surrogate
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::SpaceSeparator
        )
}

/// `repr` of a text.
pub(in crate::template) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => out.extend(['\\', quote]),
            _ if is_printable(letter) => out.push(letter),
            _ => out.push_str(&backslashed(letter)),
        }
    }
    out.push(quote);
    out
}
