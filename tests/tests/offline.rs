//! Training on a file of preferences, from its TOML to its record, on a tiny model with random weights; what is refused, and why.

use std::process::Stdio;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;
use slhf_tests::{Found, Lab, send, tiny_model, worker_of};

const EXPERIMENT: &str = r#"
kind = "language-model"
question = "Does it say dog rather than cat?"

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
pairs = "pairs.jsonl"
held_out = 12
max_response_tokens = 40

[method]
name = "dpo"
steps = 30
pairs_per_step = 8
micro_batch_size = 6

[schedule]
learning_rate = 2e-2

[device]
name = "cpu"
threads = 1

[evaluation]
every = 15
max_new_tokens = 6
"#;

/// Forty prompts; the response about a dog is the better one.
fn lab(experiment: &str) -> Lab {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let row = |number: u32| {
        format!("{{\"prompt\": \"Say {number}.\", \"chosen\": \"dog {number}\", \"rejected\": \"cat {number}\"}}\n")
    };
    lab.write("pairs.jsonl", (0..40).map(row).collect::<String>());
    lab.write("train.toml", experiment);
    lab
}

fn rows(lab: &Lab, sql: &str) -> Vec<Value> {
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

/// A figure of held-out pairs, by step.
fn figures(lab: &Lab, run: i64, name: &str) -> Vec<(i64, f64)> {
    let sql = format!(
        "SELECT step, value FROM evaluations WHERE run = {run} AND name = '{name}' AND subject = 'held-out pairs' ORDER BY step"
    );
    let figure = |row: &Value| Some((row["step"].as_i64()?, row["value"].as_f64()?));
    rows(lab, &sql).iter().filter_map(figure).collect()
}

#[test]
fn every_method_learns_from_the_file_without_a_judge() {
    let grid = "[[ablation]]\nkey = \"method.name\"\nvalues = [\"dpo\", \"ipo\", \"sft-chosen\"]\n";
    let lab = lab(&(EXPERIMENT.to_owned() + grid));
    assert!(lab.run(&["check", "train.toml"]).success().contains("valid; 3 cells"));
    let _ = lab.run(&["run", "train.toml"]).success();
    for run in 1..=3 {
        let accuracies = figures(&lab, run, "rewards/accuracies");
        assert_eq!(accuracies.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 15, 30], "run {run}");
        // Before the first step the policy is the reference: no response has a reward, and none is preferred.
        assert!((accuracies[0].1 - 0.5).abs() < 1e-9, "run {run}: {accuracies:?}");
        // Likelihood of the chosen response alone says nothing of the other one.
        let least = if run == 3 { 0.7 } else { 0.95 };
        assert!(accuracies[2].1 >= least, "run {run}: {accuracies:?}");
        let losses = figures(&lab, run, "loss/leader");
        assert!(losses[2].1 < losses[0].1, "run {run}: {losses:?}");
    }
    // Chance is ln 2 of dpo, (1/(2β))² of ipo.
    assert!((figures(&lab, 1, "loss/leader")[0].1 - 2.0_f64.ln()).abs() < 1e-6);
    assert!((figures(&lab, 2, "loss/leader")[0].1 - 25.0).abs() < 1e-4);

    let keys = rows(&lab, "SELECT DISTINCT key FROM metrics WHERE run = 1 ORDER BY 1");
    let keys: Vec<&str> = keys.iter().filter_map(|row| row["key"].as_str()).collect();
    for key in [
        "loss/leader",
        "rewards/chosen",
        "rewards/rejected",
        "rewards/margins",
        "rewards/accuracies",
        "logps/chosen",
        "logps/rejected",
        "grad_norm",
        "epoch",
        "num_tokens",
    ] {
        assert!(keys.contains(&key), "{key} is missing among {keys:?}");
    }
    let of_likelihood = rows(&lab, "SELECT DISTINCT key FROM metrics WHERE run = 3 AND key LIKE 'rewards/%'");
    assert!(of_likelihood.is_empty(), "the other response is not read: {of_likelihood:?}");
    let parameters = rows(&lab, "SELECT key, value FROM parameters WHERE key LIKE 'data.%' OR key LIKE 'judge%'");
    let of = |key: &str| parameters.iter().find(|row| row["key"] == key).map(|row| row["value"].clone());
    assert_eq!(of("data.pairs"), Some("pairs.jsonl".into()));
    assert_eq!(of("data.layout"), Some("pairs".into()));
    assert!(of("judge.plugin").is_none() && of("data.prompts").is_none(), "{parameters:?}");
    assert!(rows(&lab, "SELECT name FROM evaluations WHERE name LIKE 'win_rate%'").is_empty());

    // Its responses were recorded: a judge may be asked later, and one must be named.
    let unnamed = lab.run(&["evaluate", "train"]);
    assert_eq!(unnamed.code, Some(2), "{unnamed}");
    assert!(unnamed.stderr.contains("have no training judge: they learned from a file of preferences"), "{unnamed}");
    let judged = lab.run(&["evaluate", "train", "--judge", "brevity"]).success();
    assert!(judged.contains("reference"), "{judged}");
    let _ = lab.run(&["evaluate", "train", "--judge", "brevity", "--sample"]).success();
    for verb in [&["ls"][..], &["show", "1"], &["compare", "train"], &["samples", "1"]] {
        let _ = lab.run(verb).success();
    }
    let _ = lab.run(&["report", "train", "--out", "pages"]).success();
    let page = lab.read("pages/train.md");
    assert!(page.contains("## On held-out pairs") && page.contains("| better one preferred |"), "{page}");
    assert!(!page.contains("There are no two cells with steps of training"), "{page}");
}

#[test]
fn a_run_that_was_stopped_ends_at_the_same_bits() {
    let experiment = EXPERIMENT
        .replace("lora_r = 4", "lora_r = 4\nlora_dropout = 0.2")
        .replace("steps = 30", "steps = 300")
        .replace("every = 15", "every = 0");
    let whole = lab(&experiment);
    let _ = whole.run(&["run", "train.toml"]).success();
    let cut = lab(&experiment);
    let mut child =
        cut.command(["run", "train.toml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let started = Instant::now();
    let has_checkpoint = || {
        worker_of(child.id()).is_some()
            && cut.path("lab.db-checkpoints/group-1").read_dir().is_ok_and(|mut files| files.any(|_| true))
    };
    while !has_checkpoint() && started.elapsed() < Duration::from_secs(90) {
        std::thread::sleep(Duration::from_millis(5));
    }
    send("INT", child.id());
    assert_eq!(child.wait().expect("waited for").code(), Some(130));
    let steps = rows(&cut, "SELECT steps_done FROM runs")[0]["steps_done"].as_i64();
    assert!(steps.is_some_and(|steps| (1..300).contains(&steps)), "{steps:?}");
    let _ = cut.run(&["resume"]).success();
    let found = |lab: &Lab| Found::read(lab, &lab.path("lab.db")).expect("read");
    assert_eq!(found(&whole), found(&cut));
}

/// With a judge it compares policies in evaluations, as do those that evaluations name; training asks none of them.
#[test]
fn judges_are_asked_in_evaluations_alone() {
    let named = "[[evaluation.judges]]\nname = \"short\"\nplugin = \"brevity\"\n";
    let short = EXPERIMENT.replace("steps = 30", "steps = 2").replace("every = 15", "every = 0");
    for (toml, expected) in [
        (format!("{short}{named}"), vec!["win_rate[short]"]),
        (format!("{short}[judge]\nplugin = \"brevity\"\n"), vec!["win_rate"]),
    ] {
        let lab = lab(&toml);
        let _ = lab.run(&["run", "train.toml"]).success();
        let found = rows(&lab, "SELECT DISTINCT name FROM evaluations WHERE name LIKE 'win_rate%' ORDER BY 1");
        let names: Vec<&str> = found.iter().filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names, expected);
        assert!(rows(&lab, "SELECT * FROM training_verdicts").is_empty());
        let _ = lab.run(&["evaluate", "train"]).success();
    }
}

/// Too long, without a label, of a long prompt: left out or cut, each counted in a sentence; ties are learned from.
#[test]
fn pairs_that_cannot_be_used_are_counted() {
    let more = [
        r#"{"prompt": "Say 90.", "responses": ["dog", "cat"]}"#.to_owned(),
        r#"{"prompt": "Say 91.", "responses": ["dog", "cat"], "p_second": 0.5}"#.to_owned(),
        format!(r#"{{"prompt": "Say 92.", "chosen": "dog", "rejected": "{}"}}"#, "cat ".repeat(60)),
        r#"{"prompt": "Say 93.", "chosen": "dog", "rejected": "dog"}"#.to_owned(),
        format!(r#"{{"prompt": "Say {}.", "chosen": "dog", "rejected": "cat"}}"#, "94 ".repeat(60)),
    ];
    let limited = EXPERIMENT.replace("held_out = 12", "held_out = 12\nmax_prompt_tokens = 120");
    for (fate, toml) in [
        ("left out", limited.clone()),
        ("cut", limited.replace("held_out = 12", "held_out = 12\nover_long = \"truncate\"")),
    ] {
        let lab = lab(&toml);
        lab.write("pairs.jsonl", lab.read("pairs.jsonl") + &more.join("\n") + "\n");
        let ran = lab.run(&["run", "train.toml", "--set", "method.steps=1", "--set", "evaluation.every=0"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let said = ran.stderr.replace('\n', " ");
        let mut expected = vec![
            "without two different responses says nothing and is left out; the first is row 44".to_owned(),
            format!("pairs.jsonl: pairs {fate} because a response has more than 40 tokens"),
            "pairs left out because nothing says which response is better: 1".to_owned(),
        ];
        if fate == "left out" {
            expected.push("pairs left out with their prompts (data.max_prompt_tokens): 1".to_owned());
        }
        for part in expected {
            assert!(said.contains(&part), "{part} is missing in {said}");
        }
    }
}

#[test]
fn every_refusal_is_a_sentence_with_its_key() {
    let with = |from: &str, to: &str| EXPERIMENT.replace(from, to);
    let data = |more: &str| with("held_out = 12", &format!("held_out = 12\n{more}"));
    let method = |more: &str| with("steps = 30", &format!("steps = 30\n{more}"));
    let judged = EXPERIMENT.to_owned() + "[judge]\nplugin = \"brevity\"\n";
    let cases = [
        ("no such file", with("pairs = \"pairs.jsonl\"", "pairs = \"nothing.jsonl\"")),
        ("an empty file", with("pairs = \"pairs.jsonl\"", "pairs = \"empty.jsonl\"")),
        ("a row of another kind", with("pairs = \"pairs.jsonl\"", "pairs = \"damaged.jsonl\"")),
        ("a data set of the hub", with("pairs = \"pairs.jsonl\"", "pairs = \"trl-lib/ultrafeedback_binarized\"")),
        ("neither prompts nor pairs", with("pairs = \"pairs.jsonl\"", "")),
        ("prompts and pairs", data("prompts = \"pairs.jsonl\"")),
        (
            "prompts alone",
            with("pairs = \"pairs.jsonl\"", "prompts = \"pairs.jsonl\"").replace("max_response_tokens = 40", ""),
        ),
        (
            "pairs of a method that samples",
            judged.replace("name = \"dpo\"", "name = \"online-dpo\"").replace("pairs_per_step", "prompts_per_step"),
        ),
        (
            "a method that samples without a judge",
            with("pairs = \"pairs.jsonl\"", "prompts = \"pairs.jsonl\"")
                .replace("max_response_tokens = 40", "")
                .replace("name = \"dpo\"", "name = \"rloo\"")
                .replace("pairs_per_step", "prompts_per_step"),
        ),
        ("all prompts held out", with("held_out = 12", "held_out = 40")),
        ("a layout of prompts", data("layout = \"text\"")),
        ("no layout", data("layout = \"chosen\"")),
        ("no room for a response", data("").replace("max_response_tokens = 40", "max_response_tokens = 400")),
        ("responses of no token", with("max_response_tokens = 40", "max_response_tokens = 0")),
        (
            "a setting of pairs without them",
            judged
                .replace("pairs = \"pairs.jsonl\"", "prompts = \"pairs.jsonl\"")
                .replace("name = \"dpo\"", "name = \"sft\"")
                .replace("pairs_per_step", "prompts_per_step"),
        ),
        ("closed sets", data("answers = [\"dog\", \"cat\"]")),
        ("a step of prompts", method("prompts_per_step = 4")),
        ("tokens of a response that nobody samples", method("max_new_tokens = 4")),
        ("a slip", method("label_smothing = 0.1")),
        ("labels that say nothing", method("label_smoothing = 0.5")),
        ("smoothing of ipo", method("label_smoothing = 0.1").replace("\"dpo\"", "\"ipo\"")),
        ("no regularization", method("beta = 0")),
        ("a pair apart", with("micro_batch_size = 6", "micro_batch_size = 1")),
        ("a divergence of likelihood", method("beta = 0.1").replace("\"dpo\"", "\"sft-chosen\"")),
        ("another tool's name", with("\"dpo\"", "\"kto\"")),
        ("a stop without a judge", with("every = 15", "every = 15\nstop_at = { width = 0.1 }")),
    ];
    let lab = lab(EXPERIMENT);
    lab.write("empty.jsonl", "");
    lab.write("damaged.jsonl", "{\"prompt\": \"Say 1.\", \"chosen\": \"dog\"}\n");
    let mut said = String::new();
    for (name, toml) in cases {
        lab.write("train.toml", toml);
        let outcome = lab.run(&["check", "train.toml"]);
        assert_eq!(outcome.code, Some(2), "{name}: {outcome}");
        let stderr = outcome.normal(&outcome.stderr);
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.is_empty()).collect();
        said += &[name, ":\n  ", &lines.join("\n  "), "\n"].concat();
    }
    assert_snapshot!("refusals", said);
}
