//! The keys of `[method]`: all methods in one table, with whose each key is.

use std::fmt::Write as _;

use serde_json::Value as Json;
use slhf_plan::MethodKeys;
use slhf_plan::settings::Usage;

use super::examples::{Examples, in_line};
use super::fragment::{Definitions, cell, split_default};

/// What the methods say of one key.
struct Row<'a> {
    key: &'static str,
    types: Vec<String>,
    meanings: Vec<String>,
    /// The default with the methods that have it.
    defaults: Vec<(String, Vec<&'a str>)>,
    used: Vec<&'a str>,
    ignored: Vec<&'a str>,
}

/// The part of the page on `[method]`; the types that it refers to are appended to `linked`.
pub(super) fn section<'a>(
    definitions: Definitions<'a>,
    of_schema: &'a Json,
    methods: &[MethodKeys],
    examples: &Examples,
    linked: &mut Vec<&'a str>,
) -> String {
    let mut text = String::from("| `name` | method |\n| --- | --- |\n");
    for method in methods {
        let _ = writeln!(text, "| `\"{}\"` | {} |", method.name, cell(method.about));
    }
    text.push_str(
        "\n\"Accepted by\" lists the methods that a key does nothing for: one file can vary the method and keep the key.\n\n\
         | key | type | default | methods | meaning | example |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows(definitions, of_schema, methods, linked) {
        let example = examples.line("method", row.key).unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | `{}` |",
            row.key,
            row.types.join(" or "),
            cell(&default_words(&row)),
            method_words(&row, methods.len()),
            cell(&row.meanings.join(" ")),
            cell(&example)
        );
    }
    text
}

fn rows<'a, 'm>(
    definitions: Definitions<'a>,
    of_schema: &'a Json,
    methods: &'m [MethodKeys],
    linked: &mut Vec<&'a str>,
) -> Vec<Row<'m>> {
    let mut rows: Vec<Row<'m>> = Vec::new();
    let schemas = of_schema["oneOf"].as_array().into_iter().flatten();
    for (method, schema) in methods.iter().zip(schemas) {
        for known in &method.keys {
            let key = known.key.name;
            let at = rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
                let (types, meanings, defaults) = (Vec::new(), Vec::new(), Vec::new());
                rows.push(Row { key, types, meanings, defaults, used: Vec::new(), ignored: Vec::new() });
                rows.len() - 1
            });
            let row = &mut rows[at];
            push_new(&mut row.types, definitions.words(&schema["properties"][key], linked));
            let (meaning, said) = split_default(known.key.about);
            push_new(&mut row.meanings, meaning);
            match known.usage {
                Usage::Ignored => row.ignored.push(method.name),
                Usage::Used => {
                    row.used.push(method.name);
                    let default = said.unwrap_or_else(|| known.default.as_ref().map_or("none".to_owned(), in_toml));
                    match row.defaults.iter_mut().find(|(known, _)| *known == default) {
                        Some((_, names)) => names.push(method.name),
                        None => row.defaults.push((default, vec![method.name])),
                    }
                }
            }
        }
    }
    rows.sort_by_key(|row| row.key);
    rows
}

fn push_new(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

/// A default as a TOML has it.
fn in_toml(value: &Json) -> String {
    match toml::Value::try_from(value) {
        Ok(value) => format!("`{}`", in_line(&value)),
        Err(_) => format!("`{value}`"),
    }
}

/// The commonest default, and whose differ.
fn default_words(row: &Row<'_>) -> String {
    let Some(usual) = row.defaults.iter().map(|(_, names)| names.len()).max() else { return "none".to_owned() };
    let at = row.defaults.iter().position(|(_, names)| names.len() == usual).unwrap_or(0);
    let mut words = row.defaults[at].0.clone();
    for (default, names) in row.defaults.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, one)| one) {
        let _ = write!(words, "; {}: {default}", names.join(", "));
    }
    words
}

fn method_words(row: &Row<'_>, all: usize) -> String {
    let used = match row.used.len() {
        0 => "none".to_owned(),
        number if number == all => "all".to_owned(),
        _ => row.used.join(", "),
    };
    if row.ignored.is_empty() { used } else { format!("{used}. Accepted by {}", row.ignored.join(", ")) }
}
