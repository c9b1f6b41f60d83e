//! `run --dry-run` prices a plan: against what runs of it cost, and for models that are not here.

use std::collections::BTreeMap;

use serde_json::Value;
use slhf_tests::{Lab, language_lab, reward_model, tiny_model, worker_binary};

const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1]

[model]
path = "tiny"

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "brevity"

[method]
steps = 4
prompts_per_step = 3
max_new_tokens = 8

[device]
name = "cpu"
threads = 1

[evaluation]
every = 2
prompts = 3
rounds = 2
max_new_tokens = 6

[[ablation]]
name = "method"
values = [
    { label = "shared", method = { name = "stackelberg-gda" } },
    { label = "certified", method = { name = "stackelberg-gda" }, evaluation = { certificate = { samples = 17, leader_samples = 3 } } },
    { label = "separate", method = { name = "stackelberg-gda", parameters = "separate", follower_reference = "prompt" } },
    { label = "nash-md", method = { name = "nash-md" } },
    { label = "nash-md, mixed", method = { name = "nash-md", mixture_coef = 0.25 } },
    { label = "dpo", method = { name = "online-dpo", num_generations = 3 } },
    { label = "rloo", method = { name = "rloo", num_generations = 2, reward_model = { pairs = 4 } } },
    { label = "rloo, verdicts", method = { name = "rloo", num_generations = 2 } },
    { label = "sppo", method = { name = "sppo", num_iterations = 2 } },
    { label = "grpo", method = { name = "grpo", num_generations = 3 } },
    { label = "sft", method = { name = "sft" } },
    { label = "inpo", method = { name = "inpo", num_iterations = 2 } },
    { label = "mnpo", method = { name = "mnpo", opponents = [0.5, 0.3, 0.2] } },
    { label = "online-ipo", method = { name = "online-ipo" } },
    { label = "dropout", method = { name = "stackelberg-gda" }, model = { adapter = { lora_dropout = 0.1 } } },
    { label = "all weights", method = { name = "online-ipo" }, model = { adapter = { kind = "full" } } },
    { label = "two updates", method = { name = "stackelberg-gda", parameters = "separate" }, schedule = { realisation = "updates_per_leader_update", kappa = 2.0 } },
    { label = "score", method = { name = "score", num_generations = 3 } },
    { label = "score, model", method = { name = "score", reward_model = { pairs = 4 } } },
    { label = "best-of-3", method = { name = "best-of-n", num_generations = 3 } },
    { label = "self-refinement", method = { name = "self-refinement", rounds = 2 } },
]
"#;

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A model that never ends a response, so that each is as long as it may be.
fn endless(lab: &Lab, name: &str) {
    tiny_model(lab, name);
    for file in ["config.json", "generation_config.json"] {
        let file = format!("{name}/{file}");
        let text = lab.read(&file).replace("\"eos_token_id\": 2,", "");
        lab.write(&file, text);
    }
}

fn priced(lab: &Lab, arguments: &[&str]) -> Vec<Value> {
    let rows = lab.run(&[&["run"], arguments, &["--dry-run", "--format", "json"]].concat()).json();
    rows.as_array().expect("rows").clone()
}

fn costs(lab: &Lab) -> BTreeMap<String, BTreeMap<String, f64>> {
    let sql = "SELECT cell, quantity, value FROM costs JOIN runs USING (run)";
    let rows = lab.run(&["query", sql, "--format", "json"]).json();
    let mut costs: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for row in rows.as_array().expect("rows") {
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        costs.entry(text("cell")).or_default().insert(text("quantity"), number(&row["value"]));
    }
    costs
}

/// Tokens to the token, and operations but for the length of a prompt, which is an average.
#[test]
fn runs_cost_what_their_plan_was_priced_at() {
    let lab = language_lab(EXPERIMENT);
    endless(&lab, "tiny");
    let _worker = worker_binary();
    let priced = priced(&lab, &["tiny.toml"]);
    let twice = self::priced(&lab, &["tiny.toml", "--set", "method.steps=8", "--set", "evaluation.every=0"]);
    let once = self::priced(&lab, &["tiny.toml", "--set", "evaluation.every=0"]);
    let _ = lab.run(&["run", "tiny.toml", "--quiet"]).success();
    let costs = costs(&lab);
    assert_eq!(costs.len(), 21);
    for ((row, once), twice) in priced.iter().zip(&once).zip(&twice) {
        let cell = row["cell"].as_str().expect("a cell");
        let cost = &costs[cell];
        let sampled = cost["tokens_generated"] + cost["tokens_evaluated"];
        assert_eq!(number(&row["tokens_generated"]), sampled, "{cell}: {cost:?}");
        let trained = number(&row["tokens_trained"]);
        assert!(
            (trained / cost["tokens_trained"].max(1e-9) - 1.0).abs() < 0.02 || trained == 0.0,
            "{cell}: {trained} {cost:?}"
        );
        // A run counts the operations of training. What rloo's reward model is fit with comes once, whatever the steps.
        let operations = cost["operations"] + cost["operations_generating"];
        let of_steps = number(&twice["operations"]) - number(&once["operations"]);
        if ["rloo", "score, model"].contains(&cell) {
            assert!(
                of_steps < operations && operations < number(&once["operations"]),
                "{cell}: {of_steps} {operations}"
            );
        } else if cell == "mnpo" {
            // Its first steps have no past that reads.
            assert!(operations < of_steps && of_steps < 1.4 * operations, "{cell}: {of_steps} {operations}");
        } else {
            assert!((of_steps - operations).abs() <= 0.01 * operations, "{cell}: {of_steps} {operations}");
        }
    }
}

/// Closed sets of responses: nothing is sampled, every pair is judged once, and shared beginnings are read once.
#[test]
fn closed_sets_cost_what_their_plan_was_priced_at() {
    // Two turns have no closed sets.
    let is_closed = |line: &&str| !line.contains("name = \"score\"");
    let cells: Vec<&str> = EXPERIMENT.lines().filter(is_closed).collect();
    let closed = cells
        .join("\n")
        .replace("held_out = 4", "held_out = 4\nanswers = [\"a\", \"b b\", \"c d e\"]")
        .replace("rounds = 2\n", "")
        // Where every response is weighed nothing else is possible.
        .replace(
            "{ label = \"sft\"",
            "{ label = \"egpo\", method = { name = \"egpo\", num_iterations = 2 } },\n    { label = \"sft\"",
        );
    let lab = language_lab(&closed);
    let _worker = worker_binary();
    let priced = priced(&lab, &["tiny.toml"]);
    let _ = lab.run(&["run", "tiny.toml", "--quiet"]).success();
    let costs = costs(&lab);
    assert_eq!(costs.len(), 20);
    for row in &priced {
        let cell = row["cell"].as_str().expect("a cell");
        let cost = &costs[cell];
        assert_eq!((number(&row["tokens_generated"]), cost["tokens_generated"]), (0.0, 0.0), "{cell}");
        // Nine pairs of each prompt of the file.
        assert_eq!(number(&row["verdicts"]) % 9.0, 0.0, "{cell}: {row}");
        let close = |priced: f64, found: f64| (priced - found).abs() <= 0.02 * found;
        let trained = number(&row["tokens_trained"]);
        assert!(close(trained, cost["tokens_trained"]), "{cell}: {trained} {cost:?}");
        // What past policies read is no evaluation.
        if trained > 0.0 && !["dropout", "mnpo"].contains(&cell) {
            let read = number(&row["tokens_read"]);
            assert!(close(read, cost["tokens_evaluated"]), "{cell}: {read} {cost:?}");
        }
    }
}

#[test]
fn a_judge_with_a_model_costs_what_it_reads_once() {
    let lab = language_lab(EXPERIMENT);
    reward_model(&lab, "scorer");
    let judge = "[judge]\nplugin = \"attribute-committee\"\n[judge.models.reward]\npath = \"scorer\"\n";
    lab.write("judged.toml", EXPERIMENT.replace("[judge]\nplugin = \"brevity\"\n", judge));
    let served = "[judge]\nplugin = \"llm-judge\"\n[judge.models.critic]\nserver = \"https://judge.example/v1\"\nmodel = \"critic\"\n\
                  key_env = \"NO_SUCH_KEY_HERE\"\n";
    lab.write("served.toml", EXPERIMENT.replace("[judge]\nplugin = \"brevity\"\n", served));
    let plain = priced(&lab, &["tiny.toml"]);
    let judged = priced(&lab, &["judged.toml"]);
    let served = priced(&lab, &["served.toml"]);
    for ((plain, judged), served) in plain.iter().zip(&judged).zip(&served) {
        let cell = plain["cell"].as_str().expect("a cell");
        let more = |key: &str| number(&judged[key]) - number(&plain[key]);
        assert_eq!((more("tokens_generated"), more("tokens_trained"), more("verdicts")), (0.0, 0.0, 0.0), "{cell}");
        assert!(more("tokens_read") > 0.0 && more("operations") > 0.0 && more("gpu_hours") > 0.0, "{cell}");
        assert_eq!((number(&plain["server_tokens"]), number(&judged["server_tokens"])), (0.0, 0.0), "{cell}");
        assert_eq!(number(&served["operations"]), number(&plain["operations"]), "{cell}");
        assert!(number(&served["server_tokens"]) > 0.0, "{cell}");
    }
}

const ABSENT: &str = r"
[model.shape]
hidden_size = 896
intermediate_size = 4864
num_hidden_layers = 24
num_attention_heads = 14
num_key_value_heads = 2
vocab_size = 151936
tie_word_embeddings = true
";

#[test]
fn what_is_not_here_is_priced_by_its_shape_and_not_run() {
    let lab = language_lab(EXPERIMENT);
    let absent = EXPERIMENT
        .replace("path = \"tiny\"", "path = \"Qwen/Qwen2.5-0.5B-Instruct\"")
        .replace("prompts = \"prompts.jsonl\"", "prompts = \"not-here.jsonl\"\nshape = { prompt_tokens = 100 }")
        .replace("[data]", &format!("{ABSENT}[data]"));
    lab.write("absent.toml", &absent);
    let rows = priced(&lab, &["absent.toml"]);
    // Half a billion parameters: 4 operations a parameter and token trained on, at least.
    for row in &rows {
        let cell = row["cell"].as_str().expect("a cell");
        let trained = number(&row["tokens_trained"]);
        assert!(number(&row["operations"]) > 4.0 * 0.35e9 * trained, "{cell}");
        assert!(["best-of-3", "self-refinement"].contains(&cell) == (trained == 0.0), "{cell}");
    }
    let table = lab.run(&["run", "absent.toml", "--dry-run"]);
    assert_eq!(table.code, Some(0), "{table}");
    for part in ["Qwen2.5-0.5B-Instruct\" is not here", "not-here.jsonl\" is not here", "GPU hours at 989 TFLOP/s"] {
        assert!(table.stderr.contains(part), "{part}: {table}");
    }
    let check = lab.run(&["check", "absent.toml"]);
    assert_eq!(check.code, Some(0), "{check}");
    assert!(check.stderr.contains("is not here"), "{check}");
    let run = lab.run(&["run", "absent.toml"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("not-here.jsonl"), "{run}");
}

#[test]
fn what_is_wrong_with_a_shape_or_a_rate_is_said() {
    let lab = language_lab(EXPERIMENT);
    let absent = EXPERIMENT.replace("path = \"tiny\"", "path = \"o/n\"");
    lab.write("unknown.toml", &absent);
    lab.write("wrong.toml", absent.replace("[data]", &format!("{}[data]", ABSENT.replace("= 2\n", "= 3\n"))));
    let check = |arguments: &[&str], part: &str| {
        let outcome = lab.run(&[&["run"], arguments].concat());
        assert_ne!(outcome.code, Some(0), "{outcome}");
        assert!(outcome.stderr.contains(part), "{part}: {outcome}");
    };
    check(&["unknown.toml", "--dry-run"], "say in [model.shape] what shape it has");
    check(&["wrong.toml", "--dry-run"], "model.shape.num_key_value_heads");
    check(&["tiny.toml", "--dry-run", "--mfu", "1.5"], "expected at most 1");
    check(&["tiny.toml", "--dry-run", "--peak-tflops", "0"], "expected a finite number above 0");
    check(&["tiny.toml", "--mfu", "0.3"], "--dry-run");
}
