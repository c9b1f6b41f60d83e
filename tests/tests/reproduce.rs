//! `slhf-lab reproduce`: a run computed again from the record alone.

use std::fs;

use slhf_tests::{Lab, language_lab, plugins_folder};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

const EXPERIMENT: &str = r#"
kind = "game"
seeds = [1, 2]

[game]
actions = ["rock", "paper", "scissors"]

[judge]
plugin = "judge.wasm"
parameters = { actions = ["rock", "paper", "scissors"], preferences = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.1], [0.1, 0.9, 0.5]] }

[method]
name = "stackelberg-gda"
steps = 20

[evaluation]
every = 5
"#;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("judge.wasm", fs::read(plugins_folder().join("table.wasm")).expect("a shipped plugin"));
    lab.write("cycle.toml", EXPERIMENT);
    let _ = lab.run(&["run", "cycle.toml"]).success();
    lab
}

const LANGUAGE_MODEL: &str = r#"
kind = "language-model"
seeds = [1]

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "swap-average"
[judge.upstream]
plugin = "judge.wasm"

[method]
name = "stackelberg-gda"
steps = 3
prompts_per_step = 2
num_generations = 2
max_new_tokens = 4

[device]
name = "cpu"
threads = 1

[evaluation]
every = 2
"#;

#[test]
fn a_language_model_has_the_same_adapters_too() {
    let lab = language_lab(LANGUAGE_MODEL);
    lab.write("judge.wasm", fs::read(plugins_folder().join("brevity.wasm")).expect("a shipped plugin"));
    let _ = lab.run(&["run", "tiny.toml"]).success();
    fs::remove_file(lab.path("judge.wasm")).expect("the judge");
    let outcome = lab.run(&["reproduce", "latest", "--format", "json"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let json = outcome.json();
    for part in 0..3 {
        assert!(json[part]["compared"].as_u64() > Some(0), "{json}");
    }
    lab.write("prompts.jsonl", "{\"prompt\": \"Another.\"}\n");
    let outcome = lab.run(&["reproduce", "latest"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("prompts.jsonl is SHA-256"), "{outcome}");
}

/// Changes rows behind the program's back, and returns how many.
fn change_record(lab: &Lab, statement: &'static str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(lab.path("lab.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.expect("the record opens");
        let result = sqlx::query(statement).execute(&mut connection).await.expect("it is changed");
        connection.close().await.expect("it closes");
        result.rows_affected()
    })
}

#[test]
fn a_run_has_the_same_numbers_when_it_is_computed_again() {
    let lab = lab();
    let outcome = lab.run(&["reproduce", "2", "--format", "json"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("run 2 (cycle/base/2) was reproduced"), "{outcome}");
    let json = outcome.json();
    assert_eq!((&json[0]["what"], &json[0]["different"]), (&"metrics".into(), &0.into()));
    assert!(json[0]["compared"].as_u64() > Some(20), "{json}");
    // The policies of the end, and the Leader's on its way there.
    assert_eq!(json[1]["compared"], 24, "{json}");
    let left = fs::read_dir(lab.folder()).expect("the folder").flatten();
    let left: Vec<String> = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".reproduce")), "{left:?}");
}

#[test]
fn a_component_that_was_replaced_is_taken_from_the_record() {
    let lab = lab();
    lab.write("judge.wasm", "another");
    assert_eq!(lab.run(&["reproduce", "1"]).code, Some(0));
    fs::remove_dir_all(lab.path("lab.db-checkpoints/plugins")).expect("the kept components");
    let outcome = lab.run(&["reproduce", "1"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("judge.wasm is SHA-256"), "{outcome}");
}

#[test]
fn a_judge_that_tells_nothing_apart_is_warned_of_once_a_run() {
    let lab = Lab::new();
    let ties = EXPERIMENT.replace(
        "[[0.5, 0.2, 0.9], [0.8, 0.5, 0.1], [0.1, 0.9, 0.5]]",
        "[[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]",
    );
    lab.write("judge.wasm", fs::read(plugins_folder().join("table.wasm")).expect("a shipped plugin"));
    lab.write("cycle.toml", ties);
    let outcome = lab.run(&["run", "cycle.toml"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(outcome.stderr.matches("warning: run 1: every verdict of the judge is 1/2").count(), 1, "{outcome}");

    // At this scale no difference of scores is one; a single response to a prompt has no rewards to compare.
    let indifferent = LANGUAGE_MODEL
        .replace("num_generations = 2", "num_generations = 1")
        .replace("plugin = \"judge.wasm\"", "plugin = \"judge.wasm\"\nparameters = { scale = 1e300 }");
    let lab = language_lab(&indifferent);
    lab.write("judge.wasm", fs::read(plugins_folder().join("brevity.wasm")).expect("a shipped plugin"));
    let outcome = lab.run(&["run", "tiny.toml"]);
    assert!(outcome.stderr.contains("every verdict is 1/2"), "{outcome}");
}

#[test]
fn a_changed_number_is_found_at_its_step() {
    let lab = lab();
    let changed = change_record(
        &lab,
        "UPDATE metric SET value = 0.25 WHERE run = 1 AND step = 10 AND key = \
         (SELECT id FROM metric_key WHERE name = 'leader_gap')",
    );
    assert_eq!(changed, 1);
    let outcome = lab.run(&["reproduce", "1", "--keep", "second.db"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("the first difference is at step 10: leader_gap is 0.25 in the record"),
        "{outcome}"
    );
    assert_eq!(
        lab.run(&["show", "1", "--db", "second.db", "--section", "run", "--format", "json"]).json()["run"]["status"],
        "finished"
    );
    assert_eq!(lab.run(&["reproduce", "2", "--keep", "second.db"]).code, Some(2), "nothing is overwritten");
}
