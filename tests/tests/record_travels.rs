//! A record that travels and is looked after: `db merge|backup|check|gc|vacuum`, `tag`, `note`, `rm`.

#[path = "record_verbs/example.rs"]
mod example;
#[path = "checkpoints/stopped.rs"]
#[expect(dead_code, reason = "shared with the tests of checkpoints")]
mod stopped;
#[path = "kill/watched.rs"]
#[expect(dead_code, reason = "shared with the tests that kill")]
mod watched;

use std::fs;

use example::{example, example_with_a_dead_run};
use insta::assert_snapshot;
use slhf_tests::Lab;
use stopped::{copy_folder, json, stopped};

/// A game that is computed in a moment.
const SMALL: &str = r#"
kind = "game"
seeds = [1, 2]

[game]
actions = ["rock", "paper", "scissors"]
preferences = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.3], [0.1, 0.7, 0.5]]
tau_leader = 0.1
tau_follower = 0.1

[method]
name = "stackelberg-gda"
steps = 10
"#;

#[test]
fn merging_adds_every_run_once_and_says_its_number() {
    let (ours, theirs) = (example(), example());
    fs::copy(theirs.path("lab.db"), ours.path("other.db")).expect("copied");
    assert_snapshot!("merge", ours.run(&["db", "merge", "other.db"]));
    assert_snapshot!("merge_again", ours.run(&["db", "merge", "other.db"]));
    let runs =
        json(&ours, "lab.db", "SELECT count(*) AS n, count(DISTINCT run_id) AS ids, max(execution) AS last FROM runs");
    assert_eq!((&runs[0]["n"], &runs[0]["ids"], &runs[0]["last"]), (&12.into(), &12.into(), &2.into()));
    let same = "SELECT key, value, non_finite FROM latest_metrics WHERE run = ";
    assert_eq!(json(&ours, "lab.db", &format!("{same} 12")), json(&ours, "lab.db", &format!("{same} 6")));
    assert_snapshot!("merge_with_itself", ours.run(&["db", "merge", "./lab.db"]));
    assert_snapshot!("merge_of_nothing", ours.run(&["db", "merge", "missing.db"]));
}

#[test]
fn a_merge_that_would_contradict_writes_nothing() {
    let lab = example();
    fs::copy(lab.path("lab.db"), lab.path("other.db")).expect("copied");
    // In each of the two the interrupted run goes on by itself.
    let _ = lab.run(&["tag", "5", "--add", "here", "--db", "other.db"]).success();
    go_on(&lab, "lab.db", 0.25);
    go_on(&lab, "other.db", 0.75);
    assert_snapshot!("merge_conflict", lab.run(&["db", "merge", "other.db"]));
    assert_eq!(lab.run(&["ls", "--tag", "here", "--format", "json"]).json(), serde_json::json!([]));
}

fn go_on(lab: &Lab, db: &str, value: f64) {
    use slhf_plan::MetricsBatch;
    use slhf_record::{OpenMode, Record, RunStatus, Writer, WriterOptions};
    let mut record = Record::open(&lab.path(db), OpenMode::Write).expect("a record");
    let lease = record.acquire_lease().expect("a lease");
    record.start_runs(lease, &[5]).expect("it goes on");
    let writer = Writer::start(&record, &WriterOptions::default()).expect("a writer");
    let (keys, runs) = (vec!["entropy".to_owned()], vec![5]);
    writer.write(MetricsBatch { keys, runs, steps: vec![200], values: vec![value] }).expect("written");
    writer.close().expect("written");
    record.end_runs(&[5], RunStatus::Interrupted, "stopped again").expect("ended");
    record.release_lease(lease).expect("released");
}

/// The runs of a group that was stopped on another machine go on here, under other numbers, from their checkpoints.
#[test]
fn a_stopped_run_goes_on_in_the_record_it_was_merged_into() {
    let numbers = |lab: &Lab, db: &str, experiment: &str| {
        let sql = format!(
            "SELECT r.cell, r.seed, m.step, m.key, m.value, m.non_finite FROM runs r JOIN metrics m ON m.run = r.run \
             WHERE r.experiment = '{experiment}' ORDER BY 1, 2, 3, 4"
        );
        lab.run(&["query", &sql, "--format", "csv", "--db", db]).success()
    };
    let lab = stopped();
    lab.write("small.toml", SMALL);
    let _ = lab.run(&["run", "small.toml", "--db", "big.db"]).success();
    let merged = lab.run(&["db", "merge", "lab.db", "--db", "big.db"]);
    assert_eq!(merged.code, Some(0), "{merged}");
    assert_eq!(lab.run(&["db", "check", "--db", "big.db"]).code, Some(0));
    let resumed = lab.run(&["resume", "--db", "big.db"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert!(!resumed.stderr.contains("step 0") && !resumed.stderr.contains("is not there"), "{resumed}");
    let _ = lab.run(&["resume"]).success();
    assert_eq!(numbers(&lab, "big.db", "game"), numbers(&lab, "lab.db", "game"));
    // What each computed is the same to the bit, but each took its own time: the record that is finished is kept.
    let again = lab.run(&["db", "merge", "lab.db", "--db", "big.db"]);
    assert!(again.code == Some(1) && again.stderr.contains("differs (in cost)"), "{again}");
}

#[test]
fn tags_and_notes_are_found_and_travel() {
    let lab = example();
    let _ = lab.run(&["tag", "1", "latest", "--add", "paper", "--add", "κ"]).success();
    assert_snapshot!("tag", lab.run(&["tag", "1", "--remove", "κ"]));
    assert_snapshot!("tags", lab.run(&["tag"]));
    assert_snapshot!("tag_that_is_none", lab.run(&["tag", "1", "--add", "two words"]));
    let listed = lab.run(&["ls", "--tag", "paper", "--format", "json"]).json();
    assert_eq!(
        listed.as_array().map(|runs| runs.iter().map(|run| run["run"].as_i64()).collect()),
        Some(vec![Some(6), Some(1)])
    );
    assert_snapshot!("ls_of_an_unknown_tag", lab.run(&["ls", "--tag", "papers"]));
    assert_snapshot!("note", lab.run(&["note", "1", "Converged too early?"]));
    let shown = lab.run(&["show", "1", "--format", "json"]).json();
    assert_eq!(
        (&shown["tags"][0]["tag"], &shown["notes"][0]["text"]),
        (&"paper".into(), &"Converged too early?".into())
    );
    let _ = lab.run(&["db", "export", "cycle", "--to", "paper.db.gz"]).success();
    let _ = lab.run(&["db", "copy", "--to", "copy.db"]).success();
    let _ = lab.run(&["db", "merge", "paper.db.gz", "--db", "merged.db"]).success();
    for db in ["paper.db.gz", "copy.db", "merged.db"] {
        let sql = "SELECT t.tag, n.text FROM tags t JOIN notes n ON n.run = t.run";
        assert_eq!(json(&lab, db, sql)[0], serde_json::json!({"tag": "paper", "text": "Converged too early?"}), "{db}");
    }
}

#[test]
fn removed_runs_are_nowhere_until_they_are_brought_back() {
    let lab = example();
    assert_snapshot!("rm_without_yes", lab.run(&["rm", "1", "cycle/kappa=5/2"]));
    assert_snapshot!("rm", lab.run(&["rm", "1", "cycle/kappa=5/2", "--yes"]));
    assert_snapshot!("ls_after_rm", lab.run(&["ls"]));
    assert_eq!(lab.run(&["show", "1"]).code, Some(2));
    assert_snapshot!("rm_undo", lab.run(&["rm", "--undo", "1"]));
    let _ = lab.run(&["rm", "cycle", "--yes"]).success();
    assert_snapshot!("ls_after_all_are_removed", lab.run(&["ls"]));
    let _ = lab.run(&["rm", "--undo"]).success();
    assert_eq!(lab.run(&["ls", "--format", "json"]).json().as_array().map(Vec::len), Some(6));
    assert_snapshot!("rm_undo_of_nothing", lab.run(&["rm", "--undo"]));
    let _ = lab.run(&["rm", "2", "--yes"]).success();
    let gc = lab.run(&["db", "gc"]);
    assert!(gc.code == Some(0) && gc.stderr.contains("emptying the trash lab.trash.db: its 1 runs"), "{gc}");
    assert!(!lab.path("lab.trash.db").exists());
}

#[test]
fn what_is_wrong_with_a_record_is_in_one_table() {
    let lab = stopped();
    assert_snapshot!("check_of_a_sound_record", lab.run(&["db", "check"]));
    let sql = "SELECT min(path) AS path FROM artefacts WHERE removed_at IS NULL";
    let path = lab.path("lab.db-checkpoints").join(json(&lab, "lab.db", sql)[0]["path"].as_str().expect("a path"));
    fs::remove_file(&path).expect("removed");
    fs::write(path.with_file_name("left-behind"), "four").expect("written");
    let found = lab.run(&["db", "check", "--format", "json"]);
    assert_eq!(found.code, Some(1), "{found}");
    let rows: serde_json::Value = serde_json::from_str(&found.stdout).expect("JSON");
    let words: Vec<_> = rows.as_array().expect("rows").iter().filter_map(|row| row["found"].as_str()).collect();
    assert_eq!(words, ["is not there", "no row names this file (4 bytes)"]);
    assert!(found.stderr.contains("2 things are wrong with the record"), "{found}");
    let dry = lab.run(&["db", "gc", "--dry-run"]);
    assert!(
        dry.code == Some(0)
            && dry.stderr.contains("4 bytes would be freed")
            && path.with_file_name("left-behind").exists(),
        "{dry}"
    );
    let gone = lab.run(&["db", "gc"]);
    assert!(gone.stderr.contains("4 bytes freed") && !path.with_file_name("left-behind").exists(), "{gone}");
    let dead = example_with_a_dead_run();
    let found = dead.run(&["db", "check"]);
    let rows = dead.run(&["db", "check", "--format", "json"]).stdout;
    let is_named = rows.contains("is marked as running, but process") && rows.contains("`slhf-lab resume` goes on");
    assert!(found.code == Some(1) && is_named, "{found}");
}

#[test]
fn a_backup_is_read_back_and_takes_the_place_of_the_original() {
    let lab = stopped();
    let backed = lab.run(&["db", "backup", "--to", "backup.db"]);
    assert!(backed.code == Some(0) && backed.stderr.contains("and read back"), "{backed}");
    assert_snapshot!("backup_over_something", lab.run(&["db", "backup", "--to", "backup.db"]));
    fs::rename(lab.path("backup.db"), lab.path("lab.db")).expect("put in its place");
    assert_eq!(lab.run(&["db", "check"]).code, Some(0), "the files of runs are its own");
    let vacuumed = lab.run(&["db", "vacuum"]);
    assert!(vacuumed.code == Some(0) && vacuumed.stderr.contains("bytes before"), "{vacuumed}");
    let moved = Lab::new();
    copy_folder(&lab.folder(), &moved.folder());
    assert_eq!(moved.run(&["db", "check"]).code, Some(0));
}
