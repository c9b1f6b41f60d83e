//! A language-model run from its TOML to its samples, and what can be asked of a model, on a tiny one with random
//! weights: nothing here depends on what it says.

use slhf_tests::{Lab, language_lab};

const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1, 2]
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
name = "stackelberg-gda"
steps = 3
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

fn lab() -> Lab {
    language_lab(EXPERIMENT)
}

fn rows(lab: &Lab, sql: &str) -> Vec<serde_json::Value> {
    let answer = lab.run(&["query", sql, "--format", "json"]).json();
    answer.as_array().expect("rows").clone()
}

/// What is sampled is what is trained, whole or from a part of the vocabulary: ratios of a first pass are 1 but for rounding.
#[test]
fn log_probabilities_when_sampled_are_those_of_the_training_pass() {
    for cut in [
        "top_p = 1.0",
        "top_p = 0.7",
        "top_k = 12\nparameters = \"separate\"",
        "top_k = 30\ntop_p = 0.9\nkl_gradient = \"exact\"",
    ] {
        let toml = EXPERIMENT.replacen("steps = 3", &format!("steps = 3\ntemperature = 0.8\n{cut}"), 1);
        let lab = language_lab(&toml);
        let _ = lab.run(&["run", "tiny.toml", "--set", "seeds=[1]"]).success();
        let found =
            rows(&lab, "SELECT key, value FROM metrics WHERE key LIKE 'sampling/%' OR key LIKE 'objective/kl%'");
        let of = |key: &str| -> Vec<f64> {
            found.iter().filter(|row| row["key"] == key).map(|row| row["value"].as_f64().expect("a number")).collect()
        };
        let (mean, largest) = (of("sampling/logprob_difference"), of("sampling/logprob_difference_max"));
        assert!(mean.len() == 3 && mean.iter().zip(&largest).all(|(mean, largest)| mean <= largest), "{found:?}");
        assert!(largest.iter().all(|difference| *difference < 1e-4), "{cut}: {largest:?}");
        assert!(of("objective/kl_leader").iter().all(|divergence| divergence.is_finite()), "{cut}: {found:?}");
    }
}

#[test]
fn a_run_records_metrics_completions_win_rates_costs_and_its_adapter() {
    let lab = lab();
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let statuses = rows(&lab, "SELECT status, steps_done FROM runs");
    assert_eq!(statuses.len(), 2);
    assert!(statuses.iter().all(|row| row["status"] == "finished" && row["steps_done"] == 3), "{statuses:?}");

    let keys: Vec<String> = rows(&lab, "SELECT DISTINCT key FROM metrics")
        .iter()
        .filter_map(|row| row["key"].as_str().map(str::to_owned))
        .collect();
    for key in [
        "rewards/probabilities",
        "rewards/margins",
        "loss/leader",
        "loss/follower",
        "objective/kl_leader",
        "objective/kl_follower",
        "objective/entropy_leader",
        "objective/entropy_follower",
        "completions/mean_length",
        "completions/eos_rate",
        "frac_reward_zero_std",
        "grad_norm",
        "learning_rate",
        "follower_weight",
        "num_tokens",
        "step_time",
        "timing/generate",
        "timing/judge",
        "timing/train",
        "perf/tokens_per_second",
        "perf/mfu",
        "memory/peak_bytes",
    ] {
        assert!(keys.iter().any(|known| known == key), "{key} is missing among {keys:?}");
    }
    let subjects = rows(&lab, "SELECT DISTINCT subject FROM evaluations WHERE name = 'win_rate' ORDER BY 1");
    let subjects: Vec<&str> = subjects.iter().filter_map(|row| row["subject"].as_str()).collect();
    assert_eq!(subjects, ["follower(leader)/leader", "follower(reference)/reference", "leader/reference"]);

    let costs = rows(&lab, "SELECT DISTINCT quantity FROM costs ORDER BY 1");
    let costs: Vec<&str> = costs.iter().filter_map(|row| row["quantity"].as_str()).collect();
    for cost in ["operations", "tokens_generated", "tokens_trained"] {
        assert!(costs.contains(&cost), "{cost} is missing among {costs:?}");
    }
    let adapters = rows(&lab, "SELECT path FROM artefacts WHERE kind = 'adapter/shared'");
    assert_eq!(adapters.len(), 2);
    for adapter in adapters {
        let folder = lab.path("lab.db-checkpoints").join(adapter["path"].as_str().expect("a path"));
        assert!(folder.join("adapter_config.json").exists() && folder.join("adapter_model.safetensors").exists());
    }
}

#[test]
fn samples_show_each_pair_with_its_verdict() {
    let lab = lab();
    let _ = lab.run(&["run", "tiny.toml", "--set", "seeds=[1]"]).success();
    let samples = lab.run(&["samples", "latest", "--format", "json"]).json();
    let samples = samples.as_array().expect("samples");
    assert!(!samples.is_empty());
    for sample in samples {
        assert!(sample["prompt"].as_str().is_some_and(|prompt| prompt.starts_with("Count to ")), "{sample}");
    }
    let outcome = lab.run(&["samples", "latest", "--step", "2"]);
    assert!(outcome.success().contains("Count to "));
}

/// What RLOO asks of a prompt's two answers, from the worker through the record to the reader.
#[test]
fn samples_show_both_orders_of_answers_of_one_policy() {
    let lab = lab();
    let _ = lab.run(&["run", "tiny.toml", "--set", "seeds=[1]", "--set", "method.name=\"rloo\""]).success();
    let pairs = lab.run(&["samples", "latest", "--step", "1", "--format", "json"]).json();
    let pairs = pairs.as_array().expect("pairs");
    assert_eq!(pairs.len(), 2, "two prompts with two answers each: {pairs:?}");
    for pair in pairs {
        let [there, back] = ["probability", "reverse_probability"].map(|key| pair[key].as_f64().expect("a verdict"));
        // `brevity` is complementary.
        assert!((there + back - 1.0).abs() < 1e-9, "{pair}");
        let firsts: Vec<&str> =
            pair["attributes"].as_array().expect("attributes").iter().filter_map(|one| one["first"].as_str()).collect();
        assert!(firsts.contains(&"y") && firsts.contains(&"y_prime"), "{pair}");
    }
    let recorded = rows(&lab, "SELECT count(*) AS pairs, sum(asked_in_both_orders) AS both FROM training_pairs");
    assert_eq!((recorded[0]["pairs"].as_i64(), recorded[0]["both"].as_i64()), (Some(6), Some(6)), "{recorded:?}");
    let outcome = lab.run(&["samples", "latest", "--step", "1"]);
    let story = outcome.success();
    assert!(story.contains("p(y′ ≻ y) = ") && story.contains("y′ first: "), "{story}");
}

#[test]
fn a_model_is_inspected_scored_and_asked() {
    let lab = lab();
    let description = lab.run(&["model", "inspect", "--model", "./tiny", "--format", "json"]).json();
    assert!(description["tensors"].as_array().is_some_and(|tensors| tensors.len() > 10), "{description}");

    let arguments =
        ["model", "logprobs", "--model", "./tiny", "--prompt", "Count.", "--response", "one two", "--format", "json"];
    let scored = lab.run(&arguments).json();
    let numbers = |key: &str| scored[key].as_array().expect(key).len();
    assert!(numbers("token_ids") > 0);
    assert_eq!((numbers("tokens"), numbers("logprobs")), (numbers("token_ids"), numbers("token_ids")));
    assert!(
        scored["logprobs"].as_array().expect("numbers").iter().all(|one| one.as_f64().is_some_and(|one| one < 0.0))
    );

    let ask = |seed: &str| {
        let generate = [
            "model",
            "generate",
            "--model",
            "./tiny",
            "--seed",
            seed,
            "--max-new-tokens",
            "8",
            "--prompt",
            "Count to 3.",
        ];
        lab.run(&generate).success()
    };
    assert_eq!(ask("1"), ask("1"));
    assert_ne!(ask("1"), ask("2"));
}

#[test]
fn a_trained_run_refines_and_is_merged_into_a_model_that_says_the_same() {
    let lab = lab();
    let _ = lab.run(&["run", "tiny.toml", "--set", "seeds=[1]", "--set", "schedule.learning_rate=0.05"]).success();
    let refine = ["refine", "--run", "latest", "--rounds", "2", "--format", "json", "Count to 3."];
    let rounds = lab.run(&refine).json();
    let rounds = rounds.as_array().expect("rounds");
    assert_eq!(rounds.iter().filter_map(|row| row["round"].as_u64()).collect::<Vec<_>>(), [0, 1, 2]);

    let _ = lab.run(&["model", "merge", "--run", "latest", "--out", "merged"]).success();
    let logprobs = |model: &[&str]| {
        let rest = ["--prompt", "Count.", "--response", "one two", "--format", "json"];
        let scored = lab.run(&[&["model", "logprobs"], model, &rest].concat()).json();
        let numbers = scored["logprobs"].as_array().expect("numbers").iter().filter_map(serde_json::Value::as_f64);
        numbers.collect::<Vec<f64>>()
    };
    let (run, merged, base) =
        (logprobs(&["--run", "latest"]), logprobs(&["--model", "./merged"]), logprobs(&["--model", "./tiny"]));
    assert_eq!(run.len(), merged.len());
    assert!(run.iter().zip(&merged).all(|(one, other)| (one - other).abs() < 1e-4), "{run:?} {merged:?}");
    assert!(
        run.iter().zip(&base).any(|(one, other)| (one - other).abs() > 1e-3),
        "it learnt something: {run:?} {base:?}"
    );
}

#[test]
fn rlhfs_own_reward_is_fit_before_the_first_step_and_recorded() {
    let lab = lab();
    lab.write(
        "tiny.toml",
        EXPERIMENT.replace("\"stackelberg-gda\"", "\"rloo\"\nreward_model = { pairs = 8 }").replace("[1, 2]", "[1]"),
    );
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let fitted = rows(
        &lab,
        "SELECT step, name, value, n FROM evaluations WHERE subject = 'reward model' AND name <> 'reward_model/accuracy' \
         ORDER BY name",
    );
    let names: Vec<&str> = fitted.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["reward_model/l2", "reward_model/log_loss"]);
    for row in &fitted {
        assert!(row["step"] == 0 && row["n"] == 8 && row["value"].as_f64().is_some_and(|value| value > 0.0), "{row}");
    }
    let asked = rows(&lab, "SELECT value FROM parameters WHERE key = 'method.reward_model.pairs'");
    assert_eq!(asked.iter().map(|row| &row["value"]).collect::<Vec<_>>(), [8]);
    // The tokens of the fit are counted before those of the first step: 16 answers at least.
    let generated = rows(&lab, "SELECT value FROM metrics WHERE key = 'num_tokens_generated' AND step = 1");
    assert!(generated[0]["value"].as_f64().is_some_and(|value| value >= 20.0), "{generated:?}");
    let rewards = rows(&lab, "SELECT value FROM metrics WHERE key = 'rewards/mean' AND value IS NOT NULL");
    assert_eq!(rewards.len(), 3);
}

/// Closed sets of answers: rows of their own, and a judge that is a game for each kind of prompt.
fn closed_lab() -> Lab {
    let row = |row: usize| {
        let kind = ["fruit", "animal"][row % 2];
        format!("{{\"prompt\": \"Count to {row}.\", \"kind\": \"{kind}\", \"answers\": [\"a\", \"b\", \"c d\"]}}\n")
    };
    let rows = (0..8).map(row).collect::<Vec<_>>().concat();
    let experiment = EXPERIMENT
        .replace("plugin = \"brevity\"", CYCLES)
        .replace("name = \"stackelberg-gda\"", "name = \"stackelberg-gda\"\nbeta = 0.1")
        .replace("prompts.jsonl", "closed.jsonl")
        .replace("[judge]", "[answers]\n\n[judge]");
    let lab = language_lab(&experiment);
    std::fs::write(lab.path("closed.jsonl"), rows).expect("a file");
    lab
}

const CYCLES: &str = r#"plugin = "table"
[judge.parameters]
actions = ["a", "b", "c d"]
kinds.fruit = [[0.5, 0.9, 0.3], [0.1, 0.5, 0.8], [0.7, 0.2, 0.5]]
kinds.animal = [[0.5, 0.1, 0.7], [0.9, 0.5, 0.2], [0.3, 0.8, 0.5]]
"#;

#[test]
fn closed_sets_are_evaluated_exactly_on_training_and_held_out_prompts() {
    let lab = closed_lab();
    let both = &["exact", "sampled"][..];
    for (method, gap, gradients) in [
        ("stackelberg-gda", "stackelberg_gap", both),
        ("online-ipo", "duality_gap", both),
        ("egpo", "duality_gap", &["exact"]),
        ("omwu", "duality_gap", &["exact"]),
    ] {
        for gradient in gradients {
            let (method, gradient) = (format!("method.name=\"{method}\""), format!("answers.gradient=\"{gradient}\""));
            let set =
                ["--set", "seeds=[1]", "--set", &method, "--set", &gradient, "--set", "answers.reference=\"model\""];
            let _ = lab.run(&[&["run", "tiny.toml"][..], &set].concat()).success();
            let sql = format!(
                "SELECT subject, value, n FROM evaluations WHERE name = '{gap}' AND step = 3 AND run = (SELECT max(run) FROM runs) \
                 ORDER BY subject"
            );
            let found = rows(&lab, &sql);
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!((&found[0]["subject"], &found[1]["subject"]), (&"held_out".into(), &"train".into()));
            for row in &found {
                assert!(row["n"] == 4 && row["value"].as_f64().is_some_and(|gap| gap > 1e-3 && gap < 1.0), "{row}");
            }
        }
    }
    let spoken = rows(&lab, "SELECT count(*) AS count FROM completions");
    assert_eq!(spoken[0]["count"], 0, "no response is sampled");
}

#[test]
fn closed_sets_that_are_none_are_refused_before_the_run() {
    let lab = closed_lab();
    let refused = |rows: &str, set: &[&str], expected: &str| {
        let rows: String = (0..5).map(|row| rows.replace("ROW", &row.to_string())).collect();
        std::fs::write(lab.path("closed.jsonl"), rows).expect("a file");
        let outcome = lab.run(&[&["check", "tiny.toml"][..], set].concat());
        assert!(outcome.code != Some(0) && outcome.stderr.contains(expected), "{outcome}");
    };
    let row = "{\"prompt\": \"Count to ROW.\", \"answers\": [\"a\", \"b\"]}\n";
    refused("{\"prompt\": \"Count to ROW.\"}\n", &[], "\"answers\" is missing; expected a list of 2 to 12 short texts");
    refused(
        row,
        &["--set", "method.max_new_tokens=1"],
        "has 2 tokens with the one that ends it, and method.max_new_tokens is 1",
    );
    refused(row, &["--set", "data.answers=[\"a\"]"], "data.answers: 1 responses; expected 2 to 12");
    refused(row, &["--set", "evaluation.rounds=2"], "given with closed response sets");
    let drawn = ["--set", "method.name=\"omwu\"", "--set", "answers.gradient=\"sampled\""];
    refused(row, &drawn, "answers.gradient: \"sampled\" with omwu");
}
