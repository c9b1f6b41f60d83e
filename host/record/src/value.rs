//! Typed values on their way in and out of SQLite, which has no NaN.

use serde::{Serialize, Serializer};

/// A typed hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// `true` or `false`; stored as 1 or 0 with type `boolean`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number; infinities and NaN are allowed.
    Float(f64),
    /// A string.
    Text(String),
    /// An array or table that is one value for its reader, as JSON text.
    Json(String),
    /// Explicitly nothing: the key exists in this cell and has no value.
    None,
}

impl ParameterValue {
    /// As the column `type` names it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Json(_) => "json",
            Self::None => "none",
        }
    }
}

impl std::fmt::Display for ParameterValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(formatter, "{value}"),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value}"),
            Self::Text(value) | Self::Json(value) => formatter.write_str(value),
            Self::None => Ok(()),
        }
    }
}

impl Serialize for ParameterValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serialize_number(*value, serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Json(text) => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(value) => value.serialize(serializer),
                Err(_) => serializer.serialize_str(text),
            },
            Self::None => serializer.serialize_none(),
        }
    }
}

/// A number as JSON: what is not finite becomes `"NaN"`, `"Infinity"` or `"-Infinity"`.
pub fn serialize_number<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(value) } else { serializer.serialize_str(non_finite_word(value)) }
}

/// `NaN`, `Infinity` or `-Infinity`, as JSON and CSV print them.
#[must_use]
pub fn non_finite_word(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// A count as SQLite can hold it; one beyond 2^63 − 1 (no step, size or count of this world) becomes that.
pub(crate) fn stored_count(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// The column `non_finite` of a value: `None` where `value` says it all.
pub(crate) fn non_finite_name(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("nan")
    } else if value > 0.0 {
        Some("inf")
    } else {
        Some("-inf")
    }
}

/// The value of the columns `value` and `non_finite`; `None` where the pair makes no sense.
pub(crate) fn number_from_columns(value: Option<f64>, non_finite: Option<&str>) -> Option<f64> {
    match (value, non_finite) {
        (Some(value), None) => Some(value),
        (None, Some("nan")) => Some(f64::NAN),
        (None, Some("inf")) => Some(f64::INFINITY),
        (None, Some("-inf")) => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Whether the record would hold the same for both: SQLite keeps neither the payload of a NaN nor the sign of a zero
/// (a REAL without a fraction is stored as an integer); every other bit counts.
pub(crate) fn same_number(a: f64, b: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "bits are to be compared, and −0 is 0 in SQLite")]
    let equal = a == b;
    equal || (a.is_nan() && b.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_finite_numbers_keep_their_names() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let back = number_from_columns(None, non_finite_name(value)).expect("a name for every value");
            assert!(same_number(back, value));
        }
        assert_eq!(number_from_columns(Some(1.5), None), Some(1.5));
        assert_eq!(number_from_columns(None, None), None);
    }
}
