//! `--set key=value`.

use std::str::FromStr;

/// One override: it applies to the TOML before the grid is expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOverride {
    /// Dotted key.
    pub key: String,
    /// The value: TOML where it parses as TOML, else the text itself.
    pub value: toml::Value,
}

impl FromStr for SetOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("expected key=value, for example method.steps=500".to_owned());
        };
        let key = key.trim();
        if key.is_empty() || key.split('.').any(|part| part.trim().is_empty()) {
            return Err(format!("\"{key}\" is no key; expected dotted names, for example method.steps=500"));
        }
        Ok(Self { key: key.to_owned(), value: value_of(value.trim()) })
    }
}

/// TOML first, so that numbers, lists and tables are what they look like; anything else is a string.
fn value_of(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_or_else_text() {
        let check = |text: &str, key: &str, expected: toml::Value| {
            assert_eq!(text.parse::<SetOverride>().unwrap(), SetOverride { key: key.to_owned(), value: expected });
        };
        check("method.steps=500", "method.steps", toml::Value::Integer(500));
        check("game.tau_leader = 0.5", "game.tau_leader", toml::Value::Float(0.5));
        check("method.name=rlhf", "method.name", toml::Value::String("rlhf".into()));
        check("method.name=\"rlhf\"", "method.name", toml::Value::String("rlhf".into()));
        check("question=a = b", "question", toml::Value::String("a = b".into()));
        check("seeds=[1, 2]", "seeds", toml::Value::Array(vec![1.into(), 2.into()]));
    }

    #[test]
    fn a_text_that_would_smuggle_in_a_second_key_is_text() {
        let set: SetOverride = "name=1\nkind = 2".parse().unwrap();
        assert_eq!(set.value, toml::Value::String("1\nkind = 2".into()));
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        for text in ["method.steps", "=5", "method..steps=5"] {
            assert!(text.parse::<SetOverride>().is_err(), "{text}");
        }
    }
}
