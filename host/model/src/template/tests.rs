//! What a template becomes, held against what transformers made of it (`tests/fixtures/templates`), and where it ends.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::run::RECURSION_MAX;
use super::*;

/// What transformers made of a template.
#[derive(Deserialize)]
struct Recorded {
    template: String,
    conversation: usize,
    prompt: bool,
    text: Option<String>,
    refused: Option<String>,
}

/// The same for a template that stays where it is.
#[derive(Deserialize)]
struct Named {
    name: String,
    sha256: String,
    conversation: usize,
    prompt: bool,
    text_sha256: Option<String>,
}

fn fixture<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates").join(name);
    let text = std::fs::read_to_string(&path).expect("the fixture is in the repository");
    // A line break of JSON, not one of Unicode's others.
    text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn texts() -> TemplateTexts {
    let named = [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>"), ("unk_token", "<unk>")];
    named.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// What we make of a template, with the whole chain of reasons where it fails.
fn rendered_with(source: &str, messages: &[Message], prompt: bool) -> Result<String, String> {
    let ending = if prompt { Ending::GenerationPrompt } else { Ending::Closed };
    let template = ChatTemplate::compile(Path::new("t"), source.to_owned(), texts(), Thinking::Off);
    template.and_then(|template| template.render(messages, ending)).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    })
}

fn rendered(source: &str) -> Result<String, String> {
    rendered_with(source, &[], false)
}

/// Constructs of Jinja2 or Python that are refused by name.
const UNSUPPORTED: [&str; 6] = [
    "is not supported",
    "are not supported",
    "needs a second template",
    "Python prints its address",
    "use loop.length",
    "half of a pair or no character",
];

/// How many rows agree, which are refused by name, and what of the others is wrong.
fn agreement(rows: &[Recorded]) -> (usize, Vec<&str>, String) {
    let conversations: Vec<Vec<Message>> = fixture("conversations.jsonl");
    let (mut agree, mut unsupported, mut wrong) = (0, Vec::new(), String::new());
    for row in rows {
        let found = rendered_with(&row.template, &conversations[row.conversation], row.prompt);
        match (&found, &row.text) {
            (Ok(found), Some(text)) if found == text => agree += 1,
            (Err(_), None) => agree += 1,
            (Err(reason), Some(_)) if UNSUPPORTED.iter().any(|words| reason.contains(words)) => {
                unsupported.push(row.template.as_str());
            }
            _ => {
                let expected = row.text.as_ref().or(row.refused.as_ref());
                let _ = writeln!(wrong, "{:?}\n  expected {expected:?}\n  found    {found:?}", row.template);
            }
        }
    }
    (agree, unsupported, wrong)
}

#[test]
fn every_construct_renders_as_in_transformers() {
    let rows = fixture("agreement.jsonl");
    let (agree, unsupported, wrong) = agreement(&rows);
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(unsupported, ["{{ 'abc'.encode('utf-8') is defined }}"]);
    assert_eq!(agree, rows.len() - 1);
}

#[test]
fn templates_from_a_grammar_render_as_in_transformers_or_are_refused_by_name() {
    // Another recording: SLHF_TEMPLATE_RECORDING=…/random.jsonl, made by make.py with another seed.
    let rows = match std::env::var_os("SLHF_TEMPLATE_RECORDING") {
        None => fixture("random.jsonl"),
        Some(path) => {
            let text = std::fs::read_to_string(PathBuf::from(path)).expect("a recording");
            text.split('\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_str(line).expect("a row"))
                .collect()
        }
    };
    let (agree, unsupported, wrong) = agreement(&rows);
    assert!(wrong.is_empty(), "{agree} agree, {} are refused by name\n{wrong}", unsupported.len());
    assert!(unsupported.len() * 20 < rows.len(), "of {} are refused: {unsupported:#?}", rows.len());
}

#[test]
#[ignore = "needs TRL 1.16's folder chat_templates in SLHF_TRL_TEMPLATES; its files stay with TRL"]
fn the_templates_of_trl_render_as_in_transformers() {
    let folder = std::env::var_os("SLHF_TRL_TEMPLATES").expect("SLHF_TRL_TEMPLATES names TRL's folder chat_templates");
    let conversations: Vec<Vec<Message>> = fixture("conversations.jsonl");
    let rows: Vec<Named> = fixture("trl.jsonl");
    assert_eq!(rows.len(), 72 * 6);
    let hash = |text: &str| slhf_files::sha256_hex(text);
    for row in rows {
        let source = std::fs::read_to_string(Path::new(&folder).join(&row.name)).expect("a template of TRL");
        assert_eq!(hash(&source), row.sha256, "{}: another version", row.name);
        let found = rendered_with(&source, &conversations[row.conversation], row.prompt);
        assert_eq!(found.as_deref().ok().map(hash), row.text_sha256, "{}: {found:?}", row.name);
    }
}

#[test]
fn a_refusal_is_one_sentence_with_the_line_and_the_construct() {
    let check = |source: &str, expect: &str| assert_eq!(rendered(source), Err(expect.to_owned()), "{source}");
    let compile = |problem: &str| {
        format!("t: the chat template does not compile: {problem}; edit the template, or take another model")
    };
    let render = |problem: &str| format!("t: the chat template cannot render these messages: {problem}");
    check("a\n{% nope %}", &compile("line 2: unknown tag 'nope'"));
    check("{% if 1 %}\n{% for x in y %}\n", &compile("line 2: unexpected end of template; looking for endfor or else"));
    check("{{ 'a' | nope }}", &compile("line 1: No filter named 'nope'"));
    check("\n\n{{ 'a' is nope }}", &compile("line 3: No test named 'nope'"));
    check(
        "{% autoescape true %}{% endautoescape %}",
        &compile("line 1: the tag 'autoescape' is not supported; write the text without it"),
    );
    check(
        "{% include 'x' %}",
        &compile("line 1: the tag 'include' needs a second template, but a chat template stands alone"),
    );
    check("{{ messages[0].nope.x }}", &render("line 1: list object has no element 0"));
    check("\n{{ {'a': 1}.b.c }}", &render("line 2: 'dict object' has no attribute 'b'"));
    check("{{ nosuch + 1 }}", &render("line 1: 'nosuch' is undefined"));
    check("{{ 'a' | tojson(sort=true) }}", &render("line 1: tojson() got an unexpected keyword argument 'sort'"));
    check("{{ 'a' | trim(chars='b', chars='c') }}", &compile("line 1: keyword argument repeated: chars"));
    check("{{ 'a'.strip(1, 2) }}", &render("line 1: strip() takes at most 1 argument(s), but 2 were given"));
    check("{{ 'a' | wordwrap(3) }}", &render("line 1: the filter 'wordwrap' is not supported"));
    check("{{ 'a'.encode() }}", &render("line 1: the attribute 'encode' of a str is not supported"));
    check("{{ [].append(1) }}", &render("line 1: access to attribute 'append' of 'list' object is unsafe."));
    check(
        "{{ strftime_now('%H:%M') }}",
        &render("line 1: strftime_now(\"%H:%M\") asks for %H; the date is always 26 Jul 2024, without a time"),
    );
    check("{{ raise_exception('Roles must alternate') }}", &render("line 1: Roles must alternate"));
    check("{{ lipsum() }}", &render("line 1: the function 'lipsum' is not supported: it writes random words"));
    check("{{ 10 ** 40 }}", &render("line 1: an integer has more than 38 digits; larger ones are not supported"));
    check(
        "{{ [1] | map('upper') }}",
        &render("line 1: a generator has no text: Python prints its address; use the filter list first"),
    );
}

#[test]
fn a_template_ends_at_its_limits_with_a_sentence() {
    let check = |source: &str, expect: &str| {
        let said = rendered(source).expect_err("beyond a limit");
        assert!(said.contains(expect), "{}: {said}", &source[..source.len().min(200)]);
    };
    assert_eq!(rendered("{% for i in range(1000) %}{% endfor %}fine"), Ok("fine".to_owned()));
    let loops = "{% for i in range(99999) %}".repeat(2) + &"{% endfor %}".repeat(2);
    check(&loops, "ran out of fuel: one conversation may take 4000000 steps");
    let calls = |depth: usize| {
        format!("{{% macro m(n) %}}{{% if n %}}{{{{ m(n - 1) }}}}{{% endif %}}{{% endmacro %}}{{{{ m({depth}) }}}}")
    };
    assert_eq!(rendered(&calls(10)), Ok(String::new()));
    check(&calls(RECURSION_MAX + 1), "recursion limit");
    check(&format!("{{#{}#}}", "x".repeat(SOURCE_BYTES_MAX)), "bytes; at most 1048576 are compiled");
    let nested = |open: &str, inner: &str, close: &str, depth: usize| open.repeat(depth) + inner + &close.repeat(depth);
    assert_eq!(rendered(&format!("{{{{ {} }}}}", nested("(", "1", ")", 50))), Ok("1".to_owned()));
    check(&format!("{{{{ {} }}}}", nested("(", "1", ")", 500)), "more than 400 deep");
    check(&format!("{{{{ 1{} }}}}", " + 1".repeat(500)), "more than 400 deep");
    check(&nested("{% if 1 %}", "", "{% endif %}", 500), "more than 400 deep");
}

#[test]
fn what_a_template_makes_of_texts_and_values_costs_steps() {
    let check = |source: &str| {
        let said = rendered(source).expect_err("beyond a limit");
        assert!(said.contains("ran out of fuel"), "{source}: {said}");
    };
    let doubled = |start: &str, step: &str, end: &str| {
        format!(
            "{{% set n = namespace(x={start}) %}}{{% for i in range(60) %}}{{% set n.x = {step} %}}{{% endfor %}}{end}"
        )
    };
    check(&doubled("'ab'", "n.x ~ n.x", ""));
    check(&doubled("'ab'", "n.x + n.x", ""));
    check(&doubled("'ab'", "n.x.replace('a', n.x)", ""));
    check(&doubled("[1]", "n.x + n.x", ""));
    check(&doubled("[1]", "[n.x, n.x]", "{{ n.x }}"));
    check(&doubled("[1]", "[n.x, n.x]", "{{ n.x | tojson }}"));
    let long = "{% set t = 'ab ' * 4000000 %}{% for i in range(1000) %}";
    check(&format!("{long}{{% set n = t | length %}}{{% endfor %}}"));
    check(&format!("{long}{{% set n = t[-1] %}}{{% endfor %}}"));
    check(&format!("{long}{{% set n = t < t %}}{{% endfor %}}"));
    check("{% set t = 'a ' * 5000000 %}{{ t.split() | length }}");
    check("{% set t = 'a\n' * 5000000 %}{{ t.splitlines() | length }}");
    check("{% set t = 'a' * 5000000 %}{{ t | list | length }}");
    check("{% set t = [1] * 1000000 %}{% for i in range(100) %}{% set n = t[1:] %}{% endfor %}");
    check("{{ 'a' * 999999999 }}");
    check("{{ 'a'.center(999999999) }}");
    check("{{ 'a\n' | indent(999999999) }}");
    check("{{ [1] * 999999999 }}");
    // Two values of the same shape and no part in common: each half is compared again and again.
    let two = "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}";
    check(&format!("{two}{{{{ n.x == n.y }}}}"));
    check(&format!("{two}{{{{ n.x in [n.y] }}}}"));
}

#[test]
fn values_may_nest_as_deep_as_fuel_lets_them() {
    let nested = "{% set ns = namespace(x=[]) %}{% for i in range(30000) %}{% set ns.x = [ns.x] %}{% endfor %}fine";
    assert_eq!(rendered(nested), Ok("fine".to_owned()));
}
