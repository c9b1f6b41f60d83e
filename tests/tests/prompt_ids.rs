//! Prompts that share their last message, their conversation, or everything: what a run found of its answers is what
//! `evaluate` finds of the same recorded answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slhf_tests::{Lab, language_lab, repository};

/// An untrained method: nothing but the evaluation is in play.
const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1]

[model]
path = "tiny"
[model.adapter]
lora_r = 2

[data]
prompts = "talk.jsonl"
held_out = 8
split_seed = 2
system = "Be brief."

[judge]
plugin = "instructions"

[method]
name = "self-refinement"
rounds = 1
prompts_per_step = 1
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0

[[evaluation.measures]]
plugin = "instruction-accuracy"
"#;

fn no_comma(mut row: Value) -> Value {
    row["instruction_id_list"] = json!(["punctuation:no_comma"]);
    row["kwargs"] = json!([{}]);
    row
}

fn capitals(mut row: Value) -> Value {
    row["instruction_id_list"] = json!(["change_case:english_capital"]);
    row["kwargs"] = json!([{}]);
    row
}

/// A conversation that ends with the same question as every other.
fn why(topic: &str) -> Value {
    json!({ "messages": [
        { "role": "user", "content": format!("Tell me about {topic}.") },
        { "role": "assistant", "content": format!("{topic} is what it is.") },
        { "role": "user", "content": "Why?" },
    ] })
}

/// The system message that `data.system` puts before every other: so this is the conversation of the plain prompt, although the
/// split takes them for two.
fn behind_system(text: &str) -> Value {
    json!({ "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": text }] })
}

/// Nine conversations, eight of them held out.
fn rows() -> Vec<Value> {
    vec![
        no_comma(why("cats")),
        capitals(why("rain")),
        no_comma(why("tea")),
        capitals(why("sand")),
        // Equal in all but metadata.
        no_comma(json!({ "prompt": "Say it." })),
        capitals(json!({ "prompt": "Say it." })),
        capitals(behind_system("Say it.")),
        // Wholly equal.
        no_comma(json!({ "prompt": "Go." })),
        no_comma(behind_system("Go.")),
        no_comma(json!({ "prompt": "Left for training." })),
    ]
}

fn lab(experiment: &str) -> Lab {
    let lab = language_lab(experiment);
    let lines: Vec<String> = rows().iter().map(ToString::to_string).collect();
    lab.write("talk.jsonl", lines.join("\n"));
    lab
}

fn query(lab: &Lab, sql: &str) -> Vec<Value> {
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

/// Value and number of prompts of a measure or of a win rate, as the run recorded them.
fn recorded(lab: &Lab, name: &str, subject: &str) -> (f64, i64) {
    let sql = format!("SELECT value, n FROM evaluations WHERE name = '{name}' AND subject = '{subject}'");
    let row = &query(lab, &sql)[0];
    (row["value"].as_f64().expect("a value"), row["n"].as_i64().expect("a count"))
}

fn assert_near((one, of_one): (f64, i64), (other, of_other): (f64, i64)) {
    assert!((one - other).abs() < 1e-12 && of_one == of_other, "{one} of {of_one}, {other} of {of_other}");
}

/// The Leader's win rate over the reference and both accuracies, as `evaluate` finds them, are the run's own.
fn assert_evaluates_to_what_the_run_found(lab: &Lab, more: &[&str]) {
    let number = |row: &Value, key: &str| row[key].as_f64().expect("a number");
    let count = |row: &Value| row["n"].as_i64().expect("a count");
    let found = lab.run(&[&["evaluate", "tiny", "--judge", "training", "--format", "json"], more].concat()).json();
    let matchup = &found[0]["matchups"][0];
    let names = [&matchup["first"], &matchup["second"]].map(|name| name.as_str().expect("a name"));
    assert_eq!(names, ["base/leader", "reference"]);
    let of_run = recorded(lab, "win_rate", "leader/reference");
    assert_eq!(of_run.1, 8);
    assert_near((number(matchup, "win_rate"), count(matchup)), of_run);
    let found = lab.run(&[&["evaluate", "tiny", "--measure", "all", "--format", "json"], more].concat()).json();
    for (policy, subject) in [("base/leader", "leader"), ("reference", "reference")] {
        let row = found.as_array().expect("rows").iter().find(|row| row["policy"] == policy && row["what"] == "score");
        let row = row.expect("a score");
        assert_near((number(row, "value"), count(row)), recorded(lab, "measure[instruction-accuracy]", subject));
    }
}

#[test]
fn evaluate_finds_what_the_run_found() {
    let lab = lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let rows = query(&lab, "SELECT prompt, prompt_id FROM completions WHERE role = 'held-out/leader'");
    let of = |text: &str| rows.iter().filter(|row| row["prompt"] == text).count();
    assert_eq!((of("Why?"), of("Say it."), of("Go.")), (4, 2, 2), "{rows:?}");
    let ids: BTreeSet<&str> = rows.iter().map(|row| row["prompt_id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 8);
    // Accuracies tell metadata apart.
    let accuracy = recorded(&lab, "measure[instruction-accuracy]", "leader").0;
    assert!(0.0 < accuracy && accuracy < 1.0, "{accuracy}");
    assert_evaluates_to_what_the_run_found(&lab, &[]);
    assert_evaluates_to_what_the_run_found(&lab, &["--sample"]);
    // Samples, pages and copies keep them apart, too.
    let samples = lab.run(&["samples", "--role", "held-out/leader", "--limit", "20", "--format", "json"]).json();
    let samples = samples.as_array().expect("pairs");
    assert_eq!(samples.iter().map(|pair| pair["prompt_id"].as_str()).collect::<BTreeSet<_>>().len(), 8);
    let _ = lab.run(&["db", "export", "tiny", "--to", "copy.db.gz"]).success();
    assert_evaluates_to_what_the_run_found(&lab, &["--db", "copy.db.gz"]);
}

/// The prompts of a file that is asked in the place of the held-out ones are rows, equal or not.
#[test]
fn other_prompts_are_told_apart() {
    let lab = lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let asked = ["evaluate", "tiny", "--sample", "--prompts", "talk.jsonl", "--measure", "all", "--format", "json"];
    let found = lab.run(&asked).json();
    assert_eq!(found[0]["n"], rows().len());
}

#[test]
fn a_file_of_responses_names_its_prompts() {
    let lab = lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let rows = query(&lab, "SELECT prompt, prompt_id, text FROM completions WHERE role = 'held-out/leader'");
    let file =
        |lines: &[Value]| lab.write("a.jsonl", lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let evaluate = || {
        let only = ["--only", "copy,reference", "--format", "json", "--responses", "copy=a.jsonl"];
        lab.run(&[&["evaluate", "tiny", "--judge", "training"][..], &only].concat())
    };
    // The Leader's own answers, by id: its win rate.
    let line = |row: &Value| json!({ "prompt_id": row["prompt_id"], "response": row["text"] });
    let _ = file(&rows.iter().map(line).collect::<Vec<_>>());
    let found = &evaluate().json()[0]["matchups"][0];
    let win_rate = found["win_rate"].as_f64().expect("a number");
    let (of_run, n) = recorded(&lab, "win_rate", "leader/reference");
    let sign = if found["first"] == "copy" { win_rate } else { 1.0 - win_rate };
    assert!((sign - of_run).abs() < 1e-12 && found["n"] == n, "{found} {of_run}");
    // A text that four conversations end with names none of them; a conversation does.
    let _ = file(&[json!({ "prompt": "Why?", "response": "Because." })]);
    let refused = evaluate();
    assert!(
        refused.code == Some(2) && refused.stderr.contains("4 of the prompts that are asked end with this"),
        "{refused}"
    );
    let _ = file(&[json!({ "messages": why("cats")["messages"], "response": "Because." })]);
    assert_eq!(evaluate().json()[0]["matchups"][0]["n"], 1);
    // Transfer says so when it plans, and takes answers by their prompts' ids.
    let transfer = format!("{EXPERIMENT}\n[[evaluation.transfer]]\nname = \"copy\"\nresponses = \"a.jsonl\"\n");
    lab.write("transfer.toml", transfer);
    let _ = file(&[json!({ "prompt": "Why?", "response": "Because." })]);
    let refused = lab.run(&["run", "transfer.toml", "--dry-run"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("evaluation.transfer[0].responses"), "{refused}");
    let _ = file(&rows.iter().map(line).collect::<Vec<_>>());
    let _ = lab.run(&["run", "transfer.toml"]).success();
    let sql = "SELECT count(*) AS n FROM completions a JOIN completions b USING (run, prompt_id) JOIN runs USING (run) \
               WHERE experiment = 'transfer' AND a.role = 'held-out/copy' AND b.role = 'held-out/leader' AND a.text = b.text";
    assert_eq!(query(&lab, sql)[0]["n"], 8);
}

/// What an earlier version found of the shipped record's answers, which it kept beside them, is found again, whether they have
/// ids or not.
#[test]
fn the_shipped_record_evaluates_as_it_did() {
    let lab = Lab::new();
    let record = repository().join("docs/results/record.db.gz").display().to_string();
    let sql = "SELECT first, second, win_rate, n FROM policy_matchups WHERE experiment = 'transfer' AND is_training_judge = 1";
    let kept = lab.run(&["query", sql, "--format", "json", "--db", &record]).json();
    let found = lab.run(&["evaluate", "transfer", "--judge", "training", "--format", "json", "--db", &record]).json();
    let mut compared = 0;
    for matchup in found[0]["matchups"].as_array().expect("matchups") {
        let is_same = |kept: &&Value| kept["first"] == matchup["first"] && kept["second"] == matchup["second"];
        // Policies may be merged, or named otherwise, in another version.
        let Some(kept) = kept.as_array().expect("rows").iter().find(is_same) else { continue };
        let [kept_rate, rate] = [kept, matchup].map(|row| row["win_rate"].as_f64().expect("a number"));
        assert!((kept_rate - rate).abs() < 1e-12 && kept["n"] == matchup["n"], "{kept} {matchup}");
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}
