//! What a template becomes, and where it ends.

use std::path::Path;

use super::run::RECURSION_MAX;
use super::*;

fn rendered(source: &str) -> Result<String, String> {
    let template = ChatTemplate::compile(Path::new("t"), source.to_owned(), TemplateTexts::default(), Thinking::Off);
    template.and_then(|template| template.render(&[], Ending::Closed)).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error} {source}")
    })
}

#[test]
fn a_template_ends_at_its_limits_with_a_sentence() {
    let check = |source: &str, expect: &str| {
        let said = rendered(source).expect_err("beyond a limit");
        assert!(said.contains(expect), "{source}: {said}");
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
}

#[test]
fn values_may_nest_as_deep_as_fuel_lets_them() {
    let nested = "{% set ns = namespace(x=[]) %}{% for i in range(30000) %}{% set ns.x = [ns.x] %}{% endfor %}fine";
    assert_eq!(rendered(nested), Ok("fine".to_owned()));
}

#[cfg(test)]
mod fuzz {
    use super::*;
    #[test]
    fn fuzz_table() {
        let Ok(path) = std::env::var("FUZZ") else { return };
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        let mut out = String::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let messages: Vec<Message> = serde_json::from_value(row["messages"].clone()).unwrap();
            let texts = TemplateTexts {
                bos_token: Some("<s>".into()),
                eos_token: Some("</s>".into()),
                pad_token: Some("<pad>".into()),
                unk_token: Some("<unk>".into()),
            };
            let ending = if row["add_generation_prompt"] == true { Ending::GenerationPrompt } else { Ending::Closed };
            let got = std::panic::catch_unwind(|| {
                ChatTemplate::compile(
                    Path::new("t"),
                    row["template"].as_str().unwrap().to_owned(),
                    texts,
                    Thinking::Off,
                )
                .and_then(|t| t.render(&messages, ending))
            })
            .unwrap_or(Ok("PANIC".into()));
            let kind = match (&got, row["text"].as_str()) {
                (Ok(a), Some(b)) if a == b => "same",
                (Ok(_), Some(_)) => "WRONG",
                (Err(_), None) => "both refuse",
                (Ok(_), None) => "ACCEPTED",
                (Err(_), Some(_)) => "REFUSED",
            };
            *counts.entry(kind).or_default() += 1;
            if kind.chars().all(char::is_uppercase) {
                let got = got.map_err(|e| {
                    format!("{e} {}", std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default())
                });
                out += &format!(
                    "{kind} {}\n   want {}\n   got {got:?}\n",
                    row["template"],
                    if row["text"].is_null() { &row["error"] } else { &row["text"] }
                );
            }
        }
        std::fs::write("/tmp/tfuzz/out.txt", out).unwrap();
        eprintln!("{counts:?}");
    }
}
