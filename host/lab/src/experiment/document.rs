//! A TOML document as a tree: dotted keys, overrides, merging, shorthands.

use toml::{Table, Value};

/// Keys where a bare number stands for a constant curve.
const CONSTANTS: [&str; 5] = [
    "schedule.kappa",
    "schedule.learning_rate",
    "schedule.follower_learning_rate",
    "method.mixture_coef",
    "method.score_baseline",
];

/// Sets `key`, making the tables on the way. The error names the part that is no table.
pub(crate) fn set(document: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let mut parts: Vec<&str> = key.split('.').map(str::trim).collect();
    let last = parts.pop().unwrap_or_default();
    let mut table = document;
    for (depth, part) in parts.iter().enumerate() {
        let entry = table.entry((*part).to_owned()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            let whole = parts[..=depth].join(".");
            return Err(format!("{whole} is {}, so it has no {last}", entry.type_str()));
        };
        table = inner;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// Merges `part` into `document`: tables field by field, everything else replaced. A table that says its own `kind` is
/// another thing than the one before, so it replaces it as a whole.
pub(crate) fn merge(document: &mut Table, part: &Table) {
    for (key, value) in part {
        match (document.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if !new.contains_key("kind") => merge(old, new),
            _ => {
                document.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The dotted keys of a tree's leaves; a table with a `kind` and a list are leaves.
pub(crate) fn leaves(table: &Table) -> Vec<String> {
    fn walk(prefix: &str, table: &Table, found: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(inner) if !inner.contains_key("kind") => walk(&path, inner, found),
                _ => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk("", table, &mut found);
    found
}

/// Whether one of two dotted keys is the other, or lies inside it.
pub(crate) fn overlap(first: &str, second: &str) -> bool {
    let inside = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    first == second || inside(first, second) || inside(second, first)
}

/// Writes shorthands out: a number where a curve is expected, a string where pairs are.
pub(crate) fn expand_shorthands(document: &mut Table) {
    for key in CONSTANTS {
        if let Some(value) = find(document, key)
            && let Some(number) = value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
        {
            *value = tagged("constant", Some(number));
        }
    }
    if let Some(value) = find(document, "method.pairs")
        && let Some(kind) = value.as_str().map(str::to_owned)
    {
        *value = tagged(&kind, None);
    }
    // A language model's reward is a plugin, which has no shorthand.
    if document.get("kind").and_then(Value::as_str) == Some("game")
        && let Some(value) = find(document, "method.reward")
    {
        if let Some(kind) = value.as_str().map(str::to_owned) {
            *value = tagged(&kind, None);
        } else if value.is_array() {
            let mut table = Table::new();
            table.insert("kind".to_owned(), Value::String("scores".to_owned()));
            table.insert("scores".to_owned(), value.clone());
            *value = Value::Table(table);
        }
    }
}

fn tagged(kind: &str, value: Option<f64>) -> Value {
    let mut table = Table::new();
    table.insert("kind".to_owned(), Value::String(kind.to_owned()));
    if let Some(value) = value {
        table.insert("value".to_owned(), Value::Float(value));
    }
    Value::Table(table)
}

fn find<'a>(document: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let value = document.get_mut(first)?;
    match rest {
        None => Some(value),
        Some(rest) => find(value.as_table_mut()?, rest),
    }
}

/// A value on one line, as a label shows it: `5`, `a`, `linear(start 1, end 5)`.
pub(crate) fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(short).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let kind = table.get("kind").and_then(Value::as_str).unwrap_or_default();
            let rest = table.iter().filter(|(key, _)| *key != "kind");
            let rest: Vec<String> = rest.map(|(key, value)| format!("{key} {}", short(value))).collect();
            if rest.is_empty() { kind.to_owned() } else { format!("{kind}({})", rest.join(", ")) }
        }
        Value::Float(number) => format!("{number}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_table_with_a_kind_replaces_others_are_merged() {
        let mut document = table("[schedule]\nwarmup_steps = 3\nkappa = {kind = 'linear', start = 1, end = 2}");
        merge(&mut document, &table("schedule = {kappa = {kind = 'constant', value = 5}}"));
        assert_eq!(document, table("[schedule]\nwarmup_steps = 3\nkappa = {kind = 'constant', value = 5}"));
    }

    #[test]
    fn keys_are_set_and_tables_made_on_the_way() {
        let mut document = table("name = 'a'");
        set(&mut document, "method.initial.logit_scale", 2.into()).unwrap();
        assert_eq!(document, table("name = 'a'\n[method.initial]\nlogit_scale = 2"));
        assert_eq!(set(&mut document, "name.x", 1.into()), Err("name is string, so it has no x".to_owned()));
    }

    #[test]
    fn a_number_is_a_constant_curve() {
        let mut document = table("method = {pairs = 'counts', mixture_coef = 0}\nschedule = {kappa = 2.5}");
        expand_shorthands(&mut document);
        let expected = table(
            "method = {pairs = {kind = 'counts'}, mixture_coef = {kind = 'constant', value = 0.0}}\n\
             schedule = {kappa = {kind = 'constant', value = 2.5}}",
        );
        assert_eq!(document, expected);
    }

    #[test]
    fn a_name_or_a_list_is_a_reward_of_a_game() {
        let check = |text: &str, expected: &str| {
            let mut document = table(text);
            expand_shorthands(&mut document);
            assert_eq!(document, table(expected));
        };
        check("kind = 'game'\nmethod.reward = 'verdicts'", "kind = 'game'\nmethod.reward = {kind = 'verdicts'}");
        check(
            "kind = 'game'\nmethod.reward = [1.0, 0.5]",
            "kind = 'game'\nmethod.reward = {kind = 'scores', scores = [1.0, 0.5]}",
        );
        check("kind = 'language-model'\nmethod.reward = 'a'", "kind = 'language-model'\nmethod.reward = 'a'");
    }

    #[test]
    fn keys_overlap_by_whole_names() {
        assert!(overlap("schedule.kappa", "schedule.kappa.value") && overlap("a.b", "a"));
        assert!(!overlap("schedule.kappa", "schedule.kappas") && !overlap("a.b", "a.c"));
    }
}
