//! JSON as Python's `json` module writes it, which is more than the standard allows.
//!
//! Files of Python programs hold `NaN`, `Infinity` and `-Infinity`, half of a surrogate pair (`\ud83d` alone, where a text was
//! cut), numbers that no `f64` holds (`1e999`, which Python reads as infinity), and a byte order mark where an editor left one.
//! [`read`] reads all of it into an ordinary [`Value`]:
//!
//! * a number that is not finite becomes a mark that is neither a number nor a text, so that whoever reads it as one says that
//!   it is wrong: [`not_finite`] knows the mark, [`describe`] names it, [`without_marks`] makes null of it. Where nobody reads
//!   the field, it does no harm;
//! * half of a surrogate pair becomes U+FFFD, the sign of a character that is lost;
//! * a byte order mark is skipped.
//!
//! An object that has a key twice is refused by the key's name: Python would keep the last value, others the first.
//!
//! It never writes JSON, and JSON of the program's own is not its business: that is plain `serde_json`. Begin with [`read`].
//!
//! ```
//! let value = slhf_json::read(br#"{"score": NaN, "text": "a\ud83d"}"#)?;
//! assert_eq!(slhf_json::not_finite(&value["score"]), Some("NaN"));
//! assert_eq!(value["text"], "a\u{fffd}");
//! assert_eq!(slhf_json::without_marks(value).to_string(), "{\"score\":null,\"text\":\"a\u{fffd}\"}");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod order;
mod standard;

use standard::MARK;
mod unique;

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::Error as _;
use serde_json::{Error, Map, Number, Value};

/// Integers up to here are exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a JSON text.
pub fn read(bytes: &[u8]) -> Result<Value, Error> {
    let text = standard::text(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    let value = unique::value(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The same text in standard JSON, marks in the place of numbers that are not finite: for a parser that keeps what a [`Value`]
/// does not, such as the order of keys.
#[must_use]
pub fn standard(bytes: &[u8]) -> Cow<'_, [u8]> {
    standard::text(bytes)
}

/// The bytes behind byte order marks, for a parser that knows none.
#[must_use]
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    standard::without_byte_order_mark(bytes)
}

/// The keys of the object at the end of `path`, in the order of the text: a [`Value`] sorts them. None where there is no such
/// object.
pub fn keys_in_order(bytes: &[u8], path: &[&str]) -> Result<Vec<String>, Error> {
    let text = standard::text(bytes);
    order::keys(&mut serde_json::Deserializer::from_slice(&text), path)
}

/// Reads a JSON text that is an object.
pub fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    match read(bytes)? {
        Value::Object(object) if !is_mark(&object) => Ok(object),
        other => Err(Error::custom(format!("{} stands here; expected an object", kind(&other)))),
    }
}

/// Reads an object of settings: a whole number that is written as 3.0 counts as 3.
pub fn read_settings(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let object = read_object(bytes)?;
    Ok(object.into_iter().map(|(key, value)| (key, with_whole_numbers(value))).collect())
}

/// `NaN`, `Infinity` or `-Infinity`, where the value is such a number.
#[must_use]
pub fn not_finite(value: &Value) -> Option<&'static str> {
    let name = value.as_object().filter(|object| is_mark(object))?.get(MARK)?.as_str()?;
    standard::NAMES.into_iter().find(|known| *known == name)
}

fn is_mark(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.contains_key(MARK)
}

/// The value with null in the place of every number that is not finite: what other readers of JSON understand.
#[must_use]
pub fn without_marks(value: Value) -> Value {
    replaced(value, &|value| if not_finite(&value).is_some() { Value::Null } else { value })
}

/// The value with whole numbers in the place of those that are written as 3.0.
fn with_whole_numbers(value: Value) -> Value {
    replaced(value, &|value| match &value {
        Value::Number(number) => whole(number).map_or(value, Value::Number),
        _ => value,
    })
}

fn whole(number: &Number) -> Option<Number> {
    let real = number.as_f64().filter(|real| number.is_f64() && real.fract() == 0.0 && real.abs() < EXACT)?;
    Some(if real < 0.0 { (real as i64).into() } else { (real as u64).into() })
}

/// Every value within, the innermost first, in the place of which `by` puts another.
fn replaced(value: Value, by: &impl Fn(Value) -> Value) -> Value {
    // A mark is one value, not an object with one.
    let value = match value {
        Value::Array(items) => items.into_iter().map(|item| replaced(item, by)).collect(),
        Value::Object(object) if !is_mark(&object) => {
            object.into_iter().map(|(key, item)| (key, replaced(item, by))).collect()
        }
        other => other,
    };
    by(value)
}

/// What a value is, as the start of a sentence.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => not_finite(value).unwrap_or("an object"),
    }
}

/// A value in a message: as JSON, a number that is not finite by its name.
pub fn describe(value: &Value) -> impl Display + '_ {
    Described(value)
}

struct Described<'a>(&'a Value);

impl Display for Described<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, not_finite(self.0)) {
            (_, Some(name)) => formatter.write_str(name),
            (Value::Array(items), None) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{}", if index > 0 { "," } else { "" }, Self(item))?;
                }
                formatter.write_str("]")
            }
            (Value::Object(object), None) => {
                formatter.write_str("{")?;
                for (index, (key, item)) in object.iter().enumerate() {
                    let key = Value::String(key.clone());
                    write!(formatter, "{}{key}:{}", if index > 0 { "," } else { "" }, Self(item))?;
                }
                formatter.write_str("}")
            }
            (other, None) => write!(formatter, "{other}"),
        }
    }
}
