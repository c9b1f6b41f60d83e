//! Stopped, killed, resumed: the same bits as if nothing had happened.

use std::fs;
use std::path::Path;

use slhf_plan::{CheckpointWritten, ComputePath, FromWorker, GroupPlan, Report, ResumePoint, RunOutcome, ToWorker};

use crate::group::{exact, sampled, with_steps};
use crate::lab::{Worker, assignment, carry_out, checkpoints, ends, fatal, metrics, succeed};

fn points(checkpoint: &CheckpointWritten) -> Vec<ResumePoint> {
    let point = |run: &i64| ResumePoint {
        run: *run,
        step: checkpoint.step,
        path: checkpoint.path.clone(),
        sha256: checkpoint.sha256.clone(),
    };
    checkpoint.runs.iter().map(point).collect()
}

/// The bytes of the last checkpoint: every state of every run.
fn last_bytes(messages: &[FromWorker]) -> Vec<u8> {
    let last = checkpoints(messages).pop().expect("a checkpoint at the end");
    fs::read(last.path).expect("it is on disk")
}

/// Starts the group and ends it after the first checkpoint: by asking, or by killing.
fn cut(group: &GroupPlan, directory: &Path, end: fn(&mut Worker)) -> Vec<FromWorker> {
    let mut worker = Worker::greeted();
    worker.send(&assignment(group, directory, Vec::new()));
    let mut messages = Vec::new();
    while !matches!(messages.last(), Some(FromWorker::Report(Report::Checkpoint(_)))) {
        messages.push(worker.next().expect("a checkpoint comes"));
    }
    end(&mut worker);
    messages.extend(worker.finish().0);
    messages
}

fn check(group: &GroupPlan, end: fn(&mut Worker)) {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = succeed(group, folder.path(), Vec::new());
    let before = cut(group, folder.path(), end);
    let last = checkpoints(&before).pop().expect("one at least");
    let after = succeed(group, folder.path(), points(&last));
    // A group that was quicker than the stop had its last checkpoint before.
    let told = [before.clone(), after.clone()].concat();
    assert_eq!(last_bytes(&told), last_bytes(&whole));
    // What the record keeps: rows up to the checkpoint that was resumed from, and all of the rest.
    let mut rows = metrics(&before);
    rows.retain(|row| row.1 <= last.step);
    rows.extend(metrics(&after));
    rows.sort();
    assert_eq!(rows, metrics(&whole));
}

#[test]
fn a_stopped_group_resumes_bit_for_bit() {
    let stop: fn(&mut Worker) = |worker| worker.send(&ToWorker::Stop);
    for (path, steps) in [(ComputePath::Scalar, 100_000), (ComputePath::Tensor, 2000)] {
        let mut group = with_steps(exact(path), steps);
        group.checkpoint_every = steps / 4;
        check(&group, stop);
    }
    check(&sampled(ComputePath::Scalar, 200), stop);
}

#[test]
fn a_killed_group_resumes_bit_for_bit() {
    let kill: fn(&mut Worker) = Worker::kill;
    check(&exact(ComputePath::Scalar), kill);
    check(&sampled(ComputePath::Tensor, 200), kill);
}

#[test]
fn a_stop_ends_every_run_with_a_checkpoint() {
    let group = with_steps(exact(ComputePath::Scalar), u64::MAX / 2);
    let folder = tempfile::tempdir().expect("a folder");
    let messages = cut(&group, folder.path(), |worker| worker.send(&ToWorker::Stop));
    assert_eq!(messages.last(), Some(&FromWorker::Done));
    let ends = ends(&messages);
    let step = checkpoints(&messages).last().expect("one").step;
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|end| end.outcome == RunOutcome::Interrupted && end.step == step));
}

#[test]
fn runs_resume_from_different_files_and_steps() {
    let group = exact(ComputePath::Tensor);
    let folder = tempfile::tempdir().expect("a folder");
    let whole = succeed(&group, folder.path(), Vec::new());
    let written = checkpoints(&whole);
    let point = |checkpoint: usize, run: usize| points(&written[checkpoint])[run].clone();
    // Run 1 from step 120, run 2 from step 240, run 3 from the start.
    let resumed = succeed(&group, folder.path(), vec![point(0, 0), point(1, 1)]);
    assert_eq!(last_bytes(&resumed), last_bytes(&whole));
}

#[test]
fn a_checkpoint_that_was_changed_or_is_gone_is_refused() {
    let group = exact(ComputePath::Scalar);
    let folder = tempfile::tempdir().expect("a folder");
    let written = checkpoints(&succeed(&group, folder.path(), Vec::new())).swap_remove(0);
    let refused = |points: Vec<ResumePoint>| {
        let (messages, status) = carry_out(&group, folder.path(), points);
        fatal(&messages, status).to_owned()
    };
    let mut wrong_step = points(&written);
    wrong_step[0].step = 7;
    assert!(refused(wrong_step).ends_with("holds run 1 at step 120, but the record says step 7"));

    let mut bytes = fs::read(&written.path).expect("it is on disk");
    bytes.pop();
    fs::write(&written.path, bytes).expect("written");
    assert!(refused(points(&written)).contains("it was changed or cut short"));

    fs::remove_file(&written.path).expect("removed");
    assert!(refused(points(&written)).contains("it cannot be read: No such file"));
}
