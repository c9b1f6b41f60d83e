//! TOML as JSON.

use serde_json::Value as Json;
use toml::{Table, Value};

/// A table as an object. Numbers that JSON lacks (NaN, infinities) become null, which no schema takes for a number.
pub(crate) fn json_of(table: &Table) -> Json {
    Json::Object(table.iter().map(|(key, value)| (key.clone(), json_of_value(value))).collect())
}

fn json_of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Boolean(flag) => Json::from(*flag),
        Value::Datetime(time) => Json::from(time.to_string()),
        Value::Array(values) => values.iter().map(json_of_value).collect(),
        Value::Table(table) => json_of(table),
    }
}
