//! Killing the lab, or its worker, at many moments: the record opens, holds every committed step, shows the runs as
//! interrupted with the reason; `resume` finishes exactly what is missing, and the numbers are those of a run that
//! nobody killed, bit for bit.
//!
//! A moment is a number of committed rows, drawn from a seed: no test sleeps for a length of time and hopes.

#[path = "kill/language.rs"]
mod language;
#[path = "kill/processes.rs"]
mod processes;
#[path = "kill/ranks.rs"]
mod ranks;
#[path = "kill/tasks.rs"]
mod tasks;
#[path = "kill/watched.rs"]
mod watched;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use slhf_tests::{Found, Lab, is_gone};
use watched::{Moments, Path, RUNS, Watched, experiment, numbers, statuses};

/// What an uninterrupted run of the same experiment computes.
fn uninterrupted(path: Path) -> &'static Found {
    static SCALAR: OnceLock<Found> = OnceLock::new();
    static TENSOR: OnceLock<Found> = OnceLock::new();
    let once = match path {
        Path::Scalar => &SCALAR,
        Path::Tensor => &TENSOR,
    };
    once.get_or_init(|| {
        let lab = Lab::new();
        lab.write("game.toml", experiment(path));
        let _ = lab.run(&["run", "game.toml"]).success();
        numbers(&lab)
    })
}

fn the_lab(watched: &mut Watched<'_>) {
    watched.kill_lab();
}

fn the_worker(watched: &mut Watched<'_>) {
    watched.kill_worker();
}

/// Kills at `kills` moments, resuming after each; then lets it finish.
fn killed_again_and_again(path: Path, kills: usize, seed: u64, kill: fn(&mut Watched<'_>)) -> Lab {
    let lab = Lab::new();
    lab.write("game.toml", experiment(path));
    let mut moments = Moments::new(seed);
    for round in 0..kills {
        let verb: &[&str] = if round == 0 { &["run", "game.toml"] } else { &["resume"] };
        let mut watched = Watched::start(&lab, verb);
        let rows = moments.rows(kills - round);
        if !watched.wait_for_new_rows(rows) {
            watched.wait();
            break;
        }
        kill(&mut watched);
        let outcome = watched.wait();
        assert_every_committed_step_is_there(&lab, path);
        let statuses = statuses(&lab);
        assert!(
            statuses.iter().all(|(status, reason)| status == "finished"
                || status == "pending"
                || (status == "interrupted" && !reason.is_empty())),
            "after kill {round}: {statuses:?}\n{outcome}"
        );
    }
    let done = lab.run(&["resume"]);
    assert_eq!(done.code, Some(0), "{done}");
    lab
}

/// Every run has its rows without a hole: evaluations at 0, e, 2e, … as far as it got.
fn assert_every_committed_step_is_there(lab: &Lab, path: Path) {
    let sql = "SELECT run, key, count(*) AS n, max(step) AS last FROM metrics GROUP BY run, key";
    for row in lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows") {
        let (n, last) = (row["n"].as_u64().expect("a count"), row["last"].as_u64().expect("a step"));
        assert_eq!(n, last / path.every() + 1, "a hole before step {last}: {row}");
    }
}

fn finished_exactly(lab: &Lab, path: Path) {
    let statuses = statuses(lab);
    assert_eq!(statuses.len(), RUNS);
    assert!(statuses.iter().all(|(status, _)| status == "finished"), "{statuses:?}");
    let sql = "SELECT run, max(step) AS last FROM metrics GROUP BY run";
    for row in lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows") {
        assert_eq!(row["last"], path.steps());
    }
}

#[test]
fn a_lab_killed_at_many_moments_ends_with_the_same_bits_on_the_scalar_path() {
    let lab = killed_again_and_again(Path::Scalar, 8, 1, the_lab);
    finished_exactly(&lab, Path::Scalar);
    assert_eq!(&numbers(&lab), uninterrupted(Path::Scalar));
}

#[test]
fn a_lab_killed_at_many_moments_ends_with_the_same_bits_on_the_tensor_path() {
    let lab = killed_again_and_again(Path::Tensor, 5, 2, the_lab);
    finished_exactly(&lab, Path::Tensor);
    assert_eq!(&numbers(&lab), uninterrupted(Path::Tensor));
}

#[test]
fn a_worker_killed_at_many_moments_ends_with_the_same_bits() {
    let lab = killed_again_and_again(Path::Scalar, 4, 3, the_worker);
    finished_exactly(&lab, Path::Scalar);
    assert_eq!(&numbers(&lab), uninterrupted(Path::Scalar));
    let lab = killed_again_and_again(Path::Tensor, 2, 4, the_worker);
    finished_exactly(&lab, Path::Tensor);
    assert_eq!(&numbers(&lab), uninterrupted(Path::Tensor));
}

#[test]
fn a_killed_worker_is_put_into_words_and_takes_nothing_with_it() {
    let lab = Lab::new();
    lab.write("game.toml", experiment(Path::Scalar));
    let mut watched = Watched::start(&lab, &["run", "game.toml"]);
    assert!(watched.wait_for_new_rows(200), "the run is long enough to be killed");
    watched.kill_worker();
    let outcome = watched.wait();
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("killed by signal 9, probably memory: lower"), "{outcome}");
    let statuses = statuses(&lab);
    assert!(statuses.iter().any(|(status, _)| status == "interrupted"), "{statuses:?}");
    assert_eq!(lab.run(&["resume"]).code, Some(0));
}

#[test]
fn a_killed_lab_takes_its_worker_with_it() {
    let lab = Lab::new();
    lab.write("game.toml", experiment(Path::Scalar));
    let mut watched = Watched::start(&lab, &["run", "game.toml"]);
    assert!(watched.wait_for_new_rows(100), "the run is long enough to be killed");
    let worker = watched.worker().expect("a worker computes");
    watched.kill_lab();
    watched.wait();
    assert!(is_gone(worker), "the worker {worker} outlived its lab");
}

#[test]
fn ctrl_c_once_stops_with_a_checkpoint_and_loses_nothing() {
    let lab = Lab::new();
    lab.write("game.toml", experiment(Path::Scalar));
    let mut watched = Watched::start(&lab, &["run", "game.toml"]);
    assert!(watched.wait_for_new_rows(200), "the run is long enough to be stopped");
    watched.signal("INT");
    let outcome = watched.wait();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert!(outcome.stderr.contains("stopping after this step, with a checkpoint"), "{outcome}");
    // The checkpoint is one of the very step at which the run stopped.
    let sql = "SELECT r.run, r.status, r.steps_done, max(a.step) AS checkpoint FROM runs r \
               LEFT JOIN artefacts a ON a.run = r.run AND a.kind = 'checkpoint' GROUP BY r.run";
    let rows = lab.run(&["query", sql, "--format", "json"]).json();
    let interrupted: Vec<_> =
        rows.as_array().unwrap().iter().filter(|row| row["status"] == "interrupted").cloned().collect();
    assert!(!interrupted.is_empty(), "{rows}");
    for row in interrupted {
        assert_eq!(row["steps_done"], row["checkpoint"], "{row}");
    }
    assert_eq!(lab.run(&["resume"]).code, Some(0));
    finished_exactly(&lab, Path::Scalar);
    assert_eq!(&numbers(&lab), uninterrupted(Path::Scalar));
}

#[test]
fn termination_counts_as_ctrl_c() {
    let lab = Lab::new();
    lab.write("game.toml", experiment(Path::Scalar));
    let mut watched = Watched::start(&lab, &["run", "game.toml"]);
    assert!(watched.wait_for_new_rows(200), "the run is long enough to be stopped");
    watched.signal("TERM");
    assert_eq!(watched.wait().code, Some(130));
}

#[test]
fn two_labs_share_one_record() {
    let lab = Lab::new();
    lab.write("one.toml", experiment(Path::Scalar));
    lab.write("two.toml", experiment(Path::Scalar));
    let mut one = Watched::start(&lab, &["run", "one.toml"]);
    let mut two = Watched::start(&lab, &["run", "two.toml"]);
    // A third process that looks meanwhile takes nobody for dead.
    let looked = lab.run(&["ls"]);
    assert!(!looked.stderr.contains("interrupted"), "{looked}");
    assert_eq!((one.wait().code, two.wait().code), (Some(0), Some(0)));
    let sql = "SELECT experiment, count(*) AS n FROM runs WHERE status = 'finished' GROUP BY experiment";
    let found: BTreeMap<String, u64> = lab
        .run(&["query", sql, "--format", "json"])
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["experiment"].as_str().unwrap().to_owned(), row["n"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, BTreeMap::from([("one".to_owned(), RUNS as u64), ("two".to_owned(), RUNS as u64)]));
}

#[test]
fn resume_compares_what_decides_bits_and_says_which_differs() {
    let lab = Lab::new();
    lab.write("game.toml", experiment(Path::Scalar));
    let mut watched = Watched::start(&lab, &["run", "game.toml"]);
    assert!(watched.wait_for_new_rows(200), "the run is long enough to be killed");
    watched.kill_lab();
    watched.wait();
    let refused = watched::lab_with_another_worker(&lab, &["resume"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("the worker's binary was "), "{refused}");
    assert!(refused.stderr.contains("--allow-divergence goes on"), "{refused}");
    let allowed = watched::lab_with_another_worker(&lab, &["resume", "--allow-divergence"]);
    assert_eq!(allowed.code, Some(0), "{allowed}");
    assert_eq!(&numbers(&lab), uninterrupted(Path::Scalar));
}

#[test]
fn a_checkpoint_that_was_touched_is_not_trusted() {
    let lab = Lab::new();
    lab.write("game.toml", experiment(Path::Scalar));
    let mut watched = Watched::start(&lab, &["run", "game.toml"]);
    assert!(watched.wait_for_new_rows(400), "the run is long enough to be killed");
    watched.signal("INT");
    watched.wait();
    let files = watched::checkpoints(&lab);
    assert!(!files.is_empty());
    for file in files {
        std::fs::write(file, "not what was written").unwrap();
    }
    let resumed = lab.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert!(resumed.stderr.contains("is not what was written"), "{resumed}");
    assert_eq!(&numbers(&lab), uninterrupted(Path::Scalar));
}
