//! A table's keys, taken one by one.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{ConstantOr, Key, Problems, constant, in_words, place_of};
use crate::{ControlVariate, Curve, GivenBaseline, PluginPlan, PluginReference};

/// What a plugin is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginUse {
    /// Its scores are rewards: world `reward`.
    Reward,
    /// It says what is subtracted from a score: world `baseline`.
    ScoreBaseline,
}

/// Finds the plugins that a table names.
pub trait FindPlugins {
    /// The plugin that is named at a dotted key; `None` where it cannot be used: the finder keeps the reason.
    fn find(&mut self, key: &str, named: &PluginReference, needed: PluginUse) -> Option<PluginPlan>;
}

/// Takes every plugin to be there: for looking at everything else first.
#[derive(Clone, Copy, Debug)]
pub struct Placeholders;

impl FindPlugins for Placeholders {
    fn find(&mut self, _key: &str, named: &PluginReference, _needed: PluginUse) -> Option<PluginPlan> {
        Some(PluginPlan {
            name: named.plugin.clone(),
            path: String::new(),
            sha256: String::new(),
            parameters: Json::Null,
            limits: named.limits.unwrap_or_default(),
            upstream: None,
            models: std::collections::BTreeMap::new(),
        })
    }
}

/// What becomes of a key that a table may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It decides something.
    Used,
    /// It is accepted, so that one file can vary the method, and decides nothing here.
    Ignored,
}

/// A key that a table may have, as reading it found.
#[derive(Clone, Debug)]
pub struct KeyOfTable {
    /// Name and meaning.
    pub key: Key,
    /// The type, where schemas are asked for.
    pub schema: Option<Schema>,
    /// What it is where it is not given; `None`: nothing.
    pub default: Option<Json>,
    /// What becomes of it.
    pub usage: Usage,
}

/// Reads one table. Every key is asked for once; what is wrong is collected, and reading goes on with the default.
pub struct Reader<'a> {
    table: &'static str,
    given: Table,
    plugins: &'a mut dyn FindPlugins,
    schemas: Option<&'a mut SchemaGenerator>,
    keys: Vec<KeyOfTable>,
    problems: Problems,
    usage: Usage,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, given, problems, .. } = self;
        write!(formatter, "Reader({table}, {given:?} left, {problems:?})")
    }
}

impl<'a> Reader<'a> {
    /// Reads the table that stands at `table`.
    pub fn new(table: &'static str, given: Table, plugins: &'a mut dyn FindPlugins) -> Self {
        Self {
            table,
            given,
            plugins,
            schemas: None,
            keys: Vec::new(),
            problems: Problems::default(),
            usage: Usage::Used,
        }
    }

    /// Notes the types of the keys that are asked for.
    #[must_use]
    pub fn with_schemas(mut self, schemas: &'a mut SchemaGenerator) -> Self {
        self.schemas = Some(schemas);
        self
    }

    /// Whether a key was given that was not asked for yet.
    #[must_use]
    pub fn is_given(&self, key: Key) -> bool {
        self.given.contains_key(key.name)
    }

    /// The dotted key.
    #[must_use]
    pub fn dotted(&self, key: Key) -> String {
        format!("{}.{}", self.table, key.name)
    }

    /// Something is wrong with a key.
    pub fn problem(&mut self, key: Key, problem: impl Into<String>) {
        let key = self.dotted(key);
        self.problems.push(key, problem);
    }

    /// Reads keys that are accepted and decide nothing.
    pub fn ignoring<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.usage, Usage::Ignored);
        let found = read(self);
        self.usage = before;
        found
    }

    /// A value that may be absent.
    pub fn optional<T: DeserializeOwned + JsonSchema>(&mut self, key: Key) -> Option<T> {
        self.take::<T, T>(key, None, |value| value)
    }

    /// A value with its default.
    pub fn or<T: DeserializeOwned + JsonSchema + Serialize>(&mut self, key: Key, default: T) -> T {
        let shown = serde_json::to_value(&default).ok();
        self.take::<T, T>(key, shown, |value| value).unwrap_or(default)
    }

    /// A value with shorthands, which `expand` writes out; `S` is its schema.
    pub fn expanded<T: DeserializeOwned, S: JsonSchema>(
        &mut self,
        key: Key,
        default: Option<Json>,
        expand: fn(Value) -> Value,
    ) -> Option<T> {
        self.take::<T, S>(key, default, expand)
    }

    /// A number, or a curve over the run.
    pub fn curve(&mut self, key: Key, default: f64) -> Curve {
        let shown = Some(Json::from(default));
        let found = self.take::<Curve, ConstantOr<Curve>>(key, shown, constant);
        found.unwrap_or(Curve::Constant { value: default })
    }

    /// A plugin that may be absent.
    pub fn plugin(&mut self, key: Key, needed: PluginUse) -> Option<PluginPlan> {
        let named = self.optional::<PluginReference>(key)?;
        let dotted = self.dotted(key);
        self.plugins.find(&dotted, &named, needed)
    }

    /// A control variate: a number or a table.
    pub fn score_baseline(&mut self, key: Key, default: &ControlVariate) -> ControlVariate {
        let shown = match default {
            ControlVariate::Constant { value } => Some(Json::from(*value)),
            other => serde_json::to_value(other).ok(),
        };
        let found = self.take::<GivenBaseline, ConstantOr<GivenBaseline>>(key, shown, constant);
        let dotted = self.dotted(key);
        let variate = |given: GivenBaseline| match given.in_the_plan() {
            Ok(variate) => Some(variate),
            Err(named) => {
                let plugin = Box::new(self.plugins.find(&dotted, &named, PluginUse::ScoreBaseline)?);
                Some(ControlVariate::Plugin { plugin })
            }
        };
        found.and_then(variate).unwrap_or_else(|| default.clone())
    }

    fn take<T: DeserializeOwned, S: JsonSchema>(
        &mut self,
        key: Key,
        default: Option<Json>,
        expand: fn(Value) -> Value,
    ) -> Option<T> {
        let schema = self.schemas.as_mut().map(|schemas| schemas.subschema_for::<S>());
        self.keys.push(KeyOfTable { key, schema, default, usage: self.usage });
        let value = expand(self.given.remove(key.name)?);
        match serde_path_to_error::deserialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let path = error.path().to_string();
                let key = match path.as_str() {
                    "." => self.dotted(key),
                    path if path.starts_with('[') => format!("{}{path}", self.dotted(key)),
                    path => format!("{}.{path}", self.dotted(key)),
                };
                let (key, problem) = place_of(&key, in_words(error.inner().message()));
                self.problems.push(key, problem);
                None
            }
        }
    }

    /// Ends reading: the keys that were asked for, the names of those that nobody asked for, sorted, and everything that is wrong.
    #[must_use]
    pub fn finish(self) -> (Vec<KeyOfTable>, Vec<String>, Problems) {
        let mut left: Vec<String> = self.given.into_iter().map(|(key, _)| key).collect();
        left.sort_unstable();
        (self.keys, left, self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Key = Key::new("steps", "Steps.");
    const RATE: Key = Key::new("rate", "A rate.");

    #[test]
    fn reading_goes_on_after_a_problem_and_tells_all() {
        let given = toml::from_str("steps = 'many'\nrate = {kind = 'linear', start = 1, end = 'x'}\nmore = 1").unwrap();
        let mut plugins = Placeholders;
        let mut reader = Reader::new("method", given, &mut plugins);
        assert_eq!(reader.or(STEPS, 5_u64), 5);
        assert_eq!(reader.curve(RATE, 0.5), Curve::Constant { value: 0.5 });
        let (keys, left, problems) = reader.finish();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].default, Some(Json::from(5)));
        assert_eq!(left, ["more"]);
        let found: Vec<String> = problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect();
        assert_eq!(found[0], "method.steps: string \"many\", expected a whole number, not negative");
        assert!(found[1].starts_with("method.rate"), "{found:?}");
    }
}
