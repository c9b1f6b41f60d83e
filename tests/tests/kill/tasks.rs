//! Runs that tasks of a launcher compute: the numbers of the lab's own, whatever is killed on the way, each run once.

use std::time::{Duration, Instant};

use slhf_tests::{Found, Lab, Random, disturbed_language_model, language_lab, send, tasks_of_launches};

use crate::watched::{Watched, lab_with_another_worker, numbers, statuses};

const RUNS: usize = 6;
const PATIENCE: Duration = Duration::from_mins(3);

/// Six runs of the tiny model, of ten steps.
fn lab() -> Lab {
    lab_of_steps(10)
}

fn lab_of_steps(steps: u64) -> Lab {
    let text = disturbed_language_model(steps, 2);
    language_lab(&text.replacen("log_completions_every", "seeds = [1, 2, 3, 4, 5, 6]\nlog_completions_every", 1))
}

/// What the lab itself computes of it.
fn undisturbed(lab: &Lab) -> Found {
    let outcome = lab.run(&["run", "tiny.toml", "--db", "own.db"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    Found::read(lab, &lab.path("own.db")).expect("it is readable")
}

const LAUNCH: [&str; 8] = ["run", "tiny.toml", "--launcher", "local", "--tasks", "4", "--jobs", "2"];

/// Every run is there once, finished, with the numbers of an undisturbed lab; the record is whole, and no launch is open.
fn is_whole(lab: &Lab, expected: &Found) {
    let found = statuses(lab);
    assert_eq!(found.len(), RUNS, "{found:?}");
    assert!(found.iter().all(|(status, _)| status == "finished"), "{found:?}");
    assert_eq!(expected.difference(&numbers(lab)), None);
    assert_eq!(lab.run(&["db", "check"]).code, Some(0));
    assert_eq!(lab.run(&["resume"]).stderr.trim(), "nothing is interrupted");
}

/// Tasks that are computed now.
fn tasks(lab: &Lab) -> Vec<u32> {
    tasks_of_launches(&lab.path("lab.db-launches"))
}

#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn tasks_have_the_numbers_of_the_lab() {
    let lab = lab();
    let expected = undisturbed(&lab);
    let outcome = lab.run(&LAUNCH);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains(": 4 tasks (local); `slhf-lab ls` shows where each run is"), "{outcome}");
    is_whole(&lab, &expected);
}

#[test]
fn killed_tasks_go_on_where_they_were() {
    let lab = lab();
    let expected = undisturbed(&lab);
    let mut random = Random::new(24);
    let mut launched = Watched::start(&lab, &LAUNCH);
    let mut killed = 0;
    while killed < 12 && !launched.has_ended() {
        std::thread::sleep(random.moment(Duration::from_millis(600)));
        let computed = tasks(&lab);
        if !computed.is_empty() {
            send("KILL", computed[random.below(computed.len() as u64) as usize]);
            killed += 1;
        }
    }
    let outcome = launched.wait();
    assert_eq!(outcome.code, Some(0), "after {killed} kills: {outcome}");
    assert!(killed > 3, "{killed}");
    is_whole(&lab, &expected);
}

/// Its tasks go on; whoever comes next leaves them alone or waits for them, and has what is missing computed.
#[test]
fn a_killed_lab_loses_nothing() {
    let lab = lab();
    let expected = undisturbed(&lab);
    let mut launched = Watched::start(&lab, &LAUNCH);
    wait_for("two tasks", || tasks(&lab).len() == 2);
    launched.kill_lab();
    let _ = launched.wait();
    let outcome = lab.run(&["resume", "--launcher", "local", "--jobs", "2"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("they are waited for"), "{outcome}");
    is_whole(&lab, &expected);
}

#[test]
fn what_tasks_compute_is_left_to_them() {
    // Long enough to be looked at on a busy machine.
    let lab = lab_of_steps(60);
    let expected = undisturbed(&lab);
    let mut launched = Watched::start(&lab, &LAUNCH);
    wait_for("two tasks", || tasks(&lab).len() == 2);
    wait_for("ls says where", || {
        let found = statuses(&lab);
        found.iter().any(|(_, reason)| reason.contains(" computes it"))
            && found.iter().any(|(_, reason)| reason.ends_with(" waits (local)"))
    });
    let outcome = lab.run(&["resume"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("are to: they are left to them"), "{outcome}");
    // Another one that waits for them too, and is stopped, takes nothing away.
    let mut other = Watched::start(&lab, &["resume", "--launcher", "local"]);
    std::thread::sleep(Duration::from_millis(500));
    other.signal("TERM");
    let outcome = other.wait();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    let outcome = launched.wait();
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(!outcome.stderr.contains("taken back") && !outcome.stderr.contains("not started"), "{outcome}");
    is_whole(&lab, &expected);
}

/// Ctrl-C: those that compute stop after their step, with a checkpoint; the others never start.
#[test]
fn a_lab_that_is_stopped_has_its_tasks_stop() {
    let lab = lab();
    let expected = undisturbed(&lab);
    let mut launched = Watched::start(&lab, &LAUNCH);
    wait_for("two tasks", || tasks(&lab).len() == 2);
    launched.signal("TERM");
    let outcome = launched.wait();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    let found = statuses(&lab);
    assert!(found.iter().any(|(status, _)| status == "pending"), "{found:?}");
    let outcome = lab.run(&["resume"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    is_whole(&lab, &expected);
}

/// A task that cannot be computed here is started some times, and then given back with the reason.
#[test]
fn a_task_that_gets_no_further_is_given_back() {
    let lab = lab();
    let mut run = Watched::start(&lab, &["run", "tiny.toml", "--jobs", "1"]);
    assert!(run.wait_for_new_rows(20));
    run.signal("TERM");
    let _ = run.wait();
    let outcome = lab_with_another_worker(&lab, &["resume", "--launcher", "local", "--tasks", "1", "tiny/base/1"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let said = "attempts in a row got no further; the last: its numbers could differ from those before";
    assert!(outcome.stderr.contains(said), "{outcome}");
    let outcome = lab.run(&["resume"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
}

/// A queue that is not there is said before anything is recorded.
#[test]
fn a_launcher_that_is_not_there_is_refused() {
    let lab = lab();
    lab.write("config.toml", "[launcher.slurm]\npartitions = \"gpu\"\n");
    let check = |config: Option<&str>, said: &str| {
        let mut command = lab.command(["run", "tiny.toml", "--launcher", "slurm"]);
        // No program of Slurm is here, whatever the machine has.
        command.env("PATH", lab.folder());
        if let Some(config) = config {
            command.env("SLHF_LAB_CONFIG", lab.path(config));
        }
        let outcome = lab.outcome(&mut command);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(said), "{outcome}");
        assert!(!lab.path("lab.db").exists());
    };
    check(None, "error: scontrol is not on the PATH: this machine submits to no Slurm");
    check(Some("config.toml"), "config.toml: line 2: unknown field `partitions`, expected one of `partition`");
}

/// What cannot be read of a launch hides nothing else, and a launch that is deleted leaves its runs to `resume`.
#[test]
fn a_spoilt_launch_is_said_and_a_deleted_one_costs_what_it_had() {
    let lab = lab();
    let expected = undisturbed(&lab);
    let mut launched = Watched::start(&lab, &LAUNCH);
    wait_for("two tasks", || tasks(&lab).len() == 2);
    launched.kill_lab();
    let _ = launched.wait();
    let root = lab.path("lab.db-launches");
    wait_for("tasks have ended", || {
        std::fs::read_dir(&root).expect("listed").flatten().all(|launch| {
            let folders = std::fs::read_dir(launch.path())
                .expect("listed")
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("task-") && entry.path().is_dir());
            let attempts = folders.flat_map(|task| std::fs::read_dir(task.path()).expect("listed").flatten());
            let ended: Vec<bool> = attempts.map(|attempt| attempt.path().join("ended.json").exists()).collect();
            ended.len() >= 2 && ended.iter().all(|ended| *ended)
        })
    });
    let launch = std::fs::read_dir(&root).expect("listed").flatten().next().expect("a launch").path();
    let plan = std::fs::read(launch.join("launch.json")).expect("read");
    std::fs::write(launch.join("launch.json"), "{").expect("written");
    let outcome = lab.run(&["ls"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("is no file of a launch that this slhf-lab knows"), "{outcome}");
    std::fs::write(launch.join("launch.json"), plan).expect("written");
    std::fs::remove_dir_all(&root).expect("removed");
    let outcome = lab.run(&["resume"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    is_whole(&lab, &expected);
}
