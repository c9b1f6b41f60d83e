//! The words of this project: plain American English of the field. Docs, help, descriptions and messages are searched for
//! words that a reader who knows the field would have to guess. Names in formats (keys, columns, metrics, flags) are not
//! prose: they stand in code spans, or are listed beside their word.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A word that prose does not use.
struct Word {
    /// A regular expression, matched without regard to case.
    pattern: &'static str,
    /// What prose uses in its place.
    plain: &'static str,
    /// Phrases in which it is right: another meaning, or a name in a format.
    allowed: &'static [&'static str],
}

/// A word that is wrong wherever it stands.
const fn word(pattern: &'static str, plain: &'static str) -> Word {
    Word { pattern, plain, allowed: &[] }
}

const WORDS: &[Word] = &[
    word(r"\bcame of\b", "results"),
    word(r"\bwanted\b", "target, expected or asked for"),
    word(r"\bcircl(e|es|ed|ing)\b", "cycle"),
    word(r"\bslopes?\b", "gradient (of a loss), coefficient (of a regression)"),
    word(r"\bworth\b", "reward, advantage or value"),
    Word {
        pattern: r"\banswer(s|ed|ing)?\b",
        plain: "response or completion (of a policy), action (of a game), result (of a call), covers (a finished run)",
        // The default instruction is a value that plans hold; the names of views are formats.
        allowed: &[
            "Improve the previous answer. Phrase it as if",
            "## answers",
            "## `[answers]`",
            "data.answers",
            "answers.gradient",
            "answers.reference",
            // A game of a recorded experiment.
            "five answers",
        ],
    },
    word(r"\bnobody (is|was|are|were) trained\b|\bthat nobody trains\b", "held-out"),
    // The noun. Steps and programs may measure.
    word(
        r"\b(an?|the|each|every|no|one|such|what|judges and|plugins and|judges or) measures?\b|\bmeasures? (and|or|that|whose|scores)\b|#+ measures?\b|, measures\b|\ba reward or a measure\b",
        "metric",
    ),
    word(
        r"\b(is|are|was|were|be|been) told\b|\btold (apart|right|by|as|with)\b",
        "is reported, identified, recognized, given",
    ),
    word(r"\b(says?|said) so\b", "reports it, or what it reports"),
    word(r"\blikeliest\b", "most likely"),
    word(r"\brivals?\b", "baseline, alternative, other methods"),
    word(r"\b(the|this) house\b", "the code"),
    word(r"\bthe dial\b", "the coefficient, or the setting"),
    word(r"\bgo(es)? round\b", "form(s) a cycle"),
    word(r"\b(a|of) strangers?('s)?\b", "untrusted, third-party"),
    // British spellings.
    Word {
        pattern: r"\b(un|re|de|over-|pre|dis)?(optim|normal|regular|real|general|linear|quant|token|parametr|parameter|initial|serial|deserial|symmetr|minim|maxim|penal|random|organ|recogn|summar|visual|standard|special|material|synchron|util|character|emphas|factor|categor|discret|final|local|priorit)is(e|es|ed|er|ers|ing|ation|ations|able)\b",
        plain: "-ize, -ization",
        allowed: &["schedule.realisation", "realisation = ", "### Realisation"],
    },
    word(r"\bbehaviour\w*\b", "behavior"),
    word(r"\b(colour|favour|honour|neighbour|labour|flavour|vapour|rumour)\w*\b", "-or: color, favor, honor"),
    word(r"\b(label|model|cancel|travel|signal|marshal|channel|total|level)l(ed|ing|er)\b", "one l: labeled, canceled"),
    Word { pattern: r"\bartefacts?\b", plain: "artifact", allowed: &["## artefacts"] },
    word(r"\b(re)?centre[sd]?\b", "center"),
    word(r"\banalys(e|es|ed|ing)\b", "analyze"),
    word(
        r"\b(catalogue|grey|whilst|amongst|licence|judgement|ageing|sceptical|practise[sd]?)\b",
        "the American spelling",
    ),
];

/// Where a word stands that prose does not use, one line each.
fn found(text: &Passage, words: &[(Regex, &Word)]) -> Vec<String> {
    let mut found = Vec::new();
    for (pattern, word) in words {
        let mut prose = text.prose.clone();
        for phrase in word.allowed {
            prose = prose.replace(phrase, "");
        }
        for hit in pattern.find_iter(&prose) {
            found.push(format!("{}: \"{}\"; plain: {}; in: {}", text.place, hit.as_str(), word.plain, prose.trim()));
        }
    }
    found
}

/// A piece of prose, and where it stands.
struct Passage {
    place: String,
    prose: String,
}

/// Prose without code spans, placeholders and targets of links.
fn bare(prose: &str) -> String {
    let names = Regex::new(r"`[^`]*`|\{[^{}\s]*\}|\]\([^)]*\)").expect("the pattern compiles");
    names.replace_all(prose, "_").into_owned()
}

/// The prose of a Markdown page: no blocks of code, no folded parts of a result (a recorded TOML, recorded responses), and no
/// quoted questions, which are the record's.
fn markdown(place: &str, text: &str) -> Vec<Passage> {
    let is_result = place.starts_with("docs/results/");
    let is_help = place == "docs/reference/cli.md";
    let (mut is_code, mut is_folded) = (false, false);
    let mut passages = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if line.starts_with("<details>") {
            is_folded = is_result;
        } else if line.starts_with("</details>") {
            is_folded = false;
        } else if is_result && (line.starts_with("**Asked:**") || place.ends_with("README.md") && line.starts_with('|'))
        {
        } else if is_help || !is_code && !is_folded && !line.starts_with("    ") {
            passages.push(Passage { place: format!("{place}:{}", index + 1), prose: bare(line) });
        }
    }
    passages
}

/// All descriptions of a JSON Schema.
fn descriptions(place: &str, value: &serde_json::Value, passages: &mut Vec<Passage>) {
    match value {
        serde_json::Value::Object(map) => {
            if let Some(text) = map.get("description").and_then(serde_json::Value::as_str) {
                passages.push(Passage { place: place.to_owned(), prose: bare(text) });
            }
            map.values().for_each(|value| descriptions(place, value, passages));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| descriptions(place, value, passages)),
        _ => {}
    }
}

/// The string literals of a Rust source that may be sentences: they have a space and are no SQL. What stands behind
/// `#[cfg(test)] mod` is left out.
fn literals(place: &str, source: &str) -> Vec<Passage> {
    let token = Regex::new(
        r##"(?s)//[^\n]*|/\*.*?\*/|\bb?r#"(?<raw>.*?)"#|\bb?r"(?<plain_raw>[^"]*)"|"(?<text>(?:[^"\\]|\\.)*)"|'(?:[^'\\]|\\[^\n]{1,8}?)'"##,
    )
    .expect("the pattern compiles");
    let tests = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\(crate\))? )?mod \w+ \{").expect("the pattern compiles");
    let joined = Regex::new(r"\\\n\s*").expect("the pattern compiles");
    let sql = Regex::new(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|JOIN)\b").expect("the pattern compiles");
    let source = tests.find(source).map_or(source, |tests| &source[..tests.start()]);
    token
        .captures_iter(source)
        .filter_map(|hit| hit.name("raw").or(hit.name("plain_raw")).or(hit.name("text")))
        .filter(|text| text.as_str().contains(' ') && !sql.is_match(text.as_str()))
        .map(|text| {
            let line = source[..text.start()].matches('\n').count() + 1;
            Passage { place: format!("{place}:{line}"), prose: bare(&joined.replace_all(text.as_str(), "")) }
        })
        .collect()
}

/// All files below a folder with one of these endings, by their paths from the root.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("a text file of the repository")
}

fn refuse(passages: &[Passage]) {
    let words: Vec<(Regex, &Word)> = WORDS
        .iter()
        .map(|word| (Regex::new(&format!("(?i){}", word.pattern)).expect("the pattern compiles"), word))
        .collect();
    let found: Vec<String> = passages.iter().flat_map(|passage| found(passage, &words)).collect();
    assert!(passages.len() > 100, "hardly anything was searched: {} passages", passages.len());
    assert!(found.is_empty(), "{} words that prose does not use:\n{}", found.len(), found.join("\n"));
}

#[test]
fn documents_are_in_plain_words() {
    let mut names = files("docs", &[".md"]);
    names.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(str::to_owned));
    let passages: Vec<Passage> = names.iter().flat_map(|name| markdown(name, &read(name))).collect();
    refuse(&passages);
}

#[test]
fn descriptions_of_settings_are_in_plain_words() {
    let mut passages = Vec::new();
    for name in files("docs/reference", &[".json"]) {
        let schema: serde_json::Value = serde_json::from_str(&read(&name)).expect("a schema");
        descriptions(&name, &schema, &mut passages);
    }
    refuse(&passages);
}

#[test]
fn messages_are_in_plain_words() {
    let names = files("host", &[".rs"]).into_iter().chain(files("xtask/src", &[".rs"]));
    let passages: Vec<Passage> = names
        .filter(|name| name.contains("/src/") && !name.ends_with("tests.rs") && !name.contains("/tests/"))
        .flat_map(|name| literals(&name, &read(&name)))
        .collect();
    refuse(&passages);
}

/// The first page: it fits a screen, and opens with a picture of a result.
#[test]
fn the_readme_fits_a_screen_and_opens_with_a_result() {
    let text = read("README.md");
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "lines of more than 100 columns in README.md:\n{}", wide.join("\n"));
    let picture = Regex::new(r"^# [^\n]+\n\n!\[[^\]]+\]\((docs/results/[^)]+\.svg)\)\n").expect("the pattern compiles");
    let found = picture.captures(&text).expect("README.md opens with a picture from docs/results");
    assert!(root().join(&found[1]).is_file(), "{} is there", &found[1]);
    for command in ["cargo xtask lab run experiments/quickstart.toml", "cargo xtask test"] {
        assert!(text.contains(&format!("\n    {command} ")), "README.md has the command `{command}`");
    }
}

/// The scanners find a word where it stands in prose, and leave names in code alone.
#[test]
fn the_search_sees_prose_and_nothing_else() {
    let page = "The `slope` is fine.\n    slope = 1\n```\nslope\n```\nThe slope is not.\n";
    let source = "// a slope\nfn f() { g(\"slope\"); g(\"its slope {slope}\"); g(r#\"a slope\"#); h('\"'); }\n#[cfg(test)]\nmod tests {\n\"a slope\"}";
    let words = [(Regex::new(r"\bslopes?\b").expect("the pattern compiles"), &word(r"\bslopes?\b", "gradient"))];
    let places = |passages: &[Passage]| -> Vec<String> {
        passages
            .iter()
            .filter(|passage| !found(passage, &words).is_empty())
            .map(|passage| passage.place.clone())
            .collect()
    };
    assert_eq!(places(&markdown("page.md", page)), ["page.md:6"]);
    assert_eq!(places(&literals("f.rs", source)), ["f.rs:2", "f.rs:2"]);
}
