//! The tests of Jinja: what stands after `is`.

use super::fault::{Outcome, fail};
use super::filters;
use super::methods::case;
use super::run::{Args, Run};
use super::syntax::{Arithmetic, Comparison};
use super::value::{Value, arithmetic, compare, equal, length, printed};

/// A test that compares with one other value.
const COMPARISONS: [(&str, Comparison); 16] = [
    ("==", Comparison::Equal),
    ("eq", Comparison::Equal),
    ("equalto", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("ne", Comparison::NotEqual),
    (">", Comparison::Greater),
    ("gt", Comparison::Greater),
    ("greaterthan", Comparison::Greater),
    (">=", Comparison::GreaterEqual),
    ("ge", Comparison::GreaterEqual),
    ("<", Comparison::Less),
    ("lt", Comparison::Less),
    ("lessthan", Comparison::Less),
    ("<=", Comparison::LessEqual),
    ("le", Comparison::LessEqual),
    ("in", Comparison::In),
];

const NAMES: [&str; 23] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
];

fn comparison(name: &str) -> Option<Comparison> {
    COMPARISONS.iter().find(|(other, _)| *other == name).map(|(_, how)| *how)
}

/// Whether Jinja has this test.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name) || comparison(name).is_some()
}

/// `value is name(args)`
pub(super) fn check(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<bool> {
    if let Some(how) = comparison(name) {
        let [other] = args.bind(name, ["other"], 1)?;
        return compare(how, value, &other.unwrap_or(Value::None), &run.budget);
    }
    match name {
        "divisibleby" => {
            let [number] = args.bind(name, ["num"], 1)?;
            return remainder(run, value, &number.unwrap_or(Value::None), 0);
        }
        "sameas" => {
            let [other] = args.bind(name, ["other"], 1)?;
            return Ok(value.is_same(&other.unwrap_or(Value::None)));
        }
        _ => {}
    }
    args.bind::<0>(name, [], 0)?;
    Ok(match name {
        "odd" => remainder(run, value, &Value::Integer(2), 1)?,
        "even" => remainder(run, value, &Value::Integer(2), 0)?,
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "filter" => hashable_text(run, value)?.is_some_and(filters::is_known),
        "test" => hashable_text(run, value)?.is_some_and(is_known),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Integer(_)),
        "float" => matches!(value, Value::Float(_)),
        "lower" => case::is_lower(&printed(value, &run.budget)?),
        "upper" => case::is_upper(&printed(value, &run.budget)?),
        "string" => value.text().is_some(),
        "mapping" => matches!(value, Value::Dict(_)),
        "number" => value.float().is_some(),
        "sequence" => {
            !matches!(value, Value::View(..) | Value::Loop(_))
                && (value.text().is_some() || length(value, &run.budget).is_ok())
        }
        "iterable" => is_iterable(value),
        "callable" => matches!(value, Value::Callable(_) | Value::Loop(_) | Value::Undefined(_)),
        "escaped" => matches!(value, Value::Markup(_)),
        _ => fail!("No test named '{name}' found."),
    })
}

fn is_iterable(value: &Value) -> bool {
    !matches!(
        value,
        Value::None
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Namespace(_)
            | Value::Cycler(_)
            | Value::Callable(_)
    )
}

fn hashable_text<'a>(run: &Run, value: &'a Value) -> Outcome<Option<&'a str>> {
    value.check_hashable(&run.budget)?;
    Ok(value.text())
}

/// `value % number == rest`; a text is formatted, as in Python.
fn remainder(run: &Run, value: &Value, number: &Value, rest: i128) -> Outcome<bool> {
    let found = arithmetic(Arithmetic::Modulo, value, number, &run.budget)?;
    equal(&found, &Value::Integer(rest), &run.budget)
}
