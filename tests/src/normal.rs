//! What differs from machine to machine, from run to run, or with every new method, replaced by its name.

use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;

/// In the order in which they are applied.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\b[0-9a-f]{64}\b", "[SHA256]"),
        (r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?", "[TIME]"),
        (r"\b\d+(\.\d+)? ?(ns|µs|ms|s|min|h)\b", "[DURATION]"),
        (r"\b\d+(\.\d+)? ?(KiB|MiB|GiB|kB|MB|GB)/s\b", "[SPEED]"),
    ]
    .into_iter()
    .map(|(pattern, name)| (pattern.to_owned(), name))
    .chain([(lists_of_methods(), "[METHODS]")])
    .map(|(pattern, name)| (Regex::new(&pattern).expect("the pattern is valid"), name))
    .collect()
});

/// Three methods or more in a sentence: a new method is no reason to read snapshots again.
fn lists_of_methods() -> String {
    let mut names: Vec<&str> = slhf_plan::MethodName::ALL.iter().map(|name| name.as_str()).collect();
    // One name may begin with another.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let name = format!("(?:{})", names.join("|"));
    format!(r"\b{name}(?:(?:, {name})+ and {name}|(?:, {name}){{2,}})(?: and \d+ more)?\b")
}

/// Replaces folders first (longest first, so that a folder inside another keeps its own name), then patterns.
pub(crate) fn normal(text: &str, folders: &[(PathBuf, &str)]) -> String {
    let mut folders: Vec<(String, &str)> =
        folders.iter().map(|(path, name)| (path.display().to_string(), *name)).collect();
    folders.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    let mut text = text.to_owned();
    for (path, name) in folders {
        text = text.replace(&path, name);
    }
    for (pattern, name) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_named() {
        let folders = [(PathBuf::from("/tmp/a"), "[FOLDER]"), (PathBuf::from("/tmp/a/b"), "[INNER]")];
        let check = |text: &str, expected: &str| assert_eq!(normal(text, &folders), expected);
        check("/tmp/a/x.toml and /tmp/a/b/y", "[FOLDER]/x.toml and [INNER]/y");
        check("finished in 1.25 s at 2026-11-23T15:00:00Z", "finished in [DURATION] at [TIME]");
        check(&format!("hash {}", "0a".repeat(32)), "hash [SHA256]");
        check(
            "only sppo and inpo have it; known are rloo, grpo, sft",
            "only sppo and inpo have it; known are [METHODS]",
        );
        check("only rloo, grpo and sft have it", "only [METHODS] have it");
        check("gap 0.25, 3 seeds, step 100", "gap 0.25, 3 seeds, step 100");
    }
}
