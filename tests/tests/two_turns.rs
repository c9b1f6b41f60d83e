//! A method with two turns, from its TOML to its evaluations, beside a Follower and the untrained reference, on a tiny model with random
//! weights: nothing here depends on what it says.

use serde_json::Value;
use slhf_tests::{Lab, language_lab};

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
steps = 3
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
rounds = 2

[[ablation]]
name = "method"
values = [
    { label = "score", method = { name = "score", stage_one_steps = 2 } },
    { label = "objective", method = { name = "score", credit = "objective", kl_gradient = "exact" } },
    { label = "rewards", method = { name = "score", reward = { plugin = "instruction-accuracy", parameters = { instructions = [{ kind = "min_words", count = 2 }] } } } },
    { label = "model", method = { name = "score", reward_model = { pairs = 4 } } },
    { label = "slhf", method = { name = "stackelberg-gda" } },
    { label = "untrained", method = { name = "self-refinement", rounds = 1 } },
]
"#;

fn rows(lab: &Lab, sql: &str) -> Vec<Value> {
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

fn texts(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter().filter_map(|row| row[key].as_str().map(str::to_owned)).collect()
}

#[test]
fn it_is_evaluated_and_shown_beside_a_follower() {
    let lab = language_lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let finished = rows(&lab, "SELECT run FROM runs WHERE status = 'finished' AND steps_done = 3");
    assert_eq!(finished.len(), 5);

    // What is compared of a Follower is compared of every second turn.
    let subjects = |cell: &str| {
        let sql = format!(
            "SELECT DISTINCT subject FROM evaluations JOIN runs USING (run) WHERE name = 'win_rate' AND cell LIKE '%{cell}%' ORDER BY 1"
        );
        texts(&rows(&lab, &sql), "subject")
    };
    let of_a_follower = subjects("slhf");
    assert!(of_a_follower.contains(&"follower^2(reference)/reference".to_owned()), "{of_a_follower:?}");
    for cell in ["score", "objective", "rewards", "model"] {
        assert_eq!(subjects(cell), of_a_follower, "{cell}");
    }
    assert_eq!(subjects("untrained"), ["leader/reference"]);

    // Rewards of both turns are recorded, a κ is not.
    let keys =
        texts(&rows(&lab, "SELECT DISTINCT key FROM metrics JOIN runs USING (run) WHERE cell LIKE '%score%'"), "key");
    for key in ["rewards/first_turn", "rewards/second_turn", "rewards/probabilities", "loss/follower"] {
        assert!(keys.iter().any(|known| known == key), "{key} is missing among {keys:?}");
    }
    assert!(!keys.iter().any(|key| key == "follower_weight" || key == "rewards/margins"), "{keys:?}");
    let parameters = "SELECT key, value FROM parameters JOIN runs USING (run) WHERE cell LIKE '%score%' ORDER BY key";
    let keys = texts(&rows(&lab, parameters), "key");
    for key in
        ["method.alpha", "method.credit", "method.first_turn_beta", "method.stage_one_steps", "method.instruction"]
    {
        assert!(keys.iter().any(|known| known == key), "{key} is missing among {keys:?}");
    }
    assert!(!keys.iter().any(|key| key.starts_with("schedule.kappa")), "{keys:?}");

    // Both turns stand in the samples, with their rewards.
    let responses = rows(
        &lab,
        "SELECT role, reward FROM completions JOIN runs USING (run) WHERE cell LIKE '%rewards%' AND step = 1 AND role IN ('leader', 'follower')",
    );
    assert_eq!(responses.len(), 8, "{responses:?}");
    assert!(responses.iter().all(|row| row["reward"].is_number()), "{responses:?}");

    for verb in [&["show", "1"][..], &["samples", "1"], &["compare"], &["refine", "Count to 3.", "--run", "1"]] {
        let _ = lab.run(verb).success();
    }
}

/// What one experiment says that does not fit together, in one sentence each.
#[test]
fn what_it_cannot_be_is_refused_before_a_run() {
    let refused = |sets: &[&str]| {
        let lab = language_lab(EXPERIMENT.split("[[ablation]]").next().unwrap_or_default());
        let mut arguments = vec!["check", "tiny.toml", "--set", "method.name=score"];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        let outcome = lab.run(&arguments);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        outcome.stderr
    };
    for (sets, sentence) in [
        (&["method.stage_one_steps=4"][..], "method.stage_one_steps: 4 of 3 steps; expected no more than the run has"),
        (&["method.alpha=-1"], "method.alpha: -1"),
        (&["method.first_turn_beta=-0.5"], "method.first_turn_beta: -0.5"),
        (&["method.num_generations=1"], "method.num_generations: 1 with score"),
        (&["method.parameters=separate"], "method.parameters: only stackelberg-gda has it"),
        (&["method.follower_beta=0.1"], "method.follower_beta: only stackelberg-gda has it"),
        (&["method.score_baseline=0.5"], "method.score_baseline: only stackelberg-gda, nash-md"),
        (&["data.answers=[\"a\", \"b\"]"], "method.name: \"score\" with closed response sets"),
    ] {
        let stderr = refused(sets);
        assert!(stderr.contains(sentence), "{sets:?}: {stderr}");
    }
}
