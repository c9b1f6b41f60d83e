//! `slhf-lab verdicts export|replay`: what was said in training, taken out of the record and said again by others.

use std::collections::BTreeMap;

use serde_json::Value;
use slhf_tests::{Lab, Outcome, language_lab, plugins_folder};

const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1]
log_completions_every = 1

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
name = "online-ipo"
steps = 3
prompts_per_step = 4
max_new_tokens = 12

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

fn shipped(lab: &Lab, arguments: &[&str]) -> Outcome {
    lab.outcome(lab.command(arguments).env("SLHF_LAB_PLUGINS", plugins_folder()))
}

fn lab() -> Lab {
    let lab = language_lab(EXPERIMENT);
    let _ = shipped(&lab, &["run", "tiny.toml"]).success();
    lab
}

fn replay(lab: &Lab, judge: &str, more: &[&str]) -> Value {
    shipped(lab, &[&["verdicts", "replay", "1", "--judge", judge, "--format", "json"], more].concat()).json()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn rows(lab: &Lab, sql: &str) -> Vec<Value> {
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

/// Of each pair the margin of the response with the lower position: what the record says, taken together by hand.
fn margins(lab: &Lab) -> Vec<f64> {
    let mut pairs: BTreeMap<(i64, i64, i64), Vec<f64>> = BTreeMap::new();
    for row in rows(lab, "SELECT step, first, second, probability FROM training_verdicts") {
        let [step, first, second] = ["step", "first", "second"].map(|key| row[key].as_i64().expect("a number"));
        let margin = number(&row["probability"]) - 0.5;
        let margin = if first < second { margin } else { -margin };
        pairs.entry((step, first.min(second), first.max(second))).or_default().push(margin);
    }
    pairs.into_values().map(|margins| margins.iter().sum::<f64>() / margins.len() as f64).collect()
}

#[test]
fn what_is_exported_is_read_as_pairs() {
    let lab = lab();
    let written = lab.run(&["verdicts", "export", "latest", "--output", "pairs.jsonl"]);
    assert_eq!(written.code, Some(0), "{written}");
    let lines: Vec<Value> =
        lab.read("pairs.jsonl").lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let recorded = rows(&lab, "SELECT * FROM training_verdicts ORDER BY step, first, second");
    let texts = rows(&lab, "SELECT step, position, text FROM completions WHERE role NOT LIKE 'held-out/%'");
    let text = |step: &Value, position: &Value| {
        let found = texts.iter().find(|row| row["step"] == *step && row["position"] == *position);
        found.expect("a completion")["text"].clone()
    };
    assert_eq!(lines.len(), recorded.len());
    for (line, row) in lines.iter().zip(&recorded) {
        assert_eq!(number(&line["p_second"]), 1.0 - number(&row["probability"]));
        assert_eq!(line["responses"][0], text(&row["step"], &row["first"]));
        assert_eq!(line["responses"][1], text(&row["step"], &row["second"]));
        assert!(line["messages"][0]["content"].as_str().expect("a prompt").starts_with("Count to "));
    }
    // Standard output has the same, and other verbs read it.
    assert_eq!(lab.run(&["verdicts", "export", "latest"]).success(), lab.read("pairs.jsonl"));
    let agreement = shipped(&lab, &["plugin", "try", "brevity", "--pairs", "pairs.jsonl", "--format", "json"]).json();
    assert_eq!(agreement["accuracy"]["value"], 1.0, "{agreement:#}");
    // Both orders of a pair are one pair.
    assert_eq!(agreement["labeled"], margins(&lab).len(), "{agreement:#}");
    assert_eq!(agreement["kappa"]["value"], 1.0, "{agreement:#}");
}

/// A row a pair has the mean of both orders, and ratings that an attribute head is fit to.
/// As preferences for other trainers: each pair once, the winner chosen, in both formats the same.
#[test]
fn what_was_preferred_is_a_preference_dataset() {
    let lab = lab();
    for name in ["preferences.jsonl", "preferences.parquet"] {
        let outcome = lab.run(&["export", "1", "--format", "preferences", "--to", name]);
        assert!(outcome.code == Some(0) && outcome.stderr.contains("preferences written to"), "{outcome}");
    }
    let rows: Vec<Value> =
        lab.read("preferences.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Those of the other export, which says how much the second was preferred.
    let pairs = lab.run(&["verdicts", "export", "1", "--one-row-per-pair"]).success();
    let pairs: Vec<Value> = pairs.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let decided: Vec<&Value> =
        pairs.iter().filter(|pair| pair["p_second"].as_f64().is_some_and(|p| p != 0.5)).collect();
    assert!(rows.len() == decided.len() && !rows.is_empty());
    for (row, pair) in rows.iter().zip(decided) {
        let second = number(&pair["p_second"]);
        let (chosen, rejected) = if second > 0.5 { (1, 0) } else { (0, 1) };
        assert_eq!(row["chosen"], serde_json::json!([{"role": "assistant", "content": pair["responses"][chosen]}]));
        assert_eq!(row["rejected"][0]["content"], pair["responses"][rejected]);
        assert_eq!(row["prompt"], pair["messages"]);
        assert_eq!(number(&row["probability"]), second.max(1.0 - second));
    }
}

#[test]
fn both_orders_are_one_row_where_that_is_asked_for() {
    let lab = lab();
    let written = lab.run(&["verdicts", "export", "latest", "--one-row-per-pair", "--output", "pairs.jsonl"]);
    assert_eq!(written.code, Some(0), "{written}");
    let lines: Vec<Value> =
        lab.read("pairs.jsonl").lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let margins = margins(&lab);
    assert_eq!(lines.len(), margins.len());
    for (line, margin) in lines.iter().zip(margins) {
        assert!((number(&line["p_second"]) - (0.5 - margin)).abs() < 1e-12, "{line:#}");
        for (name, ratings) in line["attributes"].as_object().expect("attributes") {
            assert!((number(&ratings[0]) + number(&ratings[1]) - 1.0).abs() < 1e-12, "{name}: {ratings}");
        }
        assert!(line["attributes"]["brevity"].is_array() || !line["attributes"].is_null(), "{line:#}");
    }
    let experiment = "kind = \"reward-model\"\n[model]\npath = \"tiny\"\n[data]\npairs = \"pairs.jsonl\"\nheld_out = 2\n\
                      [head]\nkind = \"attributes\"\nloss = \"bradley_terry\"\n[training]\nsteps = 2\n";
    lab.write("heads.toml", experiment);
    let check = lab.run(&["check", "heads.toml"]);
    assert_eq!(check.code, Some(0), "{check}");
}

/// The prompts' own rows are pairs, with labels of their own: what is exported are the responses that were judged.
#[test]
fn rows_that_are_pairs_themselves_do_not_take_the_place_of_what_was_judged() {
    let lab = language_lab(EXPERIMENT);
    let row = |number: u32| {
        format!(
            r#"{{"prompt": "Count to {number}.", "chosen": "C", "rejected": "R", "label": 1, "p_second": 0.9, "topic": "numbers"}}"#
        )
    };
    lab.write("prompts.jsonl", (0..12).map(|number| row(number) + "\n").collect::<String>());
    let _ = shipped(&lab, &["run", "tiny.toml"]).success();
    let written = lab.run(&["verdicts", "export", "latest", "--output", "pairs.jsonl"]);
    assert_eq!(written.code, Some(0), "{written}");
    for line in lab.read("pairs.jsonl").lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!((&line["chosen"], &line["rejected"], &line["label"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(line["topic"], "numbers", "{line:#}");
        assert_ne!(line["p_second"], 0.9);
    }
    let agreement = shipped(&lab, &["plugin", "try", "brevity", "--pairs", "pairs.jsonl", "--format", "json"]).json();
    assert_eq!(agreement["kappa"]["value"], 1.0, "{agreement:#}");
}

#[test]
fn the_same_judge_says_the_same_and_its_opposite_flips_every_pair() {
    let lab = lab();
    let margins = margins(&lab);
    let decided = margins.iter().filter(|margin| margin.abs() > 1e-12).count();
    assert!(decided > 2, "the test needs verdicts: {margins:?}");

    let same = replay(&lab, "training", &[]);
    assert_eq!(same["agreement"]["pairs"], margins.len(), "{same:#}");
    assert_eq!((&same["agreement"]["share"]["value"], &same["mean_difference"]["value"]), (&1.0.into(), &0.0.into()));
    assert_eq!(same["agreement"]["kappa"]["value"], 1.0);
    assert_eq!(same["flips"].as_array().expect("flips").len(), 0);
    for attribute in same["attributes"].as_array().expect("attributes") {
        assert_eq!(attribute["compared_with"], "attribute");
        let share = &attribute["agreement"]["share"];
        assert!(share.is_null() || share["value"] == 1.0, "{attribute:#}");
    }

    let opposite = replay(&lab, r#"noisy-annotators={"error_rate":1.0,"mode":"expected"} over brevity"#, &[]);
    assert_eq!(opposite["agreement"]["share"]["value"], 0.0, "{opposite:#}");
    assert_eq!(opposite["flips"].as_array().expect("flips").len(), decided);
    let ties = (margins.len() - decided) as f64 / margins.len() as f64;
    let chance = (1.0 - ties) * (1.0 - ties) / 2.0 + ties * ties;
    assert!((number(&opposite["agreement"]["kappa"]["value"]) - (ties - chance) / (1.0 - chance)).abs() < 1e-12);
    let farthest = &opposite["flips"][0];
    assert!((number(&farthest["recorded"]) + number(&farthest["now"]) - 1.0).abs() < 1e-12, "{farthest:#}");
    // Of the differences of two that are opposite: twice the margin.
    let mean = margins.iter().map(|margin| 2.0 * margin.abs()).sum::<f64>() / margins.len() as f64;
    assert!((number(&opposite["mean_difference"]["value"]) - mean).abs() < 1e-12, "{mean}: {opposite:#}");

    assert_eq!(replay(&lab, "training", &["--limit", "2"])["verdicts"], 2);
}

#[test]
fn a_replay_is_a_table() {
    let lab = lab();
    insta::assert_snapshot!(shipped(
        &lab,
        &["verdicts", "replay", "latest", "--judge", r#"noisy-annotators={"error_rate":0.4,"seed":3} over brevity"#]
    ));
}

#[test]
fn what_has_no_verdicts_is_named() {
    let lab = lab();
    let check = |arguments: &[&str], expected: &str| {
        let refused = shipped(&lab, arguments);
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(expected), "{expected}: {refused}");
    };
    let none = ["--set", "log_completions_every=0", "--set", "evaluation.every=0"];
    let _ = shipped(&lab, &[&["run", "tiny.toml"], &none[..]].concat()).success();
    check(&["verdicts", "export", "2"], "run 2 has no recorded verdicts");
    check(&["verdicts", "replay", "2", "--judge", "brevity"], "run 2 has no recorded verdicts");
    check(&["verdicts", "replay", "1", "--judge", "nobody"], "nobody");
    check(&["verdicts", "replay", "1", "--judge", "llm-judge"], "--grant");
    check(&["verdicts", "export", "7"], "7");
}
