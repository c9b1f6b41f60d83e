//! One run computed by several processes: the bits of one, whatever their number, and what becomes of it when one of them is lost.

use std::time::{Duration, Instant};

use slhf_tests::{Found, Lab, children, disturbed_language_model, is_gone, language_lab, send};

use crate::watched::{Watched, numbers, statuses};

/// Two players on one set of parameters, with dropout and a moving average as control variate.
fn experiment(micro_batch_size: u32) -> String {
    let text = disturbed_language_model(6, 2);
    text.replacen("micro_batch_size = 4", &format!("micro_batch_size = {micro_batch_size}"), 1)
}

/// All that a run recorded but what a clock said, its checkpoints included.
fn computed(lab: &Lab, processes: u32) -> (Found, String) {
    let record = format!("{processes}.db");
    let set = format!("device.processes={processes}");
    let outcome = lab.run(&["run", "tiny.toml", "--set", &set, "--db", &record]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let found = Found::read(lab, &lab.path(&record)).expect("it is readable");
    let sql = "SELECT r.cell, r.seed, a.step, a.sha256 FROM artefacts a JOIN runs r ON r.run = a.run WHERE a.kind = 'checkpoint' \
               ORDER BY 1, 2, 3";
    let checkpoints = lab.run(&["query", sql, "--db", &record, "--format", "csv"]).success();
    (found, checkpoints)
}

fn has_the_bits_of_one(experiment: &str) {
    in_this_lab(&language_lab(experiment), experiment);
}

fn in_this_lab(lab: &Lab, experiment: &str) {
    let (one, checkpoints) = computed(lab, 1);
    assert!(checkpoints.lines().count() > 1, "{checkpoints}");
    for processes in [2, 3] {
        let (several, of_several) = computed(lab, processes);
        assert_eq!(one.difference(&several), None, "{processes} processes: {experiment}");
        assert_eq!(checkpoints, of_several, "{processes} processes: {experiment}");
    }
}

/// Micro-batches of one row, of four and two, and of six: ranks that have more than one, and ranks that have none.
#[test]
fn several_processes_have_the_bits_of_one() {
    for micro_batch_size in [1, 4, 6] {
        has_the_bits_of_one(&experiment(micro_batch_size));
    }
}

/// Equal prompts in several rows of the data are read once where they meet in a step; the last chunk of an evaluation has one row; threads are
/// the default's.
#[test]
fn prompts_that_occur_again_have_the_bits_of_one() {
    let text = experiment(2).replacen("threads = 1", "threads = 2", 1);
    let text = text.replacen("every = 10\nprompts = 2", "every = 2\nprompts = 3\nbatch_size = 2", 1);
    let lab = language_lab(&text);
    let prompt = |number: u32| format!("{{\"prompt\": \"Count to {}.\"}}\n", number % 5);
    lab.write("prompts.jsonl", (0..12).map(prompt).collect::<String>());
    in_this_lab(&lab, &text);
}

/// Policies of steps before are asked by rank 0 alone.
#[test]
fn past_policies_have_the_bits_of_one() {
    let other = "name = \"mnpo\"\nopponents = [0.5, 0.3, 0.2]";
    let text = experiment(4).replacen("name = \"stackelberg-gda\"", other, 1);
    has_the_bits_of_one(&text.replacen("score_baseline = { kind = \"moving_average\" }\n", "", 1));
}

#[test]
fn players_with_parameters_of_their_own_have_the_bits_of_one() {
    let own = experiment(2).replacen("[schedule]", "parameters = \"separate\"\n[schedule]\nkappa = 3.0", 1);
    has_the_bits_of_one(&own);
}

/// Its opponent is a mixture, which two models sample in lockstep.
#[test]
fn nash_md_has_the_bits_of_one() {
    let other = "name = \"nash-md\"\nmixture_coef = 0.25";
    has_the_bits_of_one(&experiment(2).replacen("name = \"stackelberg-gda\"", other, 1));
}

/// Clipped ratios are of samples of an update before, with the log-probabilities that it found.
#[test]
fn clipped_updates_have_the_bits_of_one() {
    let other = "name = \"grpo\"\nnum_iterations = 2";
    let text = experiment(2).replacen("name = \"stackelberg-gda\"", other, 1);
    has_the_bits_of_one(&text.replacen("score_baseline = { kind = \"moving_average\" }\n", "", 1));
}

/// It samples nothing: pairs of a file.
#[test]
fn offline_losses_have_the_bits_of_one() {
    let text = experiment(2).replacen("name = \"stackelberg-gda\"", "name = \"dpo\"", 1);
    let text = text.replacen("prompts = \"prompts.jsonl\"", "pairs = \"pairs.jsonl\"\nmax_response_tokens = 32", 1);
    let text = text.replacen("num_generations = 2\n", "", 1).replacen("prompts_per_step", "pairs_per_step", 1);
    let text = text.replacen("max_new_tokens = 8\n", "", 1);
    let text = text.replacen("score_baseline = { kind = \"moving_average\" }\n", "", 1);
    let lab = language_lab(&text);
    let pair = |number: u32| {
        format!(
            "{{\"prompt\": \"Count to {number}.\", \"chosen\": \"{number} it is\", \"rejected\": \"no, not {number}\"}}\n"
        )
    };
    lab.write("pairs.jsonl", (0..16).map(pair).collect::<String>());
    in_this_lab(&lab, &text);
}

#[test]
fn closed_response_sets_have_the_bits_of_one() {
    let text = experiment(1).replacen("[judge]", "[answers]\ngradient = \"sampled\"\n[judge]", 1);
    let text = text.replacen("held_out = 4", "held_out = 4\nanswers = [\"one\", \"two two\", \"three\"]", 1);
    has_the_bits_of_one(&text.replacen("num_generations = 2", "num_generations = 1", 1));
}

/// Long enough to lose a process in the middle.
fn long() -> String {
    let text = disturbed_language_model(30, 4);
    text.replacen("threads = 1", "threads = 1\nprocesses = 3\nprocess_timeout_s = 20", 1)
}

/// The rank that is started last.
fn a_rank(watched: &Watched<'_>) -> Option<u32> {
    watched.worker().and_then(|worker| children(worker).into_iter().max())
}

#[test]
fn a_rank_that_is_killed_interrupts_its_run_and_another_number_of_processes_ends_at_the_same_bits() {
    let whole = language_lab(&disturbed_language_model(30, 4));
    let _ = whole.run(&["run", "tiny.toml"]).success();
    let cut = language_lab(&long());
    let mut kills = 0;
    for (round, rows) in [40, 150, 200].into_iter().enumerate() {
        let processes = ["3", "2", "3"][round];
        let resume = ["resume", "--processes", processes];
        let mut watched = Watched::start(&cut, if round == 0 { &["run", "tiny.toml"] } else { &resume });
        if !watched.wait_for_new_rows(rows) {
            break;
        }
        let Some(rank) = a_rank(&watched) else { break };
        send("KILL", rank);
        let killed = Instant::now();
        let outcome = watched.wait();
        let (status, reason) = statuses(&cut)[0].clone();
        if status == "finished" {
            break;
        }
        assert_eq!(status, "interrupted", "{reason}\n{outcome}");
        let expected = "ended: signal: 9 (SIGKILL)";
        assert!(reason.starts_with("rank ") && reason.ends_with(expected), "{reason}");
        assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
        kills += 1;
    }
    assert!(kills > 0, "no rank was killed in time");
    let resumed = cut.run(&["resume", "--processes", "1"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!(numbers(&cut), numbers(&whole));
}

#[test]
fn a_rank_that_hangs_interrupts_its_run_and_leaves_no_process() {
    let lab = language_lab(&long().replacen("process_timeout_s = 20", "process_timeout_s = 2", 1));
    let mut watched = Watched::start(&lab, &["run", "tiny.toml"]);
    assert!(watched.wait_for_new_rows(40), "{}", watched.wait());
    let ranks = watched.worker().map(children).unwrap_or_default();
    assert_eq!(ranks.len(), 2);
    let hangs = *ranks.iter().max().expect("two ranks");
    send("STOP", hangs);
    let outcome = watched.wait();
    let (status, reason) = statuses(&lab)[0].clone();
    assert_eq!(status, "interrupted", "{reason}\n{outcome}");
    let expected = " did not do its share within device.process_timeout_s = 2: libtorch cannot ";
    assert!(reason.starts_with("rank 2 on ") && reason.contains(expected), "{reason}");
    for rank in ranks {
        assert!(is_gone(rank), "rank {rank} is still there");
    }
}

#[test]
fn the_death_of_the_worker_ends_its_ranks() {
    let lab = language_lab(&long());
    let mut watched = Watched::start(&lab, &["run", "tiny.toml"]);
    assert!(watched.wait_for_new_rows(40), "{}", watched.wait());
    let ranks = watched.worker().map(children).unwrap_or_default();
    watched.kill_worker();
    let _ = watched.wait();
    assert_eq!(ranks.len(), 2);
    for rank in ranks {
        assert!(is_gone(rank), "rank {rank} is still there");
    }
}

#[test]
fn what_several_processes_cannot_do_is_refused() {
    let lab = language_lab(&experiment(2));
    let check = |set: &[&str], expected: &str| {
        let mut arguments = vec!["run", "tiny.toml"];
        for value in set {
            arguments.extend(["--set", value]);
        }
        let outcome = lab.run(&arguments);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expected), "{outcome}");
    };
    check(&["device.processes=0"], "device.processes: 0; expected 1 to 64");
    check(&["device.process_timeout_s=0"], "device.process_timeout_s: 0; expected 1 to 86400");
    let outcome = lab.run(&["resume", "--processes", "65"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
}

/// All weights are trained: products depend on the number of rows, so bits are of a number of processes.
fn of_all_weights(steps: u64) -> String {
    let text = disturbed_language_model(steps, 2).replacen("micro_batch_size = 4", "micro_batch_size = 2", 1);
    let text = text.replacen("[schedule]", "max_grad_norm = 0.5\n[schedule]", 1);
    let text = text.replacen("start = 1e-2, end = 1e-3", "start = 1e-3, end = 1e-4", 1);
    text.replacen("lora_r = 4\nlora_dropout = 0.1", "kind = \"full\"", 1)
}

/// Every metric of a record's run, but times and memory.
fn metrics(lab: &Lab, record: &str) -> Vec<(String, f64)> {
    let sql = "SELECT step, key, value FROM metrics WHERE key <> 'step_time' AND key NOT LIKE 'timing/%' AND key NOT LIKE 'perf/%' \
               AND key NOT LIKE 'memory/%' ORDER BY 1, 2";
    let rows = lab.run(&["query", sql, "--db", record, "--format", "csv"]).success();
    let row = |line: &str| {
        let (name, value) = line.rsplit_once(',').expect("three columns");
        (name.to_owned(), value.parse().expect("a number"))
    };
    rows.lines().skip(1).map(row).collect()
}

/// Players of their own, with adapters on weights that are not packed: likewise.
fn of_unpacked_weights(steps: u64) -> String {
    let text = of_all_weights(steps).replacen("kind = \"full\"", "lora_r = 4", 1);
    let text = text.replacen("path = \"tiny\"", "path = \"tiny\"\nweights = \"f32\"", 1);
    text.replacen("[schedule]", "parameters = \"separate\"\n[schedule]\nkappa = 3.0", 1)
}

#[test]
fn all_weights_are_trained_to_the_bits_of_a_number_of_processes() {
    has_the_bits_of_its_number(&of_all_weights(4));
    has_the_bits_of_its_number(&of_unpacked_weights(4));
}

fn has_the_bits_of_its_number(text: &str) {
    let lab = language_lab(text);
    let _ = computed(&lab, 1);
    let one = metrics(&lab, "1.db");
    assert!(one.len() > 50, "{one:?}");
    for processes in [2, 3] {
        let (first, checkpoints) = computed(&lab, processes);
        let again = language_lab(text);
        let (second, of_second) = computed(&again, processes);
        assert_eq!(first.difference(&second), None, "{processes} processes");
        assert_eq!(checkpoints, of_second);
        let several = metrics(&lab, &format!("{processes}.db"));
        assert_eq!(several.len(), one.len());
        for ((name, several), (expected, one)) in several.iter().zip(&one) {
            assert_eq!(name, expected);
            assert!(
                (several - one).abs() <= 1e-3 * one.abs() + 1e-5,
                "{processes} processes: {name}: {several}, {one}"
            );
        }
    }
}

/// Moments are gathered for a checkpoint and dealt out again: what a resumed run computes is what an undisturbed one does.
#[test]
fn a_run_that_trains_all_weights_goes_on_with_as_many_processes_as_before() {
    let text = of_all_weights(12).replacen("threads = 1", "threads = 1\nprocesses = 2", 1);
    let whole = language_lab(&text);
    let _ = whole.run(&["run", "tiny.toml"]).success();
    let cut = language_lab(&text);
    let mut watched = Watched::start(&cut, &["run", "tiny.toml"]);
    assert!(watched.wait_for_new_rows(120), "{}", watched.wait());
    send("KILL", a_rank(&watched).expect("a rank"));
    let _ = watched.wait();
    let (status, reason) = statuses(&cut)[0].clone();
    assert_eq!(status, "interrupted", "{reason}");
    let refused = cut.run(&["resume", "--processes", "1"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("is planned by 2, and would have other bits by another number"), "{refused}");
    let resumed = cut.run(&["resume", "--processes", "2"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!(numbers(&cut), numbers(&whole));
    // What two have computed covers two, and not one, which has other bits.
    for (processes, is_covered) in [(2, true), (1, false)] {
        let set = format!("device.processes={processes}");
        let needed = cut.run(&["run", "tiny.toml", "--set", &set, "--needed", "--dry-run"]);
        assert_eq!(needed.stderr.contains("already covered by identical finished runs"), is_covered, "{needed}");
    }
}

/// A plan's hash knows nothing of processes: what one has computed covers several.
#[test]
fn the_number_of_processes_is_in_no_content_hash() {
    let lab = language_lab(&experiment(6));
    let _ = lab.run(&["run", "tiny.toml", "--set", "method.steps=1"]).success();
    let planned = ["run", "tiny.toml", "--set", "method.steps=1", "--set", "device.processes=2", "--needed"];
    let outcome = lab.run(&planned);
    assert!(outcome.stderr.contains("1 of 1 run are already covered by identical finished runs"), "{outcome}");
}
