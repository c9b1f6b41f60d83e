//! `evaluation.certificate`: how far a trained pair may be from its equilibrium.

use serde_json::Value;
use slhf_tests::{Lab, language_lab};

const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1, 2]

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
prompts = "prompts.jsonl"
held_out = 3

[judge]
plugin = "brevity"

[method]
name = "stackelberg-gda"
steps = 2
prompts_per_step = 2
max_new_tokens = 4
beta = 0.5
follower_beta = 0.5

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
certificate = { samples = 16, leader_samples = 4 }

[[ablation]]
key = "method.parameters"
values = ["shared", "separate"]
"#;

fn rows(lab: &Lab) -> Vec<Value> {
    let sql = "SELECT name, subject, value, low, high, n, step FROM evaluations WHERE name LIKE 'certificate/%'";
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

#[test]
fn a_run_ends_with_bounds_of_its_gaps() {
    let lab = language_lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml", "--quiet"]).success();
    let found = rows(&lab);
    // Two gaps, three parts of one, and how many responses would bound the other, of two cells and two seeds.
    assert_eq!(found.len(), 24, "{found:?}");
    for row in found.iter().filter(|row| row["name"] != "certificate/leader_samples_needed") {
        let [value, low, high] = ["value", "low", "high"].map(|key| row[key].as_f64().expect("a number"));
        assert!(
            low <= value && value <= high && row["n"] == 3 && row["step"] == 2 && row["subject"] == "held_out",
            "{row}"
        );
    }
    let gaps: Vec<&Value> = found.iter().filter(|row| row["name"] == "certificate/follower_gap").collect();
    assert!(gaps.len() == 4 && gaps.iter().all(|row| row["high"].as_f64().expect("a number") < 1.0), "{gaps:?}");
    let report = lab.run(&["report", "tiny", "--out", "pages"]);
    assert!(report.stdout.contains("pages"), "{}", report.stdout);
    let page = lab.read("pages/tiny.md");
    assert!(
        page.contains("How far the policies may be from the equilibrium") && page.contains("Follower's gap"),
        "{page}"
    );
    let again = lab.run(&["reproduce", "1"]);
    assert_eq!(again.code, Some(0), "{again}");
}

/// Nobody asked for the Leader's gap: the page says that it is not bounded, and what would ask.
#[test]
fn a_page_says_which_gap_is_not_bounded() {
    let lab = language_lab(EXPERIMENT);
    let without = ["--set", "evaluation.certificate={ samples = 16 }"];
    let _ = lab.run(&["run", "tiny.toml", "--quiet", without[0], without[1]]).success();
    let _ = lab.run(&["report", "tiny", "--out", "pages"]).success();
    let page = lab.read("pages/tiny.md");
    assert!(
        page.contains("it lies in 0 or more (not bounded);") && page.contains("evaluation.certificate.leader_samples"),
        "{page}"
    );
}

#[test]
fn what_cannot_be_certified_is_refused_before_anything_runs() {
    let lab = language_lab(EXPERIMENT);
    for (set, expected) in [
        ("method.top_p=0.9", "with method.top_k or method.top_p the policies say a part"),
        ("evaluation.certificate.samples=1", "evaluation.certificate.samples: 1; expected 16 to 4096"),
        ("evaluation.certificate.confidence=1.5", "1.5; expected a number above 0 and below 1"),
        ("evaluation.certificate.sample=5", "did you mean evaluation.certificate.samples?"),
        ("method.name=sppo", "only stackelberg-gda plays the game"),
    ] {
        let outcome = lab.run(&["check", "tiny.toml", "--set", set]);
        assert!(outcome.stderr.contains(expected), "{set}: {}", outcome.stderr);
    }
}
