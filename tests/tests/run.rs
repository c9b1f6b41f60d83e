//! `run` and its ways of ending, on games that take milliseconds.

use insta::assert_snapshot;
use slhf_tests::Lab;

const EXPERIMENT: &str = r#"
kind = "game"
question = "What becomes of a cycle?"
seeds = [1, 2]

[game]
actions = ["rock", "paper", "scissors"]
preferences = [[0.5, 0.1, 0.8], [0.9, 0.5, 0.3], [0.2, 0.7, 0.5]]
tau_leader = 0.2
tau_follower = 0.2
tau_nash = 0.2
tau_rlhf = 0.2

[method]
name = "stackelberg-gda"
steps = 10

[device]
name = "cpu"
threads = 1

[evaluation]
every = 5

[[ablation]]
name = "method"
values = [
    { label = "SLHF", method = { name = "stackelberg-gda" } },
    { label = "NLHF", method = { name = "nash-md", mixture_coef = 0.0 } },
    { label = "RLHF", method = { name = "rlhf" } },
]
"#;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("cycle.toml", EXPERIMENT);
    lab
}

#[test]
fn run_says_its_plan_runs_it_and_tells_the_story() {
    assert_snapshot!(lab().run(&["run", "cycle.toml"]));
}

#[test]
fn a_dry_run_prints_the_plan_and_leaves_no_trace() {
    let lab = lab();
    assert_snapshot!(lab.run(&["run", "cycle.toml", "--dry-run", "--set", "method.steps=4"]));
    assert!(!lab.path("lab.db").exists());
}

#[test]
fn results_for_programs_are_one_document() {
    let lab = lab();
    lab.write("other.toml", EXPERIMENT);
    let rows = lab.run(&["run", "cycle.toml", "other.toml", "--format", "json"]).json();
    let rows = rows.as_array().expect("one array");
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[3]["experiment"], "other");
    assert_eq!(rows[0]["stackelberg_gap"]["n"], 2);
    // The same content and the same seeds under another name: the same numbers.
    for (one, other) in rows[..3].iter().zip(&rows[3..]) {
        assert_eq!(one["policy"], other["policy"]);
        assert_eq!(one["stackelberg_gap"], other["stackelberg_gap"]);
    }
}

#[test]
fn every_run_is_a_new_execution_and_needed_skips_what_is_answered() {
    let lab = lab();
    let _ = lab.run(&["run", "cycle.toml"]).success();
    let again = lab.run(&["run", "cycle.toml", "--set", "seeds=[1, 2, 3]", "--needed"]);
    assert_snapshot!("run_needed", again);
    let sql = "SELECT execution, count(*) AS runs FROM runs GROUP BY execution ORDER BY execution";
    let rows = lab.run(&["query", sql, "--format", "json"]).json();
    assert_eq!((rows[0]["runs"].clone(), rows[1]["runs"].clone()), (6.into(), 3.into()), "one new seed in three cells");
    let compared = lab.run(&["compare", "--format", "json"]).json();
    assert_eq!(compared[0]["seeds"], 3, "answered seeds count in a comparison");
    let all = lab.run(&["run", "cycle.toml", "--needed"]);
    assert_eq!(all.code, Some(0), "{all}");
}

#[test]
fn nothing_is_superseded_but_by_wish() {
    let lab = lab();
    let _ = lab.run(&["run", "cycle.toml"]).success();
    let _ = lab.run(&["run", "cycle.toml"]).success();
    let superseded = || {
        let sql = "SELECT count(*) AS n FROM runs WHERE status = 'superseded'";
        lab.run(&["query", sql, "--format", "json"]).json()[0]["n"].clone()
    };
    assert_eq!(superseded(), 0);
    let third = lab.run(&["run", "cycle.toml", "--supersede"]);
    assert!(third.stderr.contains("12 runs of earlier executions superseded"), "{third}");
    assert_eq!(superseded(), 12);
}

#[test]
fn the_next_experiment_runs_after_one_has_failed() {
    let lab = lab();
    // A learning rate beyond all measure: the logits overflow.
    let wild = EXPERIMENT.replace("[device]", "[schedule]\nlearning_rate = 1e308\n\n[device]");
    lab.write("wild.toml", wild);
    let outcome = lab.run(&["run", "wild.toml", "cycle.toml", "--format", "csv"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains("cycle,SLHF"), "{outcome}");
    assert!(outcome.stderr.contains(" failed: "), "{outcome}");
}

#[test]
fn a_slip_in_the_last_file_stops_all_before_anything_starts() {
    let lab = lab();
    lab.write("slip.toml", EXPERIMENT.replace("steps = 10", "stepps = 10"));
    assert_snapshot!("run_with_a_slip", lab.run(&["run", "cycle.toml", "slip.toml"]));
    assert!(!lab.path("lab.db").exists());
}

#[test]
fn two_files_of_one_name_are_refused() {
    let lab = lab();
    lab.write("folder/cycle.toml", EXPERIMENT);
    assert_snapshot!("run_twins", lab.run(&["run", "cycle.toml", "folder/cycle.toml"]));
}

#[test]
fn nothing_to_resume_is_no_failure() {
    let lab = lab();
    let _ = lab.run(&["run", "cycle.toml"]).success();
    assert_snapshot!("resume_nothing", lab.run(&["resume"]));
    assert_snapshot!("resume_finished", lab.run(&["resume", "1"]));
    assert_snapshot!("resume_without_a_record", Lab::new().run(&["resume"]));
}

#[test]
fn the_provenance_explains_a_number_later() {
    let lab = lab();
    let _ = lab.run(&["run", "cycle.toml", "--set", "method.steps=20"]).success();
    let shown = lab.run(&["show", "--format", "json"]).json();
    let provenance = &shown["provenance"];
    assert!(provenance["command_line"].as_str().unwrap().ends_with("run cycle.toml --set method.steps=20"));
    assert_eq!(provenance["worker_sha256"], shown["environment"]["worker_sha256"]);
    assert_eq!(provenance["lab_sha256"].as_str().map(str::len), Some(64));
    let software: Vec<&str> =
        shown["software"].as_array().unwrap().iter().filter_map(|row| row["software"].as_str()).collect();
    for name in ["rustc", "tch", "wasmtime", "sqlx", "kernel", "build id"] {
        assert!(software.contains(&name), "{name} is not among {software:?}");
    }
    assert_eq!(shown["plugins"][0]["name"], "table");
    assert_eq!(shown["plugins"][0]["items"], 9, "all ordered pairs of three actions were judged");
    assert_eq!(shown["environment"]["mkl_cbwr"], "AVX2,STRICT");
    assert_eq!(shown["environment"]["threads"], 1);
}

#[test]
fn devices_named_twice_compute_side_by_side_and_change_no_number() {
    let lab = lab();
    let outcome = lab.run(&["run", "cycle.toml", "--dry-run"]);
    assert!(outcome.stderr.contains("3 batch groups"), "{outcome}");
    let results = |db: &str, devices: &[&str]| {
        let arguments = [&["run", "cycle.toml", "--format", "csv", "--db", db], devices].concat();
        lab.run(&arguments).success()
    };
    assert_eq!(results("one.db", &[]), results("two.db", &["--devices", "cpu,cpu"]));
    let sql = "SELECT DISTINCT device FROM environments";
    let rows = lab.run(&["query", sql, "--db", "two.db", "--format", "json"]).json();
    assert_eq!(rows, serde_json::json!([{ "device": "cpu" }]));
}

#[test]
fn devices_that_cannot_compute_a_plan_are_refused_before_anything_is_recorded() {
    let lab = lab();
    let check = |arguments: &[&str], expected: &str| {
        let outcome = lab.run(&[&["run", "cycle.toml"], arguments].concat());
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expected), "{outcome}");
        assert!(!lab.path("lab.db").exists(), "{outcome}");
    };
    check(&["--devices", "cpu,gpu"], "\"gpu\" is no device; expected cpu, cuda or cuda:N");
    check(&["--devices", "cpu", "--jobs", "2"], "cannot be used with");
    let other_kind = "--devices cuda:0,cuda:1: an experiment is planned on cpu, and no device of that kind is named";
    check(&["--devices", "cuda,cuda:1"], other_kind);
    // What is planned on the first device named is asked for by its number; no machine has so many.
    let on_cuda = ["--set", "device.name=auto", "--devices", "cuda:100"];
    check(&on_cuda, "--devices: ");
}
