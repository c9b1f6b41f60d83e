//! What a method or a filter is given, as the type that it takes.

use crate::template::fault::{Fault, Outcome, fail};
use crate::template::value::Value;

/// An argument that must be a text.
pub(in crate::template) fn text_of<'a>(value: &'a Value, function: &str) -> Outcome<&'a str> {
    value.text().ok_or_else(|| Fault::new(format!("{function}() takes a text, not {}", value.type_name())))
}

/// An argument that must be an integer.
pub(in crate::template) fn integer_of(value: &Value, function: &str) -> Outcome<i128> {
    match value.integer() {
        Some(number) => Ok(number),
        None => fail!("{function}(): '{}' object cannot be interpreted as an integer", value.type_name()),
    }
}

/// An argument that may be left out.
pub(in crate::template) fn integer_or(value: Option<Value>, default: i128, function: &str) -> Outcome<i128> {
    value.map_or(Ok(default), |value| integer_of(&value, function))
}
