//! A part of a JSON Schema in a reader's words.

use serde_json::{Map, Value as Json};

/// The whole schema, whose `$defs` the parts refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definitions<'a>(pub(super) &'a Json);

impl<'a> Definitions<'a> {
    /// A definition by its name.
    pub(super) fn get(self, name: &str) -> &'a Json {
        &self.0["$defs"][name]
    }

    /// What a property is: the definition behind a `$ref`, else the property itself; nullable is what it is without null.
    pub(super) fn resolved(self, schema: &'a Json) -> (Option<&'a str>, &'a Json) {
        let schema = without_null(schema);
        match name_of(schema) {
            Some(name) => (Some(name), self.get(name)),
            None => (None, schema),
        }
    }

    /// Its type in words, with a link for types that need a table of their own; their names are appended to `linked`.
    pub(super) fn words(self, schema: &'a Json, linked: &mut Vec<&'a str>) -> String {
        let (name, found) = self.resolved(schema);
        if let Some(values) = values_of(found) {
            let values = values.iter().map(|value| format!("`\"{value}\"`")).collect::<Vec<_>>().join(" or ");
            return match name {
                // A single value needs no table.
                Some(name) if values.contains(" or ") => {
                    linked.push(name);
                    format!("[{values}](#{})", name.to_lowercase())
                }
                _ => values,
            };
        }
        if let Some(name) = name.filter(|_| has_table(found)) {
            linked.push(name);
            return format!("table [{name}](#{})", name.to_lowercase());
        }
        if let Some(choices) = found["anyOf"].as_array() {
            let mut words: Vec<String> = Vec::new();
            for choice in choices.iter().filter(|choice| choice["type"] != "null") {
                let choice = self.words(choice, linked);
                if !words.contains(&choice) {
                    words.push(choice);
                }
            }
            return words.join(" or ");
        }
        match type_of(found) {
            Some("array") => format!("list of {}", plural(&self.words(&found["items"], linked))),
            Some("integer") => "whole number".to_owned(),
            Some("string") => "text".to_owned(),
            Some("boolean") => "true or false".to_owned(),
            Some("object") => "table".to_owned(),
            Some(other) => other.to_owned(),
            None => "any value".to_owned(),
        }
    }
}

fn plural(words: &str) -> String {
    match words {
        "text" => "texts".to_owned(),
        "any value" => "values".to_owned(),
        words if words.starts_with("list of ") => words.replacen("list", "lists", 1),
        words if words.ends_with("number") => format!("{words}s"),
        words => words.to_owned(),
    }
}

fn without_null(schema: &Json) -> &Json {
    let Some(choices) = schema["anyOf"].as_array() else { return schema };
    let mut real = choices.iter().filter(|choice| choice["type"] != "null");
    match (real.next(), real.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

fn name_of(schema: &Json) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn type_of(schema: &Json) -> Option<&str> {
    match &schema["type"] {
        Json::String(name) => Some(name),
        Json::Array(names) => names.iter().filter_map(Json::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

/// The texts of an enumeration.
pub(super) fn values_of(schema: &Json) -> Option<Vec<&str>> {
    if let Some(only) = schema["const"].as_str() {
        return Some(vec![only]);
    }
    schema["oneOf"].as_array()?.iter().map(|choice| choice["const"].as_str()).collect()
}

/// Whether the type is shown as a table of its own: a table with keys, or one of several kinds of table.
fn has_table(schema: &Json) -> bool {
    schema["properties"].is_object() || schema["oneOf"].is_array()
}

/// The properties of a table.
pub(super) fn properties(schema: &Json) -> impl Iterator<Item = (&String, &Json)> {
    schema["properties"].as_object().into_iter().flat_map(Map::iter)
}

/// Whether a table must have this key.
pub(super) fn is_required(schema: &Json, key: &str) -> bool {
    schema["required"].as_array().is_some_and(|keys| keys.iter().any(|name| name == key))
}

/// What a schema says of itself, on one line.
pub(super) fn about(schema: &Json) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A description without its default, and the default: "Steps; default: 0. A setting." is "Steps. A setting." and "0".
pub(super) fn split_default(about: &str) -> (String, Option<String>) {
    let (before, rest) = match about.split_once("; default: ").or_else(|| about.split_once("; the default is ")) {
        Some((before, rest)) => (before, rest),
        None => match about.strip_prefix("Default: ") {
            Some(rest) => ("", rest),
            None => return (about.to_owned(), None),
        },
    };
    let (default, after) = rest.split_once(". ").unwrap_or((rest.strip_suffix('.').unwrap_or(rest), ""));
    let before = if before.is_empty() { String::new() } else { format!("{before}.") };
    (format!("{before} {after}").trim().to_owned(), Some(default.to_owned()))
}

/// Text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_told_apart_from_the_meaning() {
        let check = |about: &str, meaning: &str, default: Option<&str>| {
            assert_eq!(split_default(about), (meaning.to_owned(), default.map(str::to_owned)));
        };
        check("Its limits.", "Its limits.", None);
        check("Rank of A and B; default: 16.", "Rank of A and B.", Some("16"));
        check("Default: `f64`.", "", Some("`f64`"));
        check("Threads; default: 0.1 (x: 0). A setting.", "Threads. A setting.", Some("0.1 (x: 0)"));
    }
}
