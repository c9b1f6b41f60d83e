//! `slhf-lab judge audit` and `slhf-lab plugin try --pairs`: judges with known faults on pairs whose labels are known.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};
use slhf_tests::{Lab, Outcome, language_lab, plugins_folder, repository, worker_binary};

fn shipped(lab: &Lab, arguments: &[&str]) -> Outcome {
    lab.outcome(lab.command(arguments).env("SLHF_LAB_PLUGINS", plugins_folder()))
}

fn audit(lab: &Lab, judge: &str, more: &[&str]) -> Outcome {
    shipped(lab, &[&["judge", "audit", judge], more].concat())
}

fn found(lab: &Lab, judge: &str, more: &[&str]) -> Value {
    audit(lab, judge, &[&["--format", "json", "--pairs", "pairs.jsonl"], more].concat()).json()
}

/// The shipped pairs, beside the lab's own files.
fn lab() -> Lab {
    let lab = Lab::new();
    let pairs: PathBuf = repository().join("experiments/data/judge-pairs.jsonl");
    lab.write("pairs.jsonl", std::fs::read(pairs).expect("the shipped pairs"));
    lab
}

/// Pins what a verb said; what the machine is fast enough for, and with it the width of a column, varies.
fn pin(name: &str, outcome: &Outcome) {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(milliseconds per 1,000 verdicts)(\W*?[│|,]) *[\d.]+ *").expect("the pattern is valid")
    });
    static GUEST: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""guest_ms": [\d.e-]+"#).expect("the pattern is valid"));
    let said = outcome.to_string();
    let said = TIME.replace_all(&said, "$1$2 [TIME] ");
    insta::assert_snapshot!(name, GUEST.replace_all(&said, r#""guest_ms": "[TIME]""#));
}

#[test]
fn an_audit_is_a_table_or_a_document() {
    let lab = lab();
    pin("table", &audit(&lab, "brevity", &["--pairs", "pairs.jsonl"]));
    pin("markdown", &audit(&lab, "brevity", &["--pairs", "pairs.jsonl", "--limit", "4", "--format", "markdown"]));
    pin(
        "json",
        &audit(
            &lab,
            r#"noisy-annotators={"error_rate":0.2} over brevity"#,
            &["--pairs", "pairs.jsonl", "--format", "json"],
        ),
    );
    pin("csv", &audit(&lab, "brevity", &["--pairs", "pairs.jsonl", "--limit", "2", "--format", "csv"]));
}

/// The page of audits says what the verb says today: of the rules, which cost nothing; the model's rows need its weights.
#[test]
fn the_page_of_audits_is_what_the_verb_says() {
    let lab = Lab::new();
    let pairs = "experiments/data/judge-pairs.jsonl";
    lab.write(pairs, std::fs::read(repository().join(pairs)).expect("the shipped pairs"));
    for (judge, draws) in [
        ("brevity", &[][..]),
        (r#"position-bias={"coefficient":0.5} over brevity"#, &[]),
        (r#"swap-average over position-bias={"coefficient":0.5} over brevity"#, &[]),
        (r#"length-control={"coefficient":-1.0} over brevity"#, &[]),
        (r#"noisy-annotators={"error_rate":0.2,"annotators":3} over brevity"#, &["--draws", "5"]),
    ] {
        let _ = audit(&lab, judge, &[&["--pairs", pairs], draws].concat()).success();
    }
    let table = lab.run(&["judge", "ls", "--format", "markdown"]).success();
    let page = std::fs::read_to_string(repository().join("docs/results/judge-audits.md")).expect("the page");
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("brevity")).collect();
    assert_eq!(rows.len(), 5, "{table}");
    for row in rows {
        // The page has one column more, of models, and one of their time.
        let cells = |line: &str| -> Vec<String> {
            line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        };
        assert!(page.lines().any(|line| cells(line) == cells(row)), "not on the page: {row}");
    }
}

#[test]
fn a_planted_bias_is_the_one_that_is_found() {
    let lab = lab();
    let plain = found(&lab, "brevity", &[]);
    assert_eq!(plain["position"]["value"], 0.0);
    assert_eq!((&plain["changes_with_draw"], &plain["draws"]), (&json!(false), &json!(1)));
    assert_eq!((&plain["triples"]["n"], &plain["triples"]["intransitive"]), (&json!(16), &json!(0)));
    assert_eq!(plain["triples"]["is_cyclic"], false);
    // Both orders of 56 pairs, 32 of them twice.
    assert_eq!((&plain["pairs"], &plain["verdicts"]), (&json!(56), &json!(2 * (56 + 32))));

    let biased = found(&lab, r#"position-bias={"coefficient":1.0} over brevity"#, &[]);
    assert!(biased["position"]["low"].as_f64().expect("a number") > 0.0, "{biased:#}");
    let averaged = found(&lab, r#"swap-average over position-bias={"coefficient":1.0} over brevity"#, &[]);
    assert_eq!(averaged["position"]["value"], 0.0);

    let noisy = found(&lab, r#"noisy-annotators={"error_rate":0.2} over brevity"#, &[]);
    assert_eq!((&noisy["changes_with_draw"], &noisy["draws"]), (&json!(true), &json!(3)));
    assert!(noisy["noise"]["standard_deviation"]["low"].as_f64().expect("a number") > 0.0, "{noisy:#}");
    assert!(noisy["triples"]["share_of_noise"].is_number() && noisy["triples"]["is_cyclic"] == false, "{noisy:#}");
    // The same seed, the same findings; the time is another.
    let findings = |mut found: Value| {
        found["cost_per_1000_verdicts"] = Value::Null;
        found
    };
    let again = found(&lab, r#"noisy-annotators={"error_rate":0.2} over brevity"#, &[]);
    assert_eq!(findings(noisy), findings(again));
    let other = found(&lab, r#"noisy-annotators={"error_rate":0.2} over brevity"#, &["--seed", "1"]);
    assert_ne!(other["noise"], Value::Null);
    // One draw says nothing of noise.
    let once = found(&lab, r#"noisy-annotators={"error_rate":0.2} over brevity"#, &["--draws", "1"]);
    assert_eq!((&once["noise"], &once["triples"]["is_cyclic"]), (&Value::Null, &Value::Null));
}

/// Three actions of which each beats the next.
#[test]
fn cycles_of_a_judge_are_cycles_of_its_audit() {
    let lab = Lab::new();
    let rows: Vec<String> = (0..8)
        .map(|number| {
            json!({ "prompt": format!("Game {number}?"), "responses": ["rock", "scissors", "paper"] }).to_string()
        })
        .collect();
    lab.write("pairs.jsonl", rows.join("\n"));
    let table =
        r#"table={"actions":["rock","scissors","paper"],"preferences":[[0.5,0.8,0.2],[0.2,0.5,0.8],[0.8,0.2,0.5]]}"#;
    let found = found(&lab, table, &[]);
    assert_eq!((&found["triples"]["n"], &found["triples"]["intransitive"]), (&json!(8), &json!(8)));
    assert_eq!((&found["triples"]["is_cyclic"], &found["cyclic_part"]["is_cyclic"]), (&json!(true), &json!(true)));
    assert!((found["cyclic_part"]["share"].as_f64().expect("a number") - 1.0).abs() < 1e-12);
    assert_eq!(found["labels"], Value::Null);
}

#[test]
fn a_run_is_what_a_judge_is_asked_about() {
    let _built = worker_binary();
    let lab = language_lab(EXPERIMENT);
    let _ = shipped(&lab, &["run", "tiny.toml"]).success();
    let of_run = |judge: &str| audit(&lab, judge, &["--run", "latest", "--format", "json"]).json();
    let training = of_run("training");
    assert_eq!((&training["judge"], &training["sha256"]), (&json!("brevity"), &Value::Null));
    assert!(training["pairs"].as_u64().expect("a number") > 0, "{training:#}");
    assert_eq!(training["pairs"], of_run(r#"brevity={"words_min":1}"#)["pairs"]);
    assert_eq!(training["labels"], Value::Null);
}

#[test]
fn agreement_with_labels_is_tried() {
    let lab = lab();
    pin("try_pairs", &shipped(&lab, &["plugin", "try", "brevity", "--pairs", "pairs.jsonl"]));
    let tried = shipped(&lab, &["plugin", "try", "brevity", "--pairs", "pairs.jsonl", "--format", "json"]).json();
    let audited = found(&lab, "brevity", &[]);
    assert_eq!(tried["accuracy"], audited["labels"]["accuracy"]);
    assert_eq!(tried["kappa"], audited["labels"]["kappa"]);
}

#[test]
fn failures_are_counted_by_kind() {
    let lab = Lab::new();
    let row = |metadata: Value| {
        json!({ "prompt": "Say yes.", "responses": ["yes", "no", "well"], "label": 0, "instructions": metadata })
            .to_string()
    };
    let kinds = json!([{ "kind": "min_words", "count": 1 }]);
    lab.write("pairs.jsonl", [row(kinds), row(json!("none")), row(json!([{ "kind": "unknown-kind" }]))].join("\n"));
    pin("failures", &audit(&lab, "instructions", &["--pairs", "pairs.jsonl"]));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let lab = lab();
    lab.write("same.jsonl", r#"{"prompt": "Why?", "responses": ["a", "a"]}"#);
    lab.write("unlabeled.jsonl", r#"{"prompt": "Why?", "responses": ["a", "b"]}"#);
    lab.write(
        "bad.jsonl",
        "{\"prompt\": \"Why?\", \"chosen\": \"a\", \"rejected\": \"b\"}\n{\"prompt\": \"How?\", \"chosen\": \"a\"}\n",
    );
    let mut refusals = String::new();
    for arguments in [
        &["judge", "audit", "brevity"][..],
        &["judge", "audit", "brevity", "--pairs", "none.jsonl"],
        &["judge", "audit", "brevity", "--pairs", "bad.jsonl"],
        &["judge", "audit", "brevity", "--pairs", "same.jsonl"],
        &["judge", "audit", "brevity", "--pairs", "pairs.jsonl", "--run", "latest"],
        &["judge", "audit", "training", "--pairs", "pairs.jsonl"],
        &["judge", "audit", "brevitty", "--pairs", "pairs.jsonl"],
        &["judge", "audit", "llm-judge", "--pairs", "pairs.jsonl"],
        &["judge", "audit", "attribute-sum", "--pairs", "pairs.jsonl"],
        &["plugin", "try", "brevity", "--pairs", "unlabeled.jsonl"],
        &["plugin", "try", "brevity", "--pairs", "pairs.jsonl", "--first", "a"],
        &["plugin", "try", "brevity"],
    ] {
        let outcome = shipped(&lab, arguments);
        let _ = writeln!(refusals, "$ slhf-lab {}\n{outcome}", arguments.join(" "));
    }
    insta::assert_snapshot!("refusals", refusals.replace(&plugins_folder().display().to_string(), "[PLUGINS]"));
}

const EXPERIMENT: &str = r#"
kind = "language-model"

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "brevity"

[method]
name = "stackelberg-gda"
steps = 2
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;
