//! Adapters of PEFT from the command line.

use std::fs;
use std::path::Path;

use slhf_tests::{Lab, Outcome, repository};

/// A model of the policy crate's fixtures, and an adapter for it, in the lab's folder.
fn lab() -> Lab {
    let lab = Lab::new();
    let fixtures = repository().join("host/policy/tests/fixtures");
    for (from, to) in [("llama-tied", "model"), ("adapters/llama-tied-saved-embedding", "adapter")] {
        for entry in fs::read_dir(fixtures.join(from)).expect("listed").flatten() {
            lab.write(Path::new(to).join(entry.file_name()), fs::read(entry.path()).expect("a file"));
        }
    }
    lab
}

fn scored(lab: &Lab, model: &[&str]) -> Outcome {
    let asked = ["model", "logprobs", "--prompt", "What is better?", "--response", "The leader", "--format", "json"];
    let outcome = lab.outcome(&mut lab.command(asked.iter().chain(model)));
    assert_eq!(outcome.code, Some(0), "{outcome}");
    outcome
}

#[test]
fn an_adapter_with_a_tokenizer_of_its_own_brings_its_template() {
    let lab = lab();
    let plain = scored(&lab, &["--model", "model", "--adapter", "adapter"]);
    lab.write("other.jinja", "{{ messages[-1].content }}:");
    let other = scored(&lab, &["--model", "model", "--adapter", "adapter", "--chat-template", "other.jinja"]);
    assert_ne!(plain.stdout, other.stdout);
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        lab.write(Path::new("adapter").join(name), fs::read(lab.path(Path::new("model").join(name))).expect("a file"));
    }
    lab.write("adapter/chat_template.jinja", "{{ messages[-1].content }}:");
    let own = scored(&lab, &["--model", "model", "--adapter", "adapter"]);
    assert_eq!(own.stdout, other.stdout);
    // The merged folder has both, and says the same.
    let merge =
        lab.outcome(&mut lab.command(["model", "merge", "--model", "model", "--adapter", "adapter", "--out", "whole"]));
    assert_eq!(merge.code, Some(0), "{merge}");
    let merged = scored(&lab, &["--model", "whole"]);
    assert_eq!(log_probabilities(&merged).len(), log_probabilities(&own).len());
    for (merged, own) in log_probabilities(&merged).iter().zip(log_probabilities(&own)) {
        assert!((merged - own).abs() < 1e-4, "{merged} and {own}");
    }
}

fn numbers(value: &serde_json::Value, found: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(number) => found.extend(number.as_f64()),
        serde_json::Value::Array(list) => list.iter().for_each(|value| numbers(value, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

/// Every number of the answer.
fn log_probabilities(outcome: &Outcome) -> Vec<f64> {
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let mut found = Vec::new();
    numbers(&json, &mut found);
    assert!(!found.is_empty(), "{outcome}");
    found
}

#[test]
fn an_adapter_that_is_put_into_the_weights_is_not_exported_as_a_plain_one() {
    let lab = lab();
    let merge = |more: &[&str]| {
        let asked = ["model", "merge", "--model", "model", "--adapter", "adapter", "--out", "alone"];
        lab.outcome(&mut lab.command(asked.iter().chain(more)))
    };
    let outcome = merge(&["--adapter-only"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("this adapter changes whole weights of the model"), "{outcome}");
    assert!(!lab.path("alone").exists());
    assert_eq!(merge(&[]).code, Some(0));
}
