//! Values that stand for a table: a number for a constant, a name for a table of that kind.

use schemars::JsonSchema;
use toml::{Table, Value};

/// For schemas: a bare number stands for a constant.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum ConstantOr<T> {
    /// The constant.
    Number(f64),
    /// The table.
    Table(T),
}

/// For schemas: a bare string stands for a table of that kind.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum NameOr<T> {
    /// The kind.
    Name(String),
    /// The table.
    Table(T),
}

/// For schemas: a bare string stands for a table of that kind, a list for the rewards themselves.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum RewardOr<T> {
    /// The kind.
    Name(String),
    /// One reward an action.
    Rewards(Vec<f64>),
    /// The table.
    Table(T),
}

/// A number as `{ kind = "constant", value = … }`; anything else as it is.
#[must_use]
pub fn constant(value: Value) -> Value {
    match value.as_float().or_else(|| value.as_integer().map(|number| number as f64)) {
        Some(number) => tagged("constant", Some(("value", Value::Float(number)))),
        None => value,
    }
}

/// A string as `{ kind = … }`; anything else as it is.
#[must_use]
pub fn kind(value: Value) -> Value {
    match value {
        Value::String(kind) => tagged(&kind, None),
        other => other,
    }
}

/// A string as `{ kind = … }`, a list as `{ kind = "scores", scores = … }`; anything else as it is.
#[must_use]
pub fn reward(value: Value) -> Value {
    match value {
        Value::Array(_) => tagged("scores", Some(("scores", value))),
        other => kind(other),
    }
}

fn tagged(kind: &str, field: Option<(&str, Value)>) -> Value {
    let mut table = Table::new();
    table.insert("kind".to_owned(), Value::String(kind.to_owned()));
    table.extend(field.map(|(key, value)| (key.to_owned(), value)));
    Value::Table(table)
}
