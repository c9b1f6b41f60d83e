//! The methods and attributes of Python's values.

mod arguments;
pub(super) mod case;
mod container;
mod split;
mod text;

use super::fault::Outcome;
use super::run::{Args, Run};
use super::value::{Value, View};

pub(super) use self::text::{Side, justified, replaced, stripped};
pub(super) use arguments::{integer_of, integer_or, text_of};
pub(super) use split::{lines, words};

/// What a type has under a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Method,
    /// Jinja's sandbox hides it.
    Mutating,
    /// Python has it, we do not.
    Unsupported,
    Nothing,
}

const TEXT: [&str; 43] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
];
const LIST_MUTATING: [&str; 8] = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
const DICT_MUTATING: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// What Python has under this name.
pub(super) fn known(value: &Value, name: &str) -> Known {
    if name.starts_with("__") {
        return if value_has_dunder(name) { Known::Mutating } else { Known::Nothing };
    }
    let (methods, mutating, unsupported): (&[&str], &[&str], &[&str]) = match value {
        Value::Text(_) if name == "zfill" => return Known::Method,
        Value::Markup(_) if name == "zfill" || name == "striptags" => return Known::Method,
        Value::Text(_) => (&TEXT, &[], &["encode", "maketrans", "translate"]),
        Value::Markup(_) => (&TEXT, &[], &["encode", "maketrans", "translate", "unescape", "escape"]),
        Value::List(_) => (&["index", "count", "copy"], &LIST_MUTATING, &[]),
        Value::Tuple(_) | Value::Range(_) => (&["index", "count"], &[], &[]),
        Value::Dict(_) => (&["keys", "values", "items", "get", "copy"], &DICT_MUTATING, &["fromkeys"]),
        Value::View(View::Keys | View::Items, _) => (&[], &[], &["isdisjoint", "mapping"]),
        Value::View(View::Values, _) => (&[], &[], &["mapping"]),
        Value::Bool(_) | Value::Integer(_) => {
            (&["bit_length", "conjugate"], &[], &["as_integer_ratio", "bit_count", "to_bytes", "from_bytes"])
        }
        Value::Float(_) => (&["is_integer", "conjugate"], &[], &["as_integer_ratio", "fromhex", "hex"]),
        Value::Loop(_) => (&["cycle", "changed"], &[], &[]),
        Value::Cycler(_) => (&["next", "reset"], &[], &[]),
        Value::Iterator(_) => (&[], &[], &["send", "throw", "close"]),
        Value::Callable(_) => (&[], &[], &["fromkeys", "explicit_caller"]),
        _ => (&[], &[], &[]),
    };
    if methods.contains(&name) {
        Known::Method
    } else if mutating.contains(&name) {
        Known::Mutating
    } else if unsupported.contains(&name) {
        Known::Unsupported
    } else {
        Known::Nothing
    }
}

/// The names that every object of Python has; the sandbox hides them like what changes a value.
fn value_has_dunder(name: &str) -> bool {
    matches!(
        name,
        "__class__"
            | "__doc__"
            | "__dir__"
            | "__eq__"
            | "__format__"
            | "__ge__"
            | "__getattribute__"
            | "__gt__"
            | "__hash__"
            | "__init__"
            | "__init_subclass__"
            | "__le__"
            | "__lt__"
            | "__ne__"
            | "__new__"
            | "__reduce__"
            | "__reduce_ex__"
            | "__repr__"
            | "__setattr__"
            | "__delattr__"
            | "__sizeof__"
            | "__str__"
            | "__subclasshook__"
            | "__len__"
            | "__getitem__"
            | "__iter__"
            | "__contains__"
            | "__add__"
            | "__mul__"
            | "__dict__"
            | "__module__"
    )
}

/// An attribute that is no method.
pub(super) fn attribute(value: &Value, name: &str) -> Option<Value> {
    Some(match (value, name) {
        (Value::Tuple(tuple), "grouper") if tuple.is_group => tuple.items[0].clone(),
        (Value::Tuple(tuple), "list") if tuple.is_group => tuple.items[1].clone(),
        (Value::Bool(_) | Value::Integer(_), "real" | "numerator") => Value::Integer(value.integer()?),
        (Value::Bool(_) | Value::Integer(_), "imag") => Value::Integer(0),
        (Value::Bool(_) | Value::Integer(_), "denominator") => Value::Integer(1),
        (Value::Float(number), "real") => Value::Float(*number),
        (Value::Float(_), "imag") => Value::Float(0.0),
        (Value::Range(range), "start") => Value::Integer(range.start),
        (Value::Range(range), "stop") => Value::Integer(range.stop),
        (Value::Range(range), "step") => Value::Integer(range.step),
        (Value::Cycler(cycler), "current") => cycler.items[*cycler.place.borrow()].clone(),
        (Value::Cycler(cycler), "items") => Value::tuple(cycler.items.clone()),
        (Value::Cycler(cycler), "pos") => (*cycler.place.borrow()).into(),
        _ => return None,
    })
}

/// `receiver.name(args)`
pub(super) fn call(run: &Run, receiver: &Value, name: &str, args: Args) -> Outcome<Value> {
    match receiver {
        Value::Text(text) | Value::Markup(text) => {
            run.budget.bytes(text.len())?;
            text::call(run, receiver, text, name, args)
        }
        _ => container::call(run, receiver, name, args),
    }
}
