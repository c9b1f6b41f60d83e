//! Short names of dotted keys, for people: `kappa` for `schedule.kappa.value` where no other key ends so.

use std::collections::{BTreeMap, BTreeSet};

/// The shortest ending of each key that no other of these keys shares, without a last `.value`.
///
/// ```
/// let short = slhf_words::short_keys(["schedule.kappa.value", "method.steps", "device.steps"]);
/// assert_eq!(short["schedule.kappa.value"], "kappa");
/// assert_eq!(short["method.steps"], "method.steps");
/// ```
pub fn short_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, &'a str> {
    let keys: BTreeSet<&str> = keys.into_iter().collect();
    let mut short: BTreeMap<&str, &str> = keys.iter().map(|key| (*key, ending(key, 1))).collect();
    let deepest = keys.iter().map(|key| key.split('.').count()).max().unwrap_or(1);
    for segments in 2..=deepest + 1 {
        let shared = shared(&short);
        for (key, name) in &mut short {
            if shared.contains(name) {
                *name = ending(key, segments);
            }
        }
    }
    short
}

/// Labels of cells (`schedule.kappa.value=1, A`) with short keys; what is no `key=value` stays as it is.
pub fn short_labels(labels: &[&str]) -> Vec<String> {
    let keys = labels.iter().flat_map(|label| label.split(", ")).filter_map(dotted_key);
    let short = short_keys(keys);
    let part = |part: &str| match dotted_key(part) {
        Some(key) => format!("{}{}", short.get(key).copied().unwrap_or(key), &part[key.len()..]),
        None => part.to_owned(),
    };
    labels.iter().map(|label| label.split(", ").map(part).collect::<Vec<_>>().join(", ")).collect()
}

/// The last so many segments; more than there are: the whole key.
fn ending(key: &str, segments: usize) -> &str {
    let plain = key.strip_suffix(".value").unwrap_or(key);
    if segments > plain.split('.').count() {
        return key;
    }
    match plain.rmatch_indices('.').nth(segments - 1) {
        Some((dot, _)) => &plain[dot + 1..],
        None => plain,
    }
}

fn shared<'a>(short: &BTreeMap<&'a str, &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    short.values().copied().filter(|name| !seen.insert(*name)).collect()
}

/// The key of `key=value`, where it is a dotted one.
fn dotted_key(part: &str) -> Option<&str> {
    let (key, _) = part.split_once('=')?;
    let is_key = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    (key.contains('.') && key.chars().all(is_key)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_short_as_they_can_be_told_apart() {
        let check = |keys: &[&str], expected: &[&str]| {
            let short = short_keys(keys.iter().copied());
            let found: Vec<&str> = keys.iter().map(|key| short[key]).collect();
            assert_eq!(found, expected, "{keys:?}");
        };
        check(&["schedule.kappa.value"], &["kappa"]);
        check(&["schedule.kappa.value", "method.kappa"], &["schedule.kappa", "method.kappa"]);
        check(&["kappa", "schedule.kappa.value"], &["kappa", "schedule.kappa"]);
        check(&["a.b", "a.b.value"], &["a.b", "a.b.value"]);
        check(&["x.a.b", "y.a.b", "c"], &["x.a.b", "y.a.b", "c"]);
        check(&["seed", "value"], &["seed", "value"]);
        check(&[], &[]);
    }

    #[test]
    fn labels_are_shortened_alike_and_others_are_left() {
        let labels =
            ["schedule.kappa.value=1, method.beta=0.1", "schedule.kappa.value=linear(start 1, end 5)", "A", "x=1"];
        assert_eq!(short_labels(&labels), ["kappa=1, beta=0.1", "kappa=linear(start 1, end 5)", "A", "x=1"]);
        assert_eq!(short_labels(&["a.b=1", "c.b=1"]), ["a.b=1", "c.b=1"]);
    }
}
