//! Self-play against policies of steps before, from its TOML to its record, on a tiny model with random weights; and several judges as one
//! of their weighted mean.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use slhf_tests::{Found, Lab, language_lab, send, worker_of};

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
plugin = "attributes"
[judge.parameters]
rule = "share"
[[judge.parameters.attributes]]
name = "short"
measure = "words"
prefer = "lower"
scale = 1.0
weight = 3.0
[[judge.parameters.attributes]]
name = "long"
measure = "characters"
scale = 2.0

[method]
name = "mnpo"
beta = 0.1
steps = 4
prompts_per_step = 2
max_new_tokens = 6

[schedule]
learning_rate = 1e-2

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

fn rows(lab: &Lab, sql: &str) -> Vec<Value> {
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

const CELLS: &str = r#"
[[ablation]]
name = "method"
values = [
    { label = "last", method = { name = "inpo", eta = 0.3, num_iterations = 2 } },
    { label = "one", method = { opponents = [5.0], eta = 0.3, num_iterations = 2 } },
    { label = "three", method = { eta = 0.3, num_iterations = 2 } },
]
"#;

#[test]
fn one_opponent_is_inpo_and_past_ones_are_played_from_the_second_step_on() {
    let lab = language_lab(&format!("{EXPERIMENT}{CELLS}"));
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let losses = |cell: &str| {
        let sql = format!(
            "SELECT step, value FROM metrics JOIN runs USING (run) WHERE key = 'grad_norm' AND cell = '{cell}' ORDER BY step"
        );
        rows(&lab, &sql).iter().filter_map(|row| row["value"].as_f64()).collect::<Vec<f64>>()
    };
    let (last, one, three) = (losses("last"), losses("one"), losses("three"));
    assert_eq!(last.len(), 4);
    assert_eq!(last, one);
    assert_eq!(three[0], one[0], "before the first step there is no past");
    assert_ne!(three[1], one[1]);
    let sql = "SELECT key, value FROM parameters JOIN runs USING (run) WHERE cell = 'three' AND key LIKE 'method.%'";
    let parameters: Vec<String> =
        rows(&lab, sql).iter().filter_map(|row| Some(row["key"].as_str()?.to_owned())).collect();
    for key in ["method.eta", "method.num_iterations"] {
        assert!(parameters.iter().any(|known| known == key), "{key} is missing among {parameters:?}");
    }
    assert!(parameters.iter().any(|key| key.starts_with("method.opponents")), "{parameters:?}");
    for verb in [&["show", "3"][..], &["samples", "3"], &["compare"]] {
        let _ = lab.run(verb).success();
    }
}

/// What each judge of the committee said stands beside the verdict, which is their weighted mean.
#[test]
fn several_judges_are_one_of_their_weighted_mean() {
    let lab = language_lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let verdicts = rows(
        &lab,
        "SELECT v.probability AS p, short.value AS short, long.value AS long FROM training_verdicts v \
         JOIN training_verdict_attributes short USING (run, step, first, second) \
         JOIN training_verdict_attributes long USING (run, step, first, second) \
         WHERE short.attribute = 'short' AND long.attribute = 'long'",
    );
    assert_eq!(verdicts.len(), 4 * 2 * 2, "both orders of the pair of each prompt of each step");
    let number = |row: &Value, key: &str| row[key].as_f64().expect("a number");
    let mut disagree = 0;
    for row in &verdicts {
        let (short, long) = (number(row, "short"), number(row, "long"));
        assert!((number(row, "p") - 0.75 * short - 0.25 * long).abs() < 1e-12, "{row}");
        disagree += u32::from((short - 0.5) * (long - 0.5) < 0.0);
    }
    assert!(disagree > 0, "the judges are of one mind: {verdicts:?}");
}

#[test]
fn a_run_that_was_stopped_ends_at_the_same_bits() {
    let experiment =
        EXPERIMENT.replace("lora_r = 4", "lora_r = 4\nlora_dropout = 0.2").replace("steps = 4", "steps = 80");
    let whole = language_lab(&experiment);
    let _ = whole.run(&["run", "tiny.toml"]).success();
    let cut = language_lab(&experiment);
    let mut child =
        cut.command(["run", "tiny.toml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let started = Instant::now();
    let has_begun = || {
        worker_of(child.id()).is_some()
            && cut.path("lab.db").exists()
            && rows(&cut, "SELECT max(step) AS step FROM metrics")[0]["step"].as_i64().is_some_and(|step| step > 4)
    };
    while !has_begun() && started.elapsed() < Duration::from_secs(90) {
        std::thread::sleep(Duration::from_millis(5));
    }
    send("INT", child.id());
    assert_eq!(child.wait().expect("waited for").code(), Some(130));
    let steps = rows(&cut, "SELECT steps_done FROM runs")[0]["steps_done"].as_i64();
    assert!(steps.is_some_and(|steps| (1..80).contains(&steps)), "{steps:?}");
    let _ = cut.run(&["resume"]).success();
    let found = |lab: &Lab| Found::read(lab, &lab.path("lab.db")).expect("read");
    assert_eq!(found(&whole), found(&cut));
}

/// On closed sets the past is asked for whole sets.
#[test]
fn closed_sets_are_played_against_past_policies_too() {
    let lab = language_lab(EXPERIMENT);
    for gradient in ["exact", "sampled"] {
        let gradient = format!("answers.gradient=\"{gradient}\"");
        let set = ["--set", "data.answers=[\"a\", \"b b\", \"c\"]", "--set", &gradient];
        let _ = lab.run(&[&["run", "tiny.toml"][..], &set].concat()).success();
    }
    let gaps = rows(&lab, "SELECT value FROM evaluations WHERE name = 'duality_gap' AND step = 4");
    assert_eq!(gaps.len(), 4, "{gaps:?}");
    assert!(gaps.iter().all(|row| row["value"].as_f64().is_some_and(|gap| (0.0..1.0).contains(&gap))), "{gaps:?}");
}

#[test]
fn what_it_cannot_be_is_refused_before_a_run() {
    for (sets, sentence) in [
        (&["method.opponents=[]"][..], "method.opponents: 0 weights; expected 1 to 64"),
        (&["method.opponents=[1, -2]"], "method.opponents: -2; expected finite numbers, not negative"),
        (&["method.opponents=[0, 0]"], "method.opponents: weights that sum to 0"),
        (
            &["method.eta=0.05"],
            "method.eta: 0.05; expected a finite number above 0 and at least method.beta, which is 0.1",
        ),
        (
            &["method.opponents=[2]", "method.eta=0.5"],
            "method.eta: given with num_iterations = 1, where it does nothing",
        ),
        (&["method.top_p=0.9"], "others under every policy of method.opponents"),
        (&["method.labels=\"hard\""], "have it: the others take verdicts as they are"),
        (&["method.num_generations=1"], "method.num_generations: 1 with mnpo"),
        (&["method.micro_batch_size=1"], "method.micro_batch_size: 1 with mnpo"),
    ] {
        let lab = language_lab(EXPERIMENT);
        let mut arguments = vec!["check", "tiny.toml"];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        let outcome = lab.run(&arguments);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(sentence), "{sets:?}: {outcome}");
    }
}
