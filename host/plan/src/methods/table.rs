//! `[method]` of a TOML: which method, its keys, and the JSON Schema of all methods.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use toml::{Table, Value};

use super::registered::Registered;
use super::{LanguageMethod, Method};
use crate::settings::{FindPlugins, Key, KeyOfTable, Placeholders, Problems, Reader, Usage};

/// The keys of one method.
#[derive(Clone, Debug)]
pub struct MethodKeys {
    /// The method's name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its keys, `name` not among them.
    pub keys: Vec<KeyOfTable>,
}

/// `[method]` of an experiment on a finite game, as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct GameMethodTable(pub Table);

/// `[method]` of an experiment on a language model, as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct LanguageMethodTable(pub Table);

impl GameMethodTable {
    /// The method with every default filled in, and everything that is wrong with the table by itself; [`Method::check`] asks for the
    /// rest. Where a setting is wrong its default stands in the method, so that the rest can be looked at; there is none where the name
    /// is.
    pub fn read(&self, plugins: &mut dyn FindPlugins) -> (Option<Method>, Problems) {
        read(self.0.clone(), plugins)
    }

    /// The methods with their keys.
    #[must_use]
    pub fn methods() -> Vec<MethodKeys> {
        methods::<Method>(&mut SchemaGenerator::default())
    }
}

impl LanguageMethodTable {
    /// The method with every default filled in, and everything that is wrong with the table by itself; [`LanguageMethod::check`] asks for the
    /// rest. Where a setting is wrong its default stands in the method, so that the rest can be looked at; there is none where the name
    /// is.
    pub fn read(&self, plugins: &mut dyn FindPlugins) -> (Option<LanguageMethod>, Problems) {
        read(self.0.clone(), plugins)
    }

    /// The methods with their keys.
    #[must_use]
    pub fn methods() -> Vec<MethodKeys> {
        methods::<LanguageMethod>(&mut SchemaGenerator::default())
    }
}

impl JsonSchema for GameMethodTable {
    fn schema_name() -> Cow<'static, str> {
        "GameMethod".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        one_of(methods::<Method>(schemas))
    }
}

impl JsonSchema for LanguageMethodTable {
    fn schema_name() -> Cow<'static, str> {
        "LanguageMethod".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        one_of(methods::<LanguageMethod>(schemas))
    }
}

fn read<M: Registered>(mut given: Table, plugins: &mut dyn FindPlugins) -> (Option<M>, Problems) {
    let mut problems = Problems::default();
    let name = match given.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => {
            problems.push("method.name", format!("{other} is no method; known are {}", M::NAMES.join(", ")));
            return (None, problems);
        }
        None => {
            problems.push("method.name", format!("missing; expected one of {}", M::NAMES.join(", ")));
            return (None, problems);
        }
    };
    let mut reader = Reader::new("method", given, plugins);
    let Some(method) = M::read_named(&name, &mut reader) else {
        problems.push("method.name", no_such_method::<M>(&name));
        return (None, problems);
    };
    let (keys, left, found) = reader.finish();
    for key in left {
        problems.push(format!("method.{key}"), foreign_key::<M>(&name, &key, &keys));
    }
    problems.extend(found);
    (Some(method), problems)
}

/// A name that no method has: what was probably meant.
fn no_such_method<M: Registered>(said: &str) -> String {
    let names = slhf_words::known(said, M::NAMES.iter().copied());
    let plain = said.trim().to_lowercase().replace([' ', '_'], "-");
    let of = |name: &&'static str| {
        let (_, about) = M::known_as(name).iter().find(|(others, _)| others.contains(&plain.as_str()))?;
        Some((*name, *about))
    };
    // A name of one's own in other letters means that one, whoever else is known by it.
    let is_own = M::NAMES.contains(&plain.as_str());
    if let Some((here, about)) = M::NAMES.iter().find_map(of).filter(|_| !is_own) {
        return format!("\"{said}\" is no method here; the nearest is \"{here}\" ({about}); known are {names}");
    }
    match slhf_words::nearest(&plain, M::NAMES.iter().copied()) {
        Some(near) => format!("\"{said}\" is not known; did you mean \"{near}\"? known are {names}"),
        None => format!("\"{said}\" is not known; known are {names}"),
    }
}

/// A key that this method does not have: whose it is.
fn foreign_key<M: Registered>(name: &str, key: &str, own: &[KeyOfTable]) -> String {
    let all = methods::<M>(&mut SchemaGenerator::default());
    let is_it = |known: &&KeyOfTable| known.key.name == key && known.usage == Usage::Used;
    let has = |method: &MethodKeys| method.keys.iter().find(is_it).map(|known| known.key);
    let owners: Vec<(&str, Key)> = all.iter().filter_map(|method| Some((method.name, has(method)?))).collect();
    let names: Vec<&str> = owners.iter().map(|(name, _)| *name).collect();
    let why = owners.iter().map(|(_, key)| key.why_not).find(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    match names.as_slice() {
        [] => match slhf_words::nearest(key, own.iter().map(|known| known.key.name)) {
            Some(near) => format!("there is no such key; did you mean method.{near}?"),
            None => format!("there is no such key of {name}"),
        },
        [only] => format!("only {only} has it{why}; remove it, or put it beside name = \"{only}\""),
        [rest @ .., last] => format!("only {} and {last} have it{why}; remove it here", rest.join(", ")),
    }
}

/// Every method's keys, as reading an empty table finds them.
fn methods<M: Registered>(schemas: &mut SchemaGenerator) -> Vec<MethodKeys> {
    let of = |name: &&'static str| {
        let mut plugins = Placeholders;
        let mut reader = Reader::new("method", Table::new(), &mut plugins).with_schemas(schemas);
        // A registry reads what it names.
        M::read_named(name, &mut reader)?;
        let (keys, ..) = reader.finish();
        Some(MethodKeys { name, about: M::about(name), keys })
    };
    M::NAMES.iter().filter_map(of).collect()
}

fn one_of(methods: Vec<MethodKeys>) -> Schema {
    let schemas: Vec<Json> = methods.into_iter().map(table_schema).collect();
    Schema::from(Map::from_iter([
        ("description".to_owned(), Json::from("The method with the settings it shares with the others, and its own.")),
        ("oneOf".to_owned(), Json::from(schemas)),
    ]))
}

fn table_schema(method: MethodKeys) -> Json {
    let mut properties = Map::new();
    properties.insert("name".to_owned(), json!({ "const": method.name, "description": method.about }));
    for KeyOfTable { key, schema, default, usage } in method.keys {
        let mut property = schema.map_or_else(Map::new, |schema| schema.as_object().cloned().unwrap_or_default());
        let about = match usage {
            Usage::Used => key.about.to_owned(),
            Usage::Ignored => format!("Accepted, so that a file can vary the method, and not used. {}", key.about),
        };
        property.insert("description".to_owned(), Json::from(about));
        if let Some(default) = default {
            property.insert("default".to_owned(), default);
        }
        properties.insert(key.name.to_owned(), Json::Object(property));
    }
    json!({
        "type": "object",
        "description": method.about,
        "properties": properties,
        "required": ["name"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let table = LanguageMethodTable(toml::from_str(text).unwrap());
        let (_, problems) = table.read(&mut Placeholders);
        problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect()
    }

    #[test]
    fn methods_of_others_get_the_nearest_that_is_here() {
        let check = |said: &str, nearest: Option<&str>| {
            let sentence = no_such_method::<LanguageMethod>(said);
            let found =
                sentence.split('"').nth(3).filter(|_| sentence.contains("nearest is") || sentence.contains("mean"));
            assert_eq!(found, nearest, "{sentence}");
        };
        for (said, nearest) in [
            ("DPO", "dpo"),
            ("offline-dpo", "dpo"),
            ("Online_DPO", "online-dpo"),
            ("iterative-dpo", "online-dpo"),
            ("kto", "dpo"),
            ("orpo", "dpo"),
            ("simpo", "dpo"),
            ("IPO", "ipo"),
            ("ppo", "rloo"),
            ("reinforce", "rloo"),
            ("REINFORCE++", "rloo"),
            ("rlhf", "rloo"),
            ("dr_grpo", "grpo"),
            ("nash_md", "nash-md"),
            ("nlhf", "nash-md"),
            ("spin", "sppo"),
            ("slhf", "stackelberg-gda"),
            ("stackelberg", "stackelberg-gda"),
            ("best of n", "best-of-n"),
            ("grop", "grpo"),
        ] {
            check(said, Some(nearest));
        }
        check("magic", None);
    }

    #[test]
    fn other_names_are_written_as_they_are_looked_up_and_stand_for_one_method() {
        let mut seen = std::collections::HashSet::new();
        // On games no method learns from a file: there these names mean the ones that sample, which come later here.
        let methods = LanguageMethod::NAMES.iter().filter(|name| !["online-dpo", "online-ipo"].contains(name));
        for name in methods {
            for other in LanguageMethod::known_as(name).iter().flat_map(|(others, _)| *others) {
                assert!(*other == other.to_lowercase() && !other.contains([' ', '_']), "{other}");
                assert!(seen.insert(*other), "{other} is known twice");
            }
        }
    }

    #[test]
    fn a_key_of_another_method_is_told_whose_it_is_and_all_problems_are_told() {
        assert_eq!(
            problems("name = 'rloo'\neta = 2\nepsilon = 0.1\nsteps = 'x'\nwrong = 1"),
            [
                "method.epsilon: only grpo has it: the others clip no ratio; remove it, or put it beside name = \"grpo\"",
                "method.eta: only sppo, inpo, mnpo, egpo and omwu have it: the others have no last iterate to be held to; remove it here",
                "method.wrong: there is no such key of rloo",
                "method.steps: string \"x\", expected a whole number, not negative",
            ]
        );
        assert_eq!(problems("steps = 5")[0].split(';').next(), Some("method.name: missing"));
    }

    /// A key that is ignored with exact gradients belongs, with sampled ones, to the methods that use it.
    #[test]
    fn an_ignored_key_has_no_owner_but_those_that_use_it() {
        let problems = |text: &str| {
            let (_, problems) = GameMethodTable(toml::from_str(text).unwrap()).read(&mut Placeholders);
            problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect::<Vec<_>>()
        };
        assert_eq!(problems("name = 'sppo'\nscore_baseline = 0.5"), Vec::<String>::new());
        assert_eq!(
            problems("name = 'sppo'\nscore_baseline = 0.5\ngradient = 'sampled'"),
            [
                "method.score_baseline: only stackelberg-gda, nash-md, rlhf and rloo have it: the others compare responses with \
              each other and subtract nothing else; remove it here"
            ]
        );
    }

    #[test]
    fn every_method_reads_an_empty_table_and_its_keys_have_a_meaning() {
        for methods in [GameMethodTable::methods(), LanguageMethodTable::methods()] {
            for MethodKeys { name, about, keys } in methods {
                assert!(about.ends_with('.'), "{name}");
                let mut names: Vec<&str> = keys.iter().map(|known| known.key.name).collect();
                names.sort_unstable();
                let all = names.len();
                names.dedup();
                assert_eq!(names.len(), all, "{name} asks for a key twice");
                for KeyOfTable { key, schema, .. } in keys {
                    assert!(schema.is_some() && key.about.ends_with('.'), "{name}: {}", key.name);
                }
            }
        }
    }
}
