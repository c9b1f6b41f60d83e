//! Reward models from the command line.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use slhf_tests::{Lab, repository};

/// Reward models and a causal one of the policy crate's fixtures.
fn lab() -> Lab {
    let lab = Lab::new();
    let fixtures = repository().join("host/policy/tests/fixtures");
    let folders = [
        ("rewards/llama", "reward"),
        ("rewards/qwen2", "attributes"),
        ("llama-tied", "causal"),
        ("rewards/adapters/llama-tied-score", "adapter"),
    ];
    for (from, to) in folders {
        for entry in fs::read_dir(fixtures.join(from)).expect("listed").flatten() {
            lab.write(Path::new(to).join(entry.file_name()), fs::read(entry.path()).expect("a file"));
        }
    }
    // It has no tokenizer of its own.
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        lab.write(
            Path::new("attributes").join(name),
            fs::read(lab.path(Path::new("reward").join(name))).expect("a file"),
        );
    }
    lab
}

const RESPONSES: [&str; 6] = ["--prompt", "What is better?", "--response", "The leader's answer.", "--response", "No."];

fn score(lab: &Lab, model: &[&str], more: &[&str]) -> slhf_tests::Outcome {
    lab.run(&[&["model", "score"], model, more].concat())
}

/// The first values of the rows.
fn values(json: &Value) -> Vec<f64> {
    json.as_array().expect("rows").iter().map(|row| row["values"][0]["value"].as_f64().expect("a number")).collect()
}

#[test]
fn responses_are_scored_as_transformers_scores_them() {
    let lab = lab();
    let truth: Value =
        serde_json::from_slice(&fs::read(lab.path("reward/expected.json")).expect("a file")).expect("JSON");
    let number = |value: &Value| value.as_f64().expect("a number");
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
    let found = score(&lab, &["reward"], &[&RESPONSES[..], &["--format", "json"]].concat()).json();
    assert_eq!(values(&found).len(), 2);
    close(values(&found)[0], number(&truth["chats"][0]["values"][0]));
    // Cut as the tokenizer of transformers cuts.
    for cut in truth["truncated"].as_array().expect("cut texts") {
        let (tokens, side) = (cut["max_tokens"].to_string(), cut["side"].as_str().expect("a side"));
        let options = ["--max-tokens", &tokens, "--truncation-side", side, "--format", "json"];
        let found = score(&lab, &["reward"], &[&RESPONSES[..4], &options].concat()).json();
        assert_eq!(found[0]["tokens"], cut["max_tokens"]);
        close(values(&found)[0], number(&cut["values"][0]));
    }
    // The same as rows of a file.
    lab.write(
        "rows.jsonl",
        "{\"prompt\": \"What is better?\", \"response\": \"The leader's answer.\"}\n{\"messages\": [{\"role\": \"user\", \
         \"content\": \"What is better?\"}, {\"role\": \"assistant\", \"content\": \"No.\"}]}\n",
    );
    assert_eq!(score(&lab, &["reward"], &["--rows", "rows.jsonl", "--format", "json"]).json(), found);
}

#[test]
fn scores_are_shown_and_refusals_are_sentences() {
    let lab = lab();
    lab.write("rows.jsonl", "{\"prompt\": \"Why?\", \"response\": \"So.\"}\n{\"prompt\": \"Why?\"}\n");
    let long = "long ".repeat(90);
    lab.write(
        "long.jsonl",
        format!("{{\"prompt\": \"a\", \"response\": \"b\"}}\n{{\"prompt\": \"a\", \"response\": \"{long}\"}}\n"),
    );
    let config = fs::read_to_string(lab.path("attributes/config.json")).expect("a file");
    for name in ["model.safetensors", "tokenizer.json"] {
        lab.write(
            Path::new("wrong").join(name),
            fs::read(lab.path(Path::new("attributes").join(name))).expect("a file"),
        );
    }
    lab.write("wrong/config.json", config.replace("\"2\": \"verbosity\"", "\"2\": \"verbosity\", \"3\": \"safety\""));
    let one = &RESPONSES[..4];
    let cases: [(&str, Vec<&str>); 11] = [
        ("one label", [&["reward"], &RESPONSES[..]].concat()),
        ("three labels", [&["attributes"], &RESPONSES[..]].concat()),
        (
            "two of them in another order",
            [&["attributes"], one, &["--label", "verbosity", "--label", "helpfulness"]].concat(),
        ),
        ("as CSV", [&["attributes"], one, &["--format", "csv"]].concat()),
        ("the head of an adapter", [&["causal", "--adapter", "adapter"], one].concat()),
        ("too long", vec!["reward", "--rows", "long.jsonl"]),
        ("no such label", [&["attributes"], one, &["--label", "safety"]].concat()),
        ("no head", [&["causal"], one].concat()),
        ("a head of another shape", [&["wrong"], one].concat()),
        ("a row without a response", vec!["reward", "--rows", "rows.jsonl"]),
        ("a side and nothing to cut", [&["reward"], one, &["--truncation-side", "left"]].concat()),
    ];
    let lines: Vec<String> = cases.iter().map(|(name, rest)| format!("{name}\n{}", score(&lab, rest, &[]))).collect();
    let text = lines.join("\n");
    let line = text.lines().find(|line| line.starts_with("1,56,")).expect("the row as CSV");
    check_written_in_full(line);
    assert_snapshot!("score", text.replace(line, "1,56,[VALUES]"));
}

/// Every digit of an f32 is written, and the values are right to 1e-6: the last bits of a pass are the processor's.
fn check_written_in_full(line: &str) {
    let expected = [-0.315_406_590_700_149_54, 2.567_654_371_261_596_7, 0.638_157_188_892_364_5];
    let found: Vec<&str> = line.split(',').skip(2).collect();
    assert_eq!(found.len(), expected.len(), "{line}");
    for (text, expected) in found.iter().zip(expected) {
        let value: f64 = text.parse().expect("a number");
        assert_eq!(f64::from(value as f32).to_string(), **text, "{line}");
        assert!((value - expected).abs() < 1e-6, "{value} instead of {expected}");
    }
}
