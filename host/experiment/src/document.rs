//! A TOML document as a tree: dotted keys, overrides, merging, shorthands.

use slhf_plan::settings::constant;
use toml::{Table, Value};

/// Keys of `[schedule]` where a bare number stands for a constant curve. `[method]` reads its own.
const CONSTANTS: [&str; 3] = ["schedule.kappa", "schedule.learning_rate", "schedule.follower_learning_rate"];

/// Sets `key`, making the tables on the way. The error names the part that is no table.
pub(crate) fn set(document: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let mut parts: Vec<&str> = key.split('.').map(str::trim).collect();
    let last = parts.pop().unwrap_or_default();
    let mut table = document;
    for (depth, part) in parts.iter().enumerate() {
        let entry = table.entry((*part).to_owned()).or_insert_with(|| Value::Table(Table::new()));
        // A number stands for a constant, which has fields.
        if matches!(entry, Value::Integer(_) | Value::Float(_)) {
            *entry = constant(entry.clone());
        }
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

/// Writes shorthands out: a number where a curve is expected.
pub(crate) fn expand_shorthands(document: &mut Table) {
    for key in CONSTANTS {
        if let Some(value) = find(document, key) {
            *value = constant(value.clone());
        }
    }
}

/// Removes the value at a dotted path with indices, such as `evaluation.judges[1].plugin`. Whether there was one.
pub(crate) fn remove(document: &mut Table, path: &str) -> bool {
    let (parent, last) = path.rsplit_once('.').map_or(("", path), |(parent, last)| (parent, last));
    let mut table = document;
    for part in parent.split('.').filter(|part| !part.is_empty()) {
        let (name, indices) = indexed(part);
        let Some(mut value) = table.get_mut(name) else { return false };
        for index in indices {
            let Some(item) = value.as_array_mut().and_then(|items| items.get_mut(index)) else { return false };
            value = item;
        }
        let Value::Table(inner) = value else { return false };
        table = inner;
    }
    // An item of a list goes with its list: the rest of it would be another list.
    table.remove(indexed(last).0).is_some()
}

/// `judges[1]` as its name and its indices.
fn indexed(part: &str) -> (&str, Vec<usize>) {
    let (name, rest) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
    (name, rest.split('[').filter_map(|index| index.strip_suffix(']')?.parse().ok()).collect())
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
        let mut document = table("schedule = {kappa = 2.5}\nmethod = {mixture_coef = 0}");
        expand_shorthands(&mut document);
        set(&mut document, "method.mixture_coef.value", 1.into()).unwrap();
        let expected = table(
            "method = {mixture_coef = {kind = 'constant', value = 1}}\n\
             schedule = {kappa = {kind = 'constant', value = 2.5}}",
        );
        assert_eq!(document, expected);
    }

    #[test]
    fn a_value_is_removed_where_its_path_says() {
        let check = |path: &str, expected: Option<&str>| {
            let mut document = table("a = {b = 1, c = [{d = 2, e = 3}, {d = 4}]}\nf = [1, 2]");
            let removed = remove(&mut document, path);
            assert_eq!(removed.then_some(document), expected.map(table), "{path}");
        };
        check("a.b", Some("a = {c = [{d = 2, e = 3}, {d = 4}]}\nf = [1, 2]"));
        check("a.c[1].d", Some("a = {b = 1, c = [{d = 2, e = 3}, {}]}\nf = [1, 2]"));
        check("f[1]", Some("a = {b = 1, c = [{d = 2, e = 3}, {d = 4}]}"));
        check("a.x", None);
        check("a.c[2].d", None);
        check("f.x", None);
    }

    #[test]
    fn keys_overlap_by_whole_names() {
        assert!(overlap("schedule.kappa", "schedule.kappa.value") && overlap("a.b", "a"));
        assert!(!overlap("schedule.kappa", "schedule.kappas") && !overlap("a.b", "a.c"));
    }
}
