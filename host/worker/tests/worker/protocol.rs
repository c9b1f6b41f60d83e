//! What is said, and in which order.

use slhf_plan::{ComputePath, FromWorker, Hello, PROTOCOL_VERSION, Report, RunOutcome, ToWorker};

use crate::group::{exact, sampled, with_steps};
use crate::lab::{BUILD_ID, Worker, assignment, carry_out, checkpoints, ends, fatal, metrics, succeed};

#[test]
fn a_stale_worker_refuses_and_says_how_to_mend_it() {
    let check = |lab: Hello| {
        let mut worker = Worker::start();
        worker.send(&ToWorker::Hello(lab));
        let (messages, status) = worker.finish();
        let sentence = fatal(&messages, status);
        assert!(sentence.starts_with("the worker was built from other sources than the lab (build "), "{sentence}");
        assert!(sentence.ends_with("build both again with `cargo build`"), "{sentence}");
    };
    check(Hello { protocol: PROTOCOL_VERSION, build_id: "0123456789abcdef".to_owned() });
    check(Hello { protocol: PROTOCOL_VERSION + 1, build_id: BUILD_ID.to_owned() });
}

#[test]
fn a_probe_is_answered_with_the_environment() {
    let probe = |device: &str| {
        let mut worker = Worker::greeted();
        worker.send(&ToWorker::Probe { device: device.to_owned(), threads: 2 });
        worker.finish()
    };
    let (messages, status) = probe("cpu");
    assert!(status.success());
    let [FromWorker::Environment(environment), FromWorker::Done] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((environment.device.as_str(), environment.threads), ("cpu", 2));
    assert_eq!(environment.libtorch_version.split('+').next(), Some("2.11.0"));
    assert_eq!(environment.worker_sha256.len(), 64);
    assert!(!environment.device_description.is_empty());

    let (messages, status) = probe("cuda:99");
    assert!(fatal(&messages, status).starts_with("no CUDA device for device.name = \"cuda:99\": libtorch sees "));
    let (messages, status) = probe("gpu");
    assert!(fatal(&messages, status).starts_with("device \"gpu\" is not known; expected"));
}

#[test]
fn a_worker_that_is_asked_nothing_ends() {
    let mut worker = Worker::greeted();
    worker.hang_up();
    let (messages, status) = worker.finish();
    assert_eq!((messages, status.success()), (vec![FromWorker::Done], true));
}

#[test]
fn a_worker_whose_lab_has_gone_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut worker = Worker::greeted();
    worker.send(&assignment(&with_steps(exact(ComputePath::Scalar), u64::MAX / 2), folder.path(), Vec::new()));
    // It is in the middle of a training that would not end in a lifetime.
    while !matches!(worker.next(), Some(FromWorker::Report(Report::Metrics(_)))) {}
    worker.hang_up();
    let (messages, status) = worker.finish();
    assert_eq!(status.code(), Some(1));
    assert!(!messages.contains(&FromWorker::Done));
}

#[test]
fn a_group_is_judged_trained_and_told_in_order() {
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        let folder = tempfile::tempdir().expect("a folder");
        let messages = succeed(&exact(path), folder.path(), Vec::new());
        assert!(matches!(messages[0], FromWorker::Report(Report::Environment(_))));
        let judged = messages.iter().find_map(|message| match message {
            FromWorker::Report(Report::GameJudged(judged)) => Some(judged),
            _ => None,
        });
        let probabilities: Vec<f64> = judged.expect("judged").verdicts.iter().map(|v| v.probability).collect();
        assert_eq!(probabilities, [0.5, 0.9, 0.2, 0.1, 0.5, 0.8, 0.8, 0.2, 0.5]);

        let metrics = metrics(&messages);
        for run in 1..=3 {
            let gap = metrics.iter().find(|row| (row.0, row.1, row.2.as_str()) == (run, 300, "stackelberg_gap"));
            let gap = f64::from_bits(gap.expect("measured").3);
            assert!(gap < 1e-6, "{gap}");
        }
        let steps: Vec<u64> = checkpoints(&messages).iter().map(|checkpoint| checkpoint.step).collect();
        assert_eq!(steps, [120, 240, 300]);
        assert!(ends(&messages).iter().all(|end| end.outcome == RunOutcome::Finished && end.step == 300));
        check_order(&messages);

        let probabilities: Vec<(u64, &str)> = messages
            .iter()
            .filter_map(|message| match message {
                FromWorker::Report(Report::Evaluations(rows)) => Some(rows.iter().filter(|row| row.run == 1)),
                _ => None,
            })
            .flatten()
            .map(|row| (row.step, row.subject.as_str()))
            .collect();
        let (end, way): (Vec<_>, Vec<_>) = probabilities.into_iter().partition(|(step, _)| *step == 300);
        assert_eq!(end.len(), 3 + 9);
        assert_eq!((end[0].1, end[4].1), ("leader/rock", "follower/rock/paper"));
        // The Leader alone, wherever it was measured before.
        let names = ["leader/rock", "leader/paper", "leader/scissors"];
        assert_eq!(way, [0, 100, 200].map(|step| names.map(|name| (step, name))).concat());
        let costs = messages.iter().filter(|message| matches!(message, FromWorker::Report(Report::RunCost(_)))).count();
        assert_eq!(costs, 3);
    }
}

/// Rows up to step s come before the checkpoint of step s, and nothing of a run after its end but its cost.
fn check_order(messages: &[FromWorker]) {
    let mut saved = 0;
    let mut ended = false;
    for message in messages {
        match message {
            FromWorker::Report(Report::Metrics(batch)) => {
                assert!(batch.steps.iter().all(|step| *step > saved || saved == 0), "late rows");
                assert!(!ended);
            }
            FromWorker::Report(Report::Schedules(rows)) => assert!(rows.iter().all(|row| row.step > saved)),
            FromWorker::Report(Report::Evaluations(_)) => assert!(!ended),
            FromWorker::Report(Report::Checkpoint(checkpoint)) => saved = checkpoint.step,
            FromWorker::Report(Report::RunEnd(_)) => ended = true,
            _ => {}
        }
    }
    assert!(ended);
}

#[test]
fn games_that_ask_the_same_are_judged_once() {
    let mut group = exact(ComputePath::Scalar);
    let mut other = group.games[0].clone();
    other.reference_leader = vec![0.2, 0.3, 0.5];
    group.games.push(other);
    group.runs[2].game = 1;
    let folder = tempfile::tempdir().expect("a folder");
    let messages = succeed(&group, folder.path(), Vec::new());
    let judged = messages.iter().filter(|message| matches!(message, FromWorker::Report(Report::GameJudged(_)))).count();
    let uses: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            FromWorker::Report(Report::PluginUse(usage)) => {
                Some((usage.role.as_str(), usage.items, usage.runs.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!((judged, uses), (2, vec![("judge", 9, vec![1, 2, 3])]));
}

#[test]
fn a_baseline_plugin_serves_a_sampled_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let messages = succeed(&sampled(ComputePath::Scalar, 50), folder.path(), Vec::new());
    let uses = messages
        .iter()
        .filter(|message| matches!(message, FromWorker::Report(Report::PluginUse(u)) if u.role == "baseline"));
    assert_eq!(uses.count(), 3);
    assert!(ends(&messages).iter().all(|end| end.outcome == RunOutcome::Finished));
}

#[test]
fn a_changed_plugin_is_refused() {
    let mut group = exact(ComputePath::Scalar);
    group.games[0].judge.plugin.sha256 = "0".repeat(64);
    let folder = tempfile::tempdir().expect("a folder");
    let (messages, status) = carry_out(&group, folder.path(), Vec::new());
    let sentence = fatal(&messages, status);
    assert!(sentence.starts_with("game 1 of the group could not be judged: "), "{sentence}");
    assert!(sentence.contains("table.wasm") && sentence.contains(&"0".repeat(64)), "{sentence}");
}

#[test]
fn a_plan_that_is_no_plan_is_one_sentence() {
    let mut worker = Worker::greeted();
    worker.send(&ToWorker::Assignment(slhf_plan::Assignment {
        frozen: "{\"device\": 3}".to_owned(),
        runs: Vec::new(),
        checkpoint_directory: "unused".to_owned(),
        resume: Vec::new(),
        device: None,
        processes: None,
        ranks: slhf_plan::RanksFrom::Worker,
    }));
    let (messages, status) = worker.finish();
    let sentence = fatal(&messages, status);
    assert!(sentence.starts_with("the plan of the group cannot be read: "), "{sentence}");
}
