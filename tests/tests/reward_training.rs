//! Reward models from their TOML to a folder that is scored and that judges, on a tiny model with random weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use slhf_tests::{Found, Lab, send, tiny_model, worker_of};

const EXPERIMENT: &str = r#"
kind = "reward-model"
question = "Can it tell a dog from a cat?"

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
pairs = "pairs.jsonl"
held_out = 12
max_tokens = 200

[training]
steps = 40
pairs_per_step = 8
micro_batch_size = 3

[schedule]
learning_rate = 2e-2

[device]
name = "cpu"
threads = 1

[evaluation]
every = 20
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

/// The last value of a figure, of the run.
fn last(lab: &Lab, run: i64, name: &str, subject: &str) -> f64 {
    let sql = format!(
        "SELECT value FROM evaluations WHERE run = {run} AND name = '{name}' AND subject = '{subject}' ORDER BY step DESC LIMIT 1"
    );
    rows(lab, &sql)[0]["value"].as_f64().expect("a number")
}

/// Where the run left what of this kind.
fn artefact(lab: &Lab, run: i64, kind: &str) -> PathBuf {
    let found = rows(lab, &format!("SELECT path FROM artefacts WHERE run = {run} AND kind = '{kind}'"));
    lab.path("lab.db-checkpoints").join(found[0]["path"].as_str().expect("a path"))
}

/// Of the experiment under [`judged`].
const PROMPTS: &str = "{\"prompt\": \"Count to 1.\"}\n{\"prompt\": \"Count to 2.\"}\n{\"prompt\": \"Count to 3.\"}\n\
                       {\"prompt\": \"Count to 4.\"}\n";

/// A language model under a judge that asks a reward model.
fn judged(plugin: &str, models: &str) -> String {
    format!(
        "kind = \"language-model\"\nlog_completions_every = 1\n[model]\npath = \"tiny\"\n[data]\nprompts = \"prompts.jsonl\"\nheld_out = 2\n\
         [judge]\nplugin = \"{plugin}\"\n{models}\n[method]\nname = \"rloo\"\nsteps = 1\nprompts_per_step = 1\nmax_new_tokens = 4\n\
         [device]\nname = \"cpu\"\nthreads = 1\n[evaluation]\nevery = 0\n"
    )
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn a_scalar_model_is_trained_measured_saved_and_scored() {
    let lab = lab(EXPERIMENT);
    assert!(lab.run(&["check", "train.toml"]).success().contains("valid; 1 cell"));
    let _ = lab.run(&["run", "train.toml"]).success();
    assert!(last(&lab, 1, "reward_model/accuracy", "held-out pairs") > 0.95);
    // As long as each other: lengths say nothing.
    let length = last(&lab, 1, "reward_model/accuracy", "length only");
    assert!((length - 0.5).abs() < 1e-12, "{length}");
    assert!((last(&lab, 1, "reward_model/accuracy", "random") - 0.5).abs() < 1e-12);
    for name in ["log_loss", "ece", "mean", "drift"] {
        let found =
            rows(&lab, &format!("SELECT step FROM evaluations WHERE name = 'reward_model/{name}' ORDER BY step"));
        let steps: Vec<i64> = found.iter().filter_map(|row| row["step"].as_i64()).collect();
        assert_eq!(steps, [0, 20, 40], "{name}");
    }
    let table =
        rows(&lab, "SELECT sum(n) AS pairs FROM evaluations WHERE step = 40 AND name = 'reward_model/reliability'");
    assert_eq!(table[0]["pairs"].as_i64(), Some(12));
    let keys = rows(&lab, "SELECT DISTINCT key FROM metrics ORDER BY 1");
    let keys: Vec<&str> = keys.iter().filter_map(|row| row["key"].as_str()).collect();
    for key in ["reward/loss", "reward/accuracy", "reward/margin", "reward/mean", "grad_norm", "learning_rate", "epoch"]
    {
        assert!(keys.contains(&key), "{key} is missing among {keys:?}");
    }
    for verb in [&["ls"][..], &["show", "1"]] {
        assert!(lab.run(verb).success().contains("train"), "{verb:?}");
    }

    let _ = lab.run(&["report", "train", "--out", "pages"]).success();
    let page = lab.read("pages/train.md");
    let sha256 = slhf_files::sha256_hex(fs::read(lab.path("pairs.jsonl")).expect("a file"));
    for part in ["## Agreement on held-out pairs", "| length only | 12 | 0.5", "share of labels that agree", &sha256] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }

    // A whole folder under the names of transformers, and an adapter under PEFT's.
    let (folder, adapter) = (artefact(&lab, 1, "reward-model"), artefact(&lab, 1, "adapter/shared"));
    let config = json(&folder.join("config.json"));
    assert_eq!(config["architectures"], serde_json::json!(["LlamaForSequenceClassification"]));
    assert_eq!(config["id2label"], serde_json::json!({"0": "reward"}));
    let settings = json(&adapter.join("adapter_config.json"));
    assert_eq!(
        (&settings["task_type"], &settings["modules_to_save"]),
        (&"SEQ_CLS".into(), &serde_json::json!(["score"]))
    );
    let ask = |model: &[&str]| -> Vec<f64> {
        let asked = ["--prompt", "Say 41.", "--response", "dog 41", "--response", "cat 41", "--format", "json"];
        let found = lab.run(&[&["model", "score"], model, &asked].concat()).json();
        let value = |row: &Value| row["values"][0]["value"].as_f64().expect("a value");
        found.as_array().expect("rows").iter().map(value).collect()
    };
    let whole = ask(&[folder.to_str().expect("a path")]);
    assert!(whole[0] > whole[1] + 1.0, "{whole:?}");
    assert_eq!(ask(&["--run", "1"]), whole);
    for (merged, beside) in whole.iter().zip(ask(&["./tiny", "--adapter", adapter.to_str().expect("a path")])) {
        assert!((merged - beside).abs() < 1e-5, "{merged} {beside}");
    }
}

#[test]
fn a_run_that_was_stopped_ends_at_the_same_bits() {
    let experiment =
        EXPERIMENT.replace("lora_r = 4", "lora_r = 4\nlora_dropout = 0.2").replace("steps = 40", "steps = 300");
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

/// Three styles, each of which beats the next: nobody's score can say that of more than two pairs of three.
#[test]
fn a_general_preference_goes_round_where_bradley_terry_cannot() {
    let experiment = EXPERIMENT
        .replace("held_out = 12", "held_out = 60")
        .replace("steps = 40", "steps = 200")
        .replace("learning_rate = 2e-2", "learning_rate = 2e-3")
        .replace("pairs_per_step = 8\nmicro_batch_size = 3", "pairs_per_step = 24\nmicro_batch_size = 24")
        .replace("every = 20", "every = 0")
        + "\n[[ablation]]\nkey = \"head\"\nvalues = [{ kind = \"bradley_terry\" }, { kind = \"general_preference\", blocks = 1 }]\n";
    let lab = lab(&experiment);
    let styles = ["rock", "scissors", "paper"];
    let mut text = String::new();
    for number in 0..120 {
        for style in 0..3 {
            // As often in either order, and each kind of pair as often as the others.
            let [better, other] = [0, 1].map(|place| format!("{} {number}", styles[(style + place) % 3]));
            let (first, second, p_second) =
                if (number + style) % 2 == 0 { (better, other, 0) } else { (other, better, 1) };
            let row = serde_json::json!({"prompt": format!("Say {number}."), "responses": [first, second], "p_second": p_second});
            text.push_str(&row.to_string());
            text.push('\n');
        }
    }
    lab.write("pairs.jsonl", text);
    let _ = lab.run(&["run", "train.toml"]).success();
    let [scalar, turning] = [1, 2].map(|run| last(&lab, run, "reward_model/accuracy", "held-out pairs"));
    let pairs = 180.0_f64;
    let two_errors = 2.0 * (2.0 / 9.0 / pairs).sqrt();
    assert!(scalar <= 2.0 / 3.0 + two_errors, "{scalar}");
    assert!(turning >= 0.99, "{turning}");
}

#[test]
fn attributes_are_heads_of_one_model_and_rows_that_say_nothing_are_counted() {
    let experiment = EXPERIMENT
        .replace("steps = 40", "steps = 60")
        .replace("learning_rate = 2e-2", "learning_rate = 5e-3")
        + "\n[[ablation]]\nkey = \"head\"\nvalues = [{ kind = \"attributes\", loss = \"bradley_terry\" }, { kind = \"attributes\" }]\n";
    let lab = lab(&experiment);
    let row = |number: usize| {
        let (dog, short) = (number % 2, number / 2 % 2);
        let response = |side: usize| {
            let animal = if (side == 0) == (dog == 0) { "dog" } else { "cat" };
            let end = if (side == 0) == (short == 0) { "" } else { " and so on and on" };
            format!("{animal} {number}{end}")
        };
        let both = |flag: usize| if flag == 0 { "[1, 0]" } else { "[0, 1]" };
        format!(
            "{{\"prompt\": \"Say {number}.\", \"responses\": [\"{}\", \"{}\"], \"attributes\": {{\"dog\": {}, \"brevity\": {}}}}}\n",
            response(0),
            response(1),
            both(dog),
            both(short)
        )
    };
    let same = "{\"prompt\": \"Say nothing.\", \"responses\": [\"a\", \"a\"]}\n";
    lab.write("pairs.jsonl", (0..60).map(row).collect::<String>() + same);
    let outcome = lab.run(&["run", "train.toml"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("1 row of "), "{outcome}");
    assert!(
        outcome.stderr.contains("without two different responses says nothing and is left out; the first is row 61"),
        "{outcome}"
    );
    for label in ["brevity", "dog"] {
        assert!(last(&lab, 1, "reward_model/accuracy", label) > 0.9, "{label}");
        assert!(last(&lab, 2, "reward_model/accuracy", label) > 0.9, "{label}");
        assert!(last(&lab, 2, "reward_model/squared_error", label) < 0.25, "{label}");
    }
    let config = json(&artefact(&lab, 1, "reward-model").join("config.json"));
    assert_eq!(config["id2label"], serde_json::json!({"0": "brevity", "1": "dog"}));

    // A committee of one model's heads: each label has its vote.
    lab.write("prompts.jsonl", PROMPTS);
    lab.write("judged.toml", judged("attribute-committee", "[judge.models.committee]\nrun = 1"));
    let _ = lab.run(&["run", "judged.toml"]).success();
    let pairs = lab.run(&["samples", "latest", "--step", "1", "--format", "json"]).json();
    let names: std::collections::BTreeSet<&str> = pairs[0]["attributes"]
        .as_array()
        .expect("attributes")
        .iter()
        .filter_map(|attribute| attribute["name"].as_str())
        .collect();
    assert!(names.contains("brevity") && names.contains("dog"), "{pairs}");
}

#[test]
fn a_later_experiment_names_the_run_that_trained_its_judge() {
    let lab = lab(&EXPERIMENT.replace("steps = 40", "steps = 2").replace("every = 20", "every = 0"));
    lab.write("prompts.jsonl", PROMPTS);
    let judged = |grant: &str| {
        let models = format!("[judge.upstream]\nplugin = \"reward-model\"\n[judge.upstream.models.scorer]\n{grant}");
        judged("bradley-terry", &models)
    };
    lab.write("judged.toml", judged("run = 1"));
    let early = lab.run(&["check", "judged.toml"]);
    assert!(early.code == Some(2) && early.stderr.contains("judge.upstream.models.scorer.run"), "{early}");
    let _ = lab.run(&["run", "train.toml"]).success();
    let hash = |toml: &str| {
        lab.write("judged.toml", judged(toml));
        let _ = lab.run(&["run", "judged.toml"]).success();
        let found = rows(&lab, "SELECT content_hash FROM runs ORDER BY run DESC LIMIT 1");
        found[0]["content_hash"].as_str().expect("a hash").to_owned()
    };
    let by_run = hash("run = 1");
    let folder = artefact(&lab, 1, "reward-model");
    // Who it is counts, not how it is named.
    assert_eq!(by_run, hash("run = \"train/base/1\""));
    assert_eq!(by_run, hash(&format!("path = \"{}\"", folder.display())));
    // The adapter over the model that it was trained on says the same, from the memory of that model.
    let verdicts = |run: &str| {
        let sql = format!("SELECT probability FROM training_verdicts WHERE run = {run} ORDER BY step, first, second");
        let found = rows(&lab, &sql);
        found.iter().map(|row| row["probability"].as_f64().expect("a number")).collect::<Vec<_>>()
    };
    let of_last = "(SELECT max(run) FROM runs)";
    let merged = verdicts(of_last);
    let adapter = artefact(&lab, 1, "adapter/shared");
    let by_adapter = hash(&format!("path = \"tiny\"\nadapter = \"{}\"", adapter.display()));
    assert_ne!(by_run, by_adapter);
    let beside = verdicts(of_last);
    assert!(!merged.is_empty() && merged.len() == beside.len(), "{merged:?} {beside:?}");
    assert!(merged.iter().zip(&beside).all(|(one, other)| (one - other).abs() < 1e-5), "{merged:?} {beside:?}");
    // So does a run that saved it alone.
    lab.write("alone.toml", "save = \"adapter\"\n".to_owned() + &lab.read("train.toml"));
    let _ = lab.run(&["run", "alone.toml"]).success();
    assert_ne!(by_run, hash("run = \"alone/base/1\""));
    assert_eq!(verdicts(of_last), beside);
    lab.write("judged.toml", judged("path = \"tiny\"\nadapter = \"pairs.jsonl\""));
    let missing = lab.run(&["check", "judged.toml"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("has no adapter_config.json"), "{missing}");
    let used = rows(&lab, "SELECT model, items FROM model_uses ORDER BY run LIMIT 1");
    assert_eq!(used[0]["model"], "run 1", "{used:?}");
    // Others' runs have left no reward model.
    lab.write("judged.toml", judged("run = 2"));
    let other = lab.run(&["check", "judged.toml"]);
    assert!(other.stderr.contains("run 2 (judged/base/1) trains no reward model"), "{other}");

    // What scores texts cannot be a policy.
    lab.write("judged.toml", judged("run = 1").replace("path = \"tiny\"", &format!("path = \"{}\"", folder.display())));
    let policy = lab.run(&["check", "judged.toml"]);
    assert_eq!(policy.code, Some(2), "{policy}");
    assert!(
        policy
            .stderr
            .contains("this is a reward model: it scores texts and generates none, so that it can be no policy"),
        "{policy}"
    );
}
