//! The verbs that read: `ls`, `show`, `compare`, `query`, `db`. The record they read is made by hand, so that every
//! figure in these snapshots is known.

#[path = "record_verbs/example.rs"]
mod example;

use example::{example, example_with_a_dead_run};
use insta::assert_snapshot;
use slhf_tests::Lab;

#[test]
fn ls_lists_runs_newest_first() {
    assert_snapshot!(example().run(&["ls"]));
}

#[test]
fn ls_takes_filters_and_formats() {
    let lab = example();
    assert_snapshot!("ls_failed_as_csv", lab.run(&["ls", "--status", "failed", "--format", "csv"]));
    assert_snapshot!("ls_limited", lab.run(&["ls", "--limit", "1", "--format", "markdown"]));
    assert_snapshot!("ls_of_an_unknown_experiment", lab.run(&["ls", "--experiment", "nothing"]));
    assert_snapshot!("ls_of_an_unknown_state", lab.run(&["ls", "--status", "done"]));
    let json = lab.run(&["ls", "--all", "--format", "json"]).json();
    assert_eq!(json.as_array().map(Vec::len), Some(6));
    assert_eq!(json[0]["run"], 6);
    assert_eq!(json[0]["status"], "finished");
}

#[test]
fn a_record_that_is_missing_or_none_is_a_sentence() {
    let lab = Lab::new();
    assert_snapshot!("ls_without_a_record", lab.run(&["ls"]));
    lab.write(
        "notes.txt",
        "These are notes, not a record; long enough to be no SQLite header by accident.\n".repeat(4),
    );
    assert_snapshot!("ls_of_a_text_file", lab.run(&["ls", "--db", "notes.txt"]));
}

#[test]
fn show_tells_everything_about_a_run() {
    let lab = example();
    assert_snapshot!("show_finished", lab.run(&["show", "1"]));
    assert_snapshot!("show_failed", lab.run(&["show", "cycle/kappa=5/2"]));
    let json = lab.run(&["show", "latest", "--format", "json"]).json();
    assert_eq!(json["run"]["run"], 6);
    assert_eq!(json["metrics"][0]["key"], "duality_gap");
    assert_eq!(json["metrics"][0]["value"], "NaN");
    assert_eq!(json["plugins"][0]["memory_mib"], 256);
}

#[test]
fn show_of_no_run_or_of_many_says_what_would_help() {
    let lab = example();
    assert_snapshot!("show_unknown", lab.run(&["show", "77"]));
    assert_snapshot!("show_ambiguous", lab.run(&["show", "cycle/kappa=5"]));
}

#[test]
fn compare_puts_cells_side_by_side() {
    let lab = example();
    assert_snapshot!("compare_latest", lab.run(&["compare"]));
    assert_snapshot!("compare_sorted", lab.run(&["compare", "cycle", "--sort", "stackelberg_gap", "--top", "1"]));
    assert_snapshot!(
        "compare_only_changed",
        lab.run(&["compare", "cycle", "--only-changed", "--metrics", "entropy,leader_gap", "--format", "markdown"])
    );
    assert_snapshot!("compare_runs", lab.run(&["compare", "1", "2", "--format", "csv"]));
    assert_snapshot!("compare_at_a_step", lab.run(&["compare", "cycle", "--at-step", "0"]));
}

/// At 80 and 120 columns, and where nobody says how wide the place is.
#[test]
fn tables_fit_their_place() {
    let lab = example();
    for verb in [&["ls"][..], &["compare"], &["show", "1"], &["query", "SELECT * FROM runs"]] {
        for columns in [40, 80, 120] {
            let shown = lab.outcome(lab.command(verb).env("COLUMNS", columns.to_string()));
            for line in shown.stdout.lines() {
                let fits = line.chars().count() <= columns || line.split_whitespace().count() == 1;
                // Times and hashes were replaced by their names: those lines are no longer as wide as they were.
                assert!(fits || line.contains('['), "{columns}: {line}\n{shown}");
            }
        }
    }
    let at_40 = lab.outcome(lab.command(["compare"]).env("COLUMNS", "40"));
    assert_snapshot!("compare_at_40", at_40);
    let piped = lab.outcome(lab.command(["ls"]).env_remove("COLUMNS"));
    assert_snapshot!("ls_through_a_pipe", piped);
}

#[test]
fn a_run_is_found_by_the_short_keys_that_tables_show() {
    let lab = Lab::new();
    lab.write("cycle.toml", SWEEP);
    let _ = lab.run(&["run", "cycle.toml"]).success();
    assert_snapshot!("ls_of_a_sweep", lab.run(&["ls", "--experiment", "cycle"]));
    let json = lab.run(&["show", "cycle/kappa=5/1", "--format", "json"]).json();
    assert_eq!(json["run"]["cell"], "schedule.kappa=5");
}

const SWEEP: &str = r#"
kind = "game"
seeds = [1]

[game]
actions = ["rock", "paper"]
preferences = [[0.5, 0.2], [0.8, 0.5]]

[method]
name = "stackelberg-gda"
steps = 4

[[ablation]]
key = "schedule.kappa"
values = [1, 5]
"#;

#[test]
fn compare_keeps_all_digits_for_programs() {
    let json = example().run(&["compare", "cycle", "--format", "json"]).json();
    assert_eq!(json[0]["stackelberg_gap"]["mean"], 0.2);
    assert_eq!(json[0]["stackelberg_gap"]["n"], 3);
    assert_eq!(json[1]["stackelberg_gap"]["n"], 1, "unfinished runs are no part of a mean");
    assert_eq!(json[1]["seeds"], 1);
}

#[test]
fn compare_of_what_is_not_there_says_what_is() {
    let lab = example();
    assert_snapshot!("compare_unknown_metric", lab.run(&["compare", "cycle", "--metrics", "leader_gab"]));
    assert_snapshot!("compare_unknown_sort", lab.run(&["compare", "cycle", "--sort", "speed"]));
    assert_snapshot!("compare_unknown_experiment", lab.run(&["compare", "cicle"]));
    assert_snapshot!("compare_unknown_step", lab.run(&["compare", "cycle", "--at-step", "7"]));
}

#[test]
fn compare_tests_two_cells_against_each_other() {
    let lab = example();
    let test = |cells: [&str; 2]| lab.run(&["compare", "cycle", "--test", cells[0], cells[1], "--metrics", "leader"]);
    assert_snapshot!("compare_test", test(["kappa=1", "kappa=5"]));
    assert_snapshot!("compare_test_unknown", test(["kappa=1", "kappa=6"]));
}

#[test]
fn show_has_sections() {
    let lab = example();
    assert_snapshot!("show_sections", lab.run(&["show", "6", "--section", "metrics", "--section", "costs"]));
    assert!(lab.run(&["show", "1", "--section", "artifacts"]).stdout.contains("checkpoints/1"));
    let unknown = lab.run(&["show", "1", "--section", "cost"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("costs"), "{unknown}");
}

#[test]
fn query_of_an_unknown_name_names_the_nearest() {
    let lab = example();
    assert_snapshot!("query_unknown_column", lab.run(&["query", "SELECT r.statuss FROM runs r"]));
    assert_snapshot!("query_unknown_view", lab.run(&["query", "SELECT run FROM runz"]));
    assert_snapshot!("query_far_from_any_column", lab.run(&["query", "SELECT zebra FROM latest_metrics"]));
}

#[test]
fn shells_and_man_know_the_verbs() {
    let lab = Lab::new();
    for shell in ["bash", "zsh", "fish"] {
        let completions = lab.run(&["completions", shell]).success();
        assert!(completions.contains("reproduce"), "{shell}");
    }
    let written = lab.run(&["man", "--out", "pages/man1"]);
    assert_eq!(written.code, Some(0), "{written}");
    for page in ["slhf-lab.1", "slhf-lab-run.1", "slhf-lab-model-fetch.1"] {
        let text = lab.read(format!("pages/man1/{page}"));
        assert!(text.contains(".SH NAME") && text.contains("verbose"), "{page}: {text}");
    }
}

#[test]
fn query_answers_with_all_digits_and_names_what_is_not_finite() {
    let lab = example();
    let sql = "SELECT run, key, value, non_finite FROM latest_metrics WHERE run IN (1, 6) ORDER BY run, key";
    assert_snapshot!("query_table", lab.run(&["query", sql]));
    assert_snapshot!("query_csv", lab.run(&["query", sql, "--format", "csv"]));
    let typed = "SELECT value FROM parameters WHERE key = 'schedule.kappa.value' AND run = 1";
    assert_eq!(lab.run(&["query", typed, "--format", "json"]).json()[0]["value"], 1.0);
}

#[test]
fn query_only_reads_and_not_for_ever() {
    let lab = example();
    assert_snapshot!("query_that_writes", lab.run(&["query", "DELETE FROM run"]));
    assert_snapshot!("query_that_attaches", lab.run(&["query", "ATTACH 'other.db' AS other"]));
    assert_snapshot!("query_with_two_statements", lab.run(&["query", "SELECT 1; SELECT 2"]));
    assert_snapshot!("query_with_a_slip", lab.run(&["query", "SELECT nothing FROM runs"]));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    assert_snapshot!("query_without_end", lab.run(&["query", endless, "--time-limit-s", "0"]));
    let runs = lab.run(&["query", "SELECT count(*) AS n FROM runs", "--format", "json"]).json();
    assert_eq!(runs[0]["n"], 6, "nothing was deleted");
}

#[test]
fn db_schema_documents_every_view_that_can_be_asked() {
    let lab = example();
    let columns = lab.run(&["db", "schema", "--format", "json"]).json();
    let columns = columns.as_array().expect("an array");
    assert!(columns.len() > 100, "{} columns", columns.len());
    for column in columns {
        let (view, name) = (column["view"].as_str().unwrap(), column["column"].as_str().unwrap());
        let answer = lab.run(&["query", &format!("SELECT {name} FROM {view} LIMIT 1"), "--format", "json"]);
        assert_eq!(answer.code, Some(0), "{view}.{name}: {answer}");
    }
}

#[test]
fn a_run_whose_process_is_gone_is_interrupted_at_the_next_look() {
    let lab = example_with_a_dead_run();
    let listed = lab.run(&["ls", "--format", "json"]);
    let run = &listed.clone().json()[0];
    assert_eq!(run["status"], "interrupted");
    let reason = run["reason"].as_str().unwrap();
    assert!(reason.contains("ended without ending this run"), "{reason}");
    assert!(listed.stderr.contains("is interrupted"), "{listed}");
    // It was marked, not only shown: the next look has nothing left to mark.
    assert_eq!(lab.run(&["ls"]).stderr, "");
}

#[test]
fn a_read_only_record_is_read_and_shows_the_dead_as_interrupted() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = example_with_a_dead_run();
    let path = lab.path("lab.db");
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o400);
    let listed = lab.run(&["ls", "--format", "json"]);
    mode(0o600);
    assert_eq!(listed.json()[0]["status"], "interrupted");
}
