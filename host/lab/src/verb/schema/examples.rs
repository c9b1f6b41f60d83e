//! A value for each key of an experiment, written once (for `[method]` where a method declares the key); the reference page shows them,
//! and a test reads them all.

use slhf_plan::MethodKeys;
use slhf_plan::settings::Key;
use toml::{Table, Value};

/// Of a finite game.
pub(super) const GAME: &str = include_str!("examples-game.toml");
/// Of a language model.
pub(super) const LANGUAGE_MODEL: &str = include_str!("examples-language-model.toml");

/// Of a reward model.
pub(super) const REWARD_MODEL: &str = include_str!("examples-reward-model.toml");

/// The examples of one kind.
#[derive(Clone, Debug)]
pub(super) struct Examples(pub(super) Table);

impl Examples {
    /// Reads them.
    pub(super) fn of(text: &str) -> Self {
        // A test reads both texts; a text that were none would leave the page without examples, and the test red.
        Self(toml::from_str(text).unwrap_or_default())
    }

    /// With a value for each key of `[method]`: those that the methods say themselves, of several with the same key the first.
    pub(super) fn with_methods(mut self, methods: &[MethodKeys], example: impl Fn(Key) -> &'static str) -> Self {
        let mut values = Table::new();
        for known in methods.iter().flat_map(|method| &method.keys) {
            let name = known.key.name;
            // A test asks for all: what is no TOML stays without an example.
            let line = toml::from_str::<Table>(&format!("{name} = {}", example(known.key)));
            if let Some(value) = line.ok().and_then(|mut line| line.remove(name))
                && !values.contains_key(name)
            {
                values.insert(name.to_owned(), value);
            }
        }
        self.0.insert("method".to_owned(), Value::Table(values));
        self
    }

    /// `key = value`, as a TOML has it below the header of `section` (dotted; of a list of tables the first).
    pub(super) fn line(&self, section: &str, key: &str) -> Option<String> {
        let value = self.table(section)?.get(key)?;
        Some(format!("{key} = {}", in_line(value)))
    }

    fn table(&self, section: &str) -> Option<&Table> {
        let mut table = &self.0;
        for name in section.split('.').filter(|name| !name.is_empty()) {
            table = match table.get(name)? {
                Value::Table(table) => table,
                Value::Array(tables) => tables.first()?.as_table()?,
                _ => return None,
            };
        }
        Some(table)
    }
}

/// A value on one line: inline tables have blanks inside their braces.
pub(super) fn in_line(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let fields: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", in_line(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(in_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
