//! Checks a plugin's parameters against the JSON Schema of its manifest.
//!
//! The part of JSON Schema 2020-12 that describes parameters is understood (see [`KEYWORDS`]); a schema with any other
//! keyword that would restrict values is refused when the plugin is loaded, so that nothing is silently left unchecked.
//! A whole validator would bring some thirty crates, and sentences that name a JSON pointer, not a parameter.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Keywords that are checked.
const KEYWORDS: [&str; 22] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "allOf",
    "anyOf",
    "oneOf",
    "$ref",
    "minProperties",
    "maxProperties",
];

/// Keywords that only describe.
const ANNOTATIONS: [&str; 15] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
];

/// Deepest nesting of schemas and values: a schema may refer to itself.
const DEPTH_MAX: usize = 64;

/// Schemas applied to values in one check: alternatives may multiply.
const STEPS_MAX: usize = 2_000_000;

/// Whether a schema is one that [`check`] understands whole.
pub(crate) fn check_schema(schema: &Value) -> Result<(), String> {
    check_schema_at(schema, 0)
}

fn check_schema_at(schema: &Value, depth: usize) -> Result<(), String> {
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(keywords) => keywords,
        other => return Err(format!("a schema must be an object, not {}", brief(other))),
    };
    if depth > DEPTH_MAX {
        return Err(format!("schemas are nested deeper than {DEPTH_MAX}"));
    }
    if let Some(keyword) = keywords.keys().find(|key| !is_known(key)) {
        return Err(format!("the keyword `{keyword}` is not one that the host checks ({})", KEYWORDS.join(", ")));
    }
    for key in ["items", "additionalProperties"] {
        keywords.get(key).map_or(Ok(()), |schema| check_schema_at(schema, depth + 1))?;
    }
    for key in ["prefixItems", "allOf", "anyOf", "oneOf"] {
        for schema in keywords.get(key).and_then(Value::as_array).into_iter().flatten() {
            check_schema_at(schema, depth + 1)?;
        }
    }
    for key in ["properties", "$defs", "definitions"] {
        for schema in keywords.get(key).and_then(Value::as_object).into_iter().flat_map(Map::values) {
            check_schema_at(schema, depth + 1)?;
        }
    }
    Ok(())
}

fn is_known(keyword: &str) -> bool {
    // `x-…` and the like are annotations by convention.
    KEYWORDS.contains(&keyword) || ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// Checks parameters; the error is one sentence that names the parameter.
pub(crate) fn check(schema: &Value, parameters: &Value) -> Result<(), String> {
    if !parameters.is_object() {
        return Err(format!("parameters are {}; expected a table of names and values", brief(parameters)));
    }
    let mut checker = Checker { root: schema, steps_left: STEPS_MAX };
    checker.check(schema, parameters, &Place::Root, 0).map_err(|fault| fault.sentence)
}

/// Where in the parameters a value sits.
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// `weights[2].name`
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(Place::Root, key) => (*key).to_owned(),
            Self::Key(parent, key) => format!("{}.{key}", parent.path()),
            Self::Index(parent, index) => format!("{}[{index}]", parent.path()),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(parent, _) | Self::Index(parent, _) => 1 + parent.depth(),
        }
    }

    /// ``parameter `weights[2]` `` or, at the top, `parameters`.
    fn subject(&self) -> String {
        match self {
            Self::Root => "parameters".to_owned(),
            place => format!("parameter `{}`", place.path()),
        }
    }

    fn fault(&self, what: impl std::fmt::Display) -> Mismatch {
        Mismatch { sentence: format!("{} {what}", self.subject()), depth: self.depth() }
    }
}

/// A value that does not fit.
struct Mismatch {
    sentence: String,
    /// How deep in the value: of several alternatives, the one that got furthest was probably meant.
    depth: usize,
}

struct Checker<'s> {
    root: &'s Value,
    steps_left: usize,
}

impl<'s> Checker<'s> {
    fn check(&mut self, schema: &'s Value, value: &Value, place: &Place<'_>, depth: usize) -> Result<(), Mismatch> {
        self.steps_left = self.steps_left.saturating_sub(1);
        if depth > DEPTH_MAX || self.steps_left == 0 {
            return Err(place.fault("cannot be checked: the plugin's schema is nested too deeply or refers to itself"));
        }
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(keywords) => keywords,
            _ => return Err(place.fault("is not a parameter of this plugin")),
        };
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let target = self.resolve(reference).ok_or_else(|| {
                place.fault(format!("cannot be checked: `{reference}` is not in the plugin's schema"))
            })?;
            self.check(target, value, place, depth + 1)?;
        }
        check_kind(keywords, value, place)?;
        check_choice(keywords, value, place)?;
        match value {
            Value::Number(number) => check_range(keywords, number.as_f64().unwrap_or(f64::NAN), value, place)?,
            Value::String(text) => check_count(keywords, "Length", text.chars().count(), "characters", place)?,
            Value::Array(items) => self.check_items(keywords, items, place, depth)?,
            Value::Object(fields) => self.check_fields(keywords, fields, place, depth)?,
            Value::Null | Value::Bool(_) => {}
        }
        self.check_alternatives(keywords, value, place, depth)
    }

    /// Only references into the schema itself: `#`, `#/$defs/name`.
    fn resolve(&self, reference: &str) -> Option<&'s Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    fn check_items(
        &mut self,
        keywords: &'s Map<String, Value>,
        items: &[Value],
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), Mismatch> {
        check_count(keywords, "Items", items.len(), "entries", place)?;
        let prefix = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = prefix.get(index).or_else(|| keywords.get("items")) {
                self.check(schema, item, &Place::Index(place, index), depth + 1)?;
            }
        }
        Ok(())
    }

    fn check_fields(
        &mut self,
        keywords: &'s Map<String, Value>,
        fields: &Map<String, Value>,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), Mismatch> {
        let properties = keywords.get("properties").and_then(Value::as_object);
        check_count(keywords, "Properties", fields.len(), "entries", place)?;
        for (key, value) in fields {
            let inner = Place::Key(place, key);
            match (properties.and_then(|properties| properties.get(key)), keywords.get("additionalProperties")) {
                (None, Some(Value::Bool(false))) => return Err(unknown_parameter(properties, key, place)),
                (Some(schema), _) | (None, Some(schema)) => self.check(schema, value, &inner, depth + 1)?,
                // A schema without `additionalProperties` allows anything; a parameter that nobody reads is a typing
                // error all the same, where the schema names its parameters at all.
                (None, None) => {
                    if properties.is_some() && depth == 0 {
                        return Err(unknown_parameter(properties, key, place));
                    }
                }
            }
        }
        let required =
            keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        match required.into_iter().find(|key| !fields.contains_key(*key)) {
            Some(missing) => Err(Place::Key(place, missing).fault("is missing")),
            None => Ok(()),
        }
    }

    fn check_alternatives(
        &mut self,
        keywords: &'s Map<String, Value>,
        value: &Value,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), Mismatch> {
        for schema in keywords.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check(schema, value, place, depth + 1)?;
        }
        for key in ["anyOf", "oneOf"] {
            let Some(alternatives) = keywords.get(key).and_then(Value::as_array) else { continue };
            let mut faults = Vec::new();
            let mut fitting = 0;
            for schema in alternatives {
                match self.check(schema, value, place, depth + 1) {
                    Ok(()) => fitting += 1,
                    Err(fault) => faults.push(fault),
                }
            }
            if fitting == 0 {
                return Err(none_fits(alternatives, faults, value, place));
            }
            if key == "oneOf" && fitting > 1 {
                return Err(
                    place.fault(format!("is {}, which fits {fitting} forms where one was expected", brief(value)))
                );
            }
        }
        Ok(())
    }
}

fn unknown_parameter(properties: Option<&Map<String, Value>>, key: &str, place: &Place<'_>) -> Mismatch {
    let inner = Place::Key(place, key);
    let names: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let nearest = slhf_words::nearest(key, names.iter().copied());
    let mut sentence = format!("parameter `{}` is unknown", inner.path());
    // Writing to a string cannot fail.
    let _ = match (nearest, names.is_empty()) {
        (Some(name), _) => write!(sentence, "; did you mean `{name}`?"),
        (None, true) => write!(sentence, "; none is expected here"),
        (None, false) => write!(sentence, "; known are {}", slhf_words::known(key, names)),
    };
    Mismatch { sentence, depth: inner.depth() }
}

fn check_kind(keywords: &Map<String, Value>, value: &Value, place: &Place<'_>) -> Result<(), Mismatch> {
    let kinds: Vec<&str> = match keywords.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if kinds.iter().any(|kind| is_kind(value, kind)) {
        return Ok(());
    }
    let expected: Vec<&str> = kinds.iter().map(|kind| kind_in_words(kind)).collect();
    Err(place.fault(format!("is {}; expected {}", brief(value), expected.join(" or "))))
}

fn is_kind(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|x| x.is_finite() && x.fract() == 0.0)
        }
        _ => false,
    }
}

fn kind_in_words(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "string" => "a string",
        "array" => "a list",
        "object" => "a table",
        "number" => "a number",
        "integer" => "an integer",
        "null" => "nothing",
        other => other,
    }
}

fn check_choice(keywords: &Map<String, Value>, value: &Value, place: &Place<'_>) -> Result<(), Mismatch> {
    let choices: Vec<&Value> = match (keywords.get("const"), keywords.get("enum").and_then(Value::as_array)) {
        (Some(only), _) => vec![only],
        (None, Some(choices)) => choices.iter().collect(),
        (None, None) => return Ok(()),
    };
    if choices.contains(&value) { Ok(()) } else { Err(not_among(&choices, value, place)) }
}

fn not_among(choices: &[&Value], value: &Value, place: &Place<'_>) -> Mismatch {
    let listed: Vec<String> = choices.iter().map(|choice| brief(choice)).collect();
    place.fault(format!("is {}; expected {}", brief(value), listed.join(" or ")))
}

/// A choice between constants, as Rust enums become, is told as a list; else the alternative that got furthest speaks.
fn none_fits(alternatives: &[Value], faults: Vec<Mismatch>, value: &Value, place: &Place<'_>) -> Mismatch {
    let constants: Option<Vec<&Value>> = alternatives.iter().map(|schema| schema.get("const")).collect();
    if let Some(choices) = constants {
        return not_among(&choices, value, place);
    }
    // The first of the deepest: `max_by_key` would take the last.
    faults
        .into_iter()
        .reduce(|best, next| if next.depth > best.depth { next } else { best })
        .unwrap_or_else(|| place.fault("fits no form that the plugin knows"))
}

fn check_range(keywords: &Map<String, Value>, x: f64, value: &Value, place: &Place<'_>) -> Result<(), Mismatch> {
    let bound = |key: &str| keywords.get(key).and_then(Value::as_f64);
    let broken = [
        ("at least", bound("minimum").filter(|limit| x < *limit)),
        ("at most", bound("maximum").filter(|limit| x > *limit)),
        ("more than", bound("exclusiveMinimum").filter(|limit| x <= *limit)),
        ("less than", bound("exclusiveMaximum").filter(|limit| x >= *limit)),
    ];
    match broken.into_iter().find_map(|(words, limit)| limit.map(|limit| (words, limit))) {
        Some((words, limit)) => Err(place.fault(format!("is {value}; it must be {words} {limit}"))),
        None => Ok(()),
    }
}

/// `minLength`, `maxItems`, …
fn check_count(
    keywords: &Map<String, Value>,
    what: &str,
    count: usize,
    unit: &str,
    place: &Place<'_>,
) -> Result<(), Mismatch> {
    let bound = |side: &str| keywords.get(&format!("{side}{what}")).and_then(Value::as_u64);
    match (bound("min"), bound("max")) {
        (Some(least), _) if (count as u64) < least => {
            Err(place.fault(format!("has {count} {unit}; it must have at least {least}")))
        }
        (_, Some(most)) if count as u64 > most => {
            Err(place.fault(format!("has {count} {unit}; it may have at most {most}")))
        }
        _ => Ok(()),
    }
}

/// A value in a sentence: short ones as they are, long ones by their kind.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {} entries", items.len()),
        Value::Object(_) => "a table".to_owned(),
        Value::String(text) if text.chars().count() > 40 => "a long string".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
