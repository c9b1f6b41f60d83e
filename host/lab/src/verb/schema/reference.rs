//! `docs/reference/experiment.md`: every key of an experiment, from the types that read it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;
use slhf_plan::{GameMethodTable, LanguageMethodTable, MethodKeys};

use super::examples::{self, Examples};
use super::fragment::{Definitions, about, cell, is_required, properties, split_default, values_of};
use super::methods;

const HEAD: &str = "\
# Experiments: every key

Written by `cargo xtask docs` from the types that read the files; `cargo xtask test` compares it. An editor that knows JSON Schema
completes and checks the same keys with [experiment.schema.json](experiment.schema.json).

An experiment is a TOML file. `slhf-lab new --kind game NAME.toml` and `slhf-lab new --kind language-model NAME.toml` write one to begin
with, and `slhf-lab check NAME.toml` says what is wrong with a file, all of it at once. A key that is not listed here is an error. Paths
are relative to the file. Types begin with a small letter, or are linked to [their tables](#types).
";

/// One kind of experiment.
struct Kind {
    title: &'static str,
    definition: &'static str,
    methods: (&'static str, Vec<MethodKeys>),
    examples: Examples,
}

fn kinds() -> [Kind; 3] {
    let (on_games, on_models) = (GameMethodTable::methods(), LanguageMethodTable::methods());
    let of_games = Examples::of(examples::GAME).with_methods(&on_games, |key| key.example);
    let of_models =
        Examples::of(examples::LANGUAGE_MODEL).with_methods(&on_models, |key| key.example_on_language_models);
    [
        Kind {
            title: "Finite games: `kind = \"game\"`",
            definition: "ExperimentConfig",
            methods: ("GameMethod", on_games),
            examples: of_games,
        },
        Kind {
            title: "Language models: `kind = \"language-model\"`",
            definition: "LanguageExperimentConfig",
            methods: ("LanguageMethod", on_models),
            examples: of_models,
        },
        Kind {
            title: "Reward models: `kind = \"reward-model\"`",
            definition: "RewardExperimentConfig",
            // It has no `[method]`.
            methods: ("", Vec::new()),
            examples: Examples::of(examples::REWARD_MODEL),
        },
    ]
}

/// A table of an experiment that has a header of its own.
#[derive(Clone, Debug)]
struct Section<'a> {
    /// Dotted; empty: the top of the file.
    path: String,
    is_list: bool,
    about: String,
    definition: &'a str,
}

/// The page.
pub(super) fn page(schema: &Json) -> String {
    let definitions = Definitions(schema);
    let mut linked: Vec<&str> = Vec::new();
    let mut text = HEAD.to_owned();
    for kind in kinds() {
        let _ = write!(text, "\n## {}\n", kind.title);
        for section in sections(definitions, kind.definition) {
            write_section(&mut text, definitions, &kind, &section, &mut linked);
        }
    }
    write_types(&mut text, definitions, linked);
    text
}

/// The tables below a definition, in the order of its keys, each followed by its own.
fn sections<'a>(definitions: Definitions<'a>, top: &'a str) -> Vec<Section<'a>> {
    let top = Section { path: String::new(), is_list: false, about: about(definitions.get(top)), definition: top };
    let mut todo = vec![top];
    let mut found = Vec::new();
    while let Some(section) = todo.pop() {
        let below: Vec<Section<'a>> = properties(definitions.get(section.definition))
            .filter_map(|(key, property)| {
                let (definition, is_list) = header_of(definitions, property)?;
                let path = if section.path.is_empty() { key.clone() } else { format!("{}.{key}", section.path) };
                Some(Section { path, is_list, about: about(property), definition })
            })
            .collect();
        found.push(section);
        todo.extend(below.into_iter().rev());
    }
    found
}

/// The definition of a key that stands in a header: `[model]`, or `[[ablation]]`.
fn header_of<'a>(definitions: Definitions<'a>, property: &'a Json) -> Option<(&'a str, bool)> {
    let has_header = |name: &str| {
        let found = definitions.get(name);
        name.ends_with("Method") || (name.ends_with("Config") && found["properties"].is_object())
    };
    match definitions.resolved(property) {
        (Some(name), _) if has_header(name) => Some((name, false)),
        (None, list) => match definitions.resolved(&list["items"]) {
            (Some(name), _) if has_header(name) => Some((name, true)),
            _ => None,
        },
        _ => None,
    }
}

fn write_section<'a>(
    text: &mut String,
    definitions: Definitions<'a>,
    kind: &Kind,
    section: &Section<'a>,
    linked: &mut Vec<&'a str>,
) {
    let header = match (section.path.as_str(), section.is_list) {
        ("", _) => "Top of the file".to_owned(),
        (path, true) => format!("`[[{path}]]`"),
        (path, false) => format!("`[{path}]`"),
    };
    let _ = write!(text, "\n### {header}\n\n{}\n\n", section.about);
    let schema = definitions.get(section.definition);
    if section.definition == kind.methods.0 {
        text.push_str(&methods::section(definitions, schema, &kind.methods.1, &kind.examples, linked));
        return;
    }
    text.push_str("| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |\n");
    for (key, property) in properties(schema) {
        if header_of(definitions, property).is_some() {
            continue;
        }
        let words = definitions.words(property, linked);
        let (meaning, default) = meaning_and_default(schema, key, property);
        let example = kind.examples.line(&section.path, key).unwrap_or_default();
        let _ =
            writeln!(text, "| `{key}` | {words} | {} | {} | `{}` |", cell(&default), cell(&meaning), cell(&example));
    }
}

fn meaning_and_default(schema: &Json, key: &str, property: &Json) -> (String, String) {
    let (meaning, said) = split_default(&about(property));
    let default = match (said, &property["default"]) {
        _ if is_required(schema, key) => "required".to_owned(),
        (Some(default), _) => default,
        (None, Json::Null) => "none".to_owned(),
        (None, value) => format!("`{value}`"),
    };
    (meaning, default)
}

/// The types that the tables refer to, and those that these refer to in their turn, by name.
fn write_types<'a>(text: &mut String, definitions: Definitions<'a>, linked: Vec<&'a str>) {
    let mut todo = linked;
    let mut texts: Vec<(&str, String)> = Vec::new();
    let mut done = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if done.insert(name) {
            texts.push((name, type_text(definitions, name, &mut todo)));
        }
    }
    texts.sort_by_key(|(name, _)| *name);
    text.push_str("\n## Types\n");
    for (name, described) in texts {
        let _ = write!(text, "\n### {name}\n\n{}\n\n{described}", about(definitions.get(name)));
    }
}

fn type_text<'a>(definitions: Definitions<'a>, name: &str, linked: &mut Vec<&'a str>) -> String {
    let schema = definitions.get(name);
    let choices = schema["oneOf"].as_array();
    let mut text = String::new();
    if values_of(schema).is_some() {
        text.push_str("| value | meaning |\n| --- | --- |\n");
        for choice in choices.into_iter().flatten() {
            let _ =
                writeln!(text, "| `\"{}\"` | {} |", choice["const"].as_str().unwrap_or_default(), cell(&about(choice)));
        }
        return text;
    }
    if let Some(choices) = choices {
        text.push_str("| `kind` | keys | meaning |\n| --- | --- | --- |\n");
        for choice in choices {
            let keys: Vec<String> = properties(choice)
                .filter(|(key, _)| *key != "kind")
                .map(|(key, property)| {
                    let words = definitions.words(property, linked);
                    let (meaning, default) = meaning_and_default(choice, key, property);
                    format!("`{key}` ({words}; {}): {meaning}", default_in_words(&default))
                })
                .collect();
            let kind = choice["properties"]["kind"]["const"].as_str().unwrap_or_default();
            let _ = writeln!(text, "| `\"{kind}\"` | {} | {} |", cell(&keys.join(" ")), cell(&about(choice)));
        }
        return text;
    }
    text.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (key, property) in properties(schema) {
        let words = definitions.words(property, linked);
        let (meaning, default) = meaning_and_default(schema, key, property);
        let _ = writeln!(text, "| `{key}` | {words} | {} | {} |", cell(&default), cell(&meaning));
    }
    text
}

fn default_in_words(default: &str) -> String {
    if default == "required" { default.to_owned() } else { format!("default: {default}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use slhf_plan::settings::{Placeholders, Problems, constant};
    use toml::{Table, Value};

    use super::*;
    use slhf_experiment::{ExperimentConfig, LanguageExperimentConfig, RewardExperimentConfig};

    /// Every key of a kind with its section.
    fn keys(definitions: Definitions<'_>, kind: &Kind) -> BTreeSet<(String, String)> {
        let mut keys = BTreeSet::new();
        for section in sections(definitions, kind.definition) {
            let own: Vec<String> = if section.definition == kind.methods.0 {
                kind.methods
                    .1
                    .iter()
                    .flat_map(|method| method.keys.iter().map(|known| known.key.name.to_owned()))
                    .collect()
            } else {
                let schema = definitions.get(section.definition);
                let has_none = |(_, property): &(&String, &Json)| header_of(definitions, property).is_none();
                properties(schema).filter(has_none).map(|(key, _)| key.clone()).collect()
            };
            keys.extend(own.into_iter().map(|key| (section.path.clone(), key)));
        }
        keys
    }

    #[test]
    fn every_key_has_an_example_and_a_default_that_is_told_apart() {
        let schema = super::super::experiment();
        let definitions = Definitions(&schema);
        for kind in kinds() {
            for (section, key) in keys(definitions, &kind) {
                assert!(kind.examples.line(&section, &key).is_some(), "{}: no example of {section}.{key}", kind.title);
            }
            for section in sections(definitions, kind.definition).iter().filter(|one| one.definition != kind.methods.0)
            {
                let schema = definitions.get(section.definition);
                for (key, property) in properties(schema).filter(|(_, one)| header_of(definitions, one).is_none()) {
                    let (meaning, _) = meaning_and_default(schema, key, property);
                    assert!(!meaning.contains("efault: "), "{}.{key}: {meaning}", section.path);
                }
            }
        }
    }

    #[test]
    fn the_examples_are_read_by_the_types_that_read_experiments() {
        let with_method = |text: &str| {
            let mut table: Table = toml::from_str(text).expect("TOML");
            // A number stands for a constant: documents are read so.
            let schedule = table["schedule"].as_table_mut().expect("a table");
            for key in ["kappa", "learning_rate", "follower_learning_rate"] {
                let value = schedule.remove(key).expect("an example");
                schedule.insert(key.to_owned(), constant(value));
            }
            table.insert("method".to_owned(), Value::Table(Table::from_iter([("name".to_owned(), "rloo".into())])));
            table
        };
        let _: ExperimentConfig = with_method(examples::GAME).try_into().expect("a game's experiment");
        let _: LanguageExperimentConfig = with_method(examples::LANGUAGE_MODEL).try_into().expect("a language model's");
        let reward_model: Table = toml::from_str(examples::REWARD_MODEL).expect("TOML");
        let _: RewardExperimentConfig = reward_model.try_into().expect("a reward model's");
    }

    /// Each key alone beside the name of a method that has it: nothing is wrong with its value.
    #[test]
    fn the_examples_of_methods_are_values_that_methods_read() {
        let [game, model, _] = kinds();
        check_methods(&game, |table| GameMethodTable(table).read(&mut Placeholders).1);
        check_methods(&model, |table| LanguageMethodTable(table).read(&mut Placeholders).1);
    }

    /// Keys that do nothing without another.
    const NEEDED: [(&str, &str, &str); 4] = [
        ("eta", "num_iterations", "2"),
        ("kl_estimator", "kl_gradient", "'paper'"),
        ("epsilon_high", "num_iterations", "2"),
        ("importance_sampling_level", "num_iterations", "2"),
    ];

    fn check_methods(kind: &Kind, read: impl Fn(Table) -> Problems) {
        let examples = kind.examples.0["method"].as_table().expect("a table");
        let mut accepted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for method in &kind.methods.1 {
            for known in &method.keys {
                let name = known.key.name;
                let mut table = Table::from_iter([("name".to_owned(), Value::from(method.name))]);
                table.insert(name.to_owned(), examples[name].clone());
                for (_, other, value) in NEEDED.iter().filter(|(key, ..)| *key == name) {
                    table.insert((*other).to_owned(), value.parse().expect("a value"));
                }
                let found: Vec<String> = read(table).into_iter().map(|one| one.problem).collect();
                let kept = accepted.entry(name).or_insert_with(|| found.clone());
                if kept.len() > found.len() {
                    *kept = found;
                }
            }
        }
        for (key, problems) in accepted {
            assert!(problems.is_empty(), "{}: {key}: {problems:?}", kind.title);
        }
    }
}
