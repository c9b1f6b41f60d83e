//! `run --locked RUN`: another plugin, model or file of data than the record's is refused, and both hashes are shown.

use std::fs;

use slhf_tests::{Lab, Outcome, language_lab, plugins_folder};

const EXPERIMENT: &str = r#"
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
name = "online-ipo"
steps = 1
prompts_per_step = 2
max_new_tokens = 4

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

fn put_judge(lab: &Lab, name: &str) {
    lab.write("judge.wasm", fs::read(plugins_folder().join(format!("{name}.wasm"))).expect("a shipped plugin"));
}

fn lab() -> Lab {
    let lab = language_lab(EXPERIMENT);
    put_judge(&lab, "brevity");
    let _ = lab.run(&["run", "tiny.toml"]).success();
    lab
}

fn locked(lab: &Lab, more: &[&str]) -> Outcome {
    lab.run(&[&["run", "tiny.toml", "--locked", "1", "--dry-run"], more].concat())
}

#[test]
fn what_the_record_holds_is_let_through_whatever_it_is_called() {
    let lab = lab();
    assert_eq!(locked(&lab, &[]).code, Some(0));
    // Settings are no inputs, and a file may lie elsewhere.
    lab.write("elsewhere/questions.jsonl", fs::read(lab.path("prompts.jsonl")).expect("prompts"));
    let other = locked(&lab, &["--set", "method.steps=2", "--set", "data.prompts=elsewhere/questions.jsonl"]);
    assert_eq!(other.code, Some(0), "{other}");
    // And it is not only planned.
    let run = lab.run(&["run", "tiny.toml", "--locked", "tiny/base/1"]);
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn others_are_refused_and_both_hashes_are_shown() {
    let lab = lab();
    let shown = |path: &str| slhf_files::digest_file(&lab.path(path)).expect("a file").sha256;
    let (judge, prompts) = (shown("judge.wasm"), shown("prompts.jsonl"));
    put_judge(&lab, "recorded");
    lab.write("prompts.jsonl", lab.read("prompts.jsonl").replace("Count", "Walk"));
    lab.write("tiny/tokenizer_config.json", lab.read("tiny/tokenizer_config.json").replacen('{', "{ ", 1));
    let refused = locked(&lab, &[]);
    assert_eq!(refused.code, Some(2), "{refused}");
    for hash in [judge, prompts, shown("judge.wasm"), shown("prompts.jsonl")] {
        assert!(refused.stderr.contains(&hash), "{hash}: {refused}");
    }
    insta::assert_snapshot!(refused);
    // Nothing was planned.
    let runs = lab.run(&["query", "SELECT count(*) AS n FROM runs", "--format", "json"]).json();
    assert_eq!(runs[0]["n"], 1);
}

#[test]
fn counted_comparisons_are_data() {
    let lab = Lab::new();
    let toml = lab.shipped_experiment("netflix-29.toml");
    let toml = toml.to_str().expect("a path");
    let run = |more: &[&str]| {
        let few = ["run", toml, "--set", "method.steps=2", "--set", "seeds=[1]"];
        lab.run(&[&few, more].concat())
    };
    let _ = run(&[]).success();
    let _ = run(&["--locked", "latest"]).success();
    let table = lab.read("data/netflix-29.csv");
    lab.write("data/netflix-29.csv", table.replace("207", "206"));
    let refused = run(&["--locked", "latest"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("game: the data \"counted comparisons\" is SHA-256 "), "{refused}");
}
