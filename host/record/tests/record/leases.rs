//! Who computes a run, and what becomes of it when nobody does.

use std::process::{Command, Stdio};

use slhf_record::{OpenMode, QueryLimits, Record, RecordError, RunStatus, Writer, WriterOptions};

use crate::support::{Place, experiment, metric, plan, running_run};

#[test]
fn a_live_process_keeps_its_runs() {
    let place = Place::new();
    let mut record = place.create();
    running_run(&mut record);
    assert_eq!(record.mark_dead_runs().unwrap(), []);
    assert_eq!(record.resolve_run("latest").unwrap().status, RunStatus::Running);
}

#[test]
fn a_released_lease_leaves_its_runs_interrupted() {
    let place = Place::new();
    let mut record = place.create();
    let (run, lease) = running_run(&mut record);
    record.release_lease(lease).unwrap();
    let dead = record.mark_dead_runs().unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.ends_with("ended without ending this run"), "{}", dead[0].reason);
    let summary = record.resolve_run(&run.to_string()).unwrap();
    assert_eq!((summary.status, summary.reason.as_ref()), (RunStatus::Interrupted, Some(&dead[0].reason)));
    assert_eq!(record.mark_dead_runs().unwrap(), []);
    let lease = record.acquire_lease().unwrap();
    record.start_runs(lease, &[run]).unwrap();
    assert_eq!(record.resolve_run("latest").unwrap().attempts, 2);
}

fn start_a_run_in_a_child_that_ends(place: &Place) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["leases::ending_child", "--exact", "--nocapture"])
        .env("SLHF_RECORD_TEST_PATH", place.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// That child (without the variable it is nobody's child and has nothing to do).
#[test]
fn ending_child() {
    let Ok(path) = std::env::var("SLHF_RECORD_TEST_PATH") else { return };
    let mut record = Record::open(path.as_ref(), OpenMode::Create).unwrap();
    let lease = record.acquire_lease().unwrap();
    let run = plan(&mut record, &experiment("from a child", &["a"], &[1])).runs[0].run;
    record.start_runs(lease, &[run]).unwrap();
}

#[test]
fn a_dead_process_leaves_its_runs_interrupted() {
    let place = Place::new();
    let mut record = place.create();
    let (own, _) = running_run(&mut record);
    start_a_run_in_a_child_that_ends(&place);
    let dead = record.mark_dead_runs().unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("died while it computed this run"), "{}", dead[0].reason);
    assert_eq!(record.resolve_run(&own.to_string()).unwrap().status, RunStatus::Running);
    assert_eq!(record.resolve_run("from a child").unwrap().status, RunStatus::Interrupted);
    let answer = record.query("SELECT count(*) FROM runs WHERE status = 'running'", QueryLimits::default()).unwrap();
    assert_eq!(format!("{:?}", answer.rows), "[[Integer(1)]]");
}

#[test]
fn whoever_lost_its_lease_writes_no_more() {
    let place = Place::new();
    let mut record = place.create();
    let (run, lost) = running_run(&mut record);
    let options = WriterOptions { lease: Some(lost), ..WriterOptions::default() };
    let writer = Writer::start(&record, &options).unwrap();
    writer.write(metric(run, 1, "gap", 1.0)).unwrap();
    writer.flush().unwrap();
    // Another process takes it for dead, and computes the run itself.
    let mut other = Record::open(&place.path(), OpenMode::Write).unwrap();
    other.release_lease(lost).unwrap();
    assert_eq!(other.mark_dead_runs().unwrap().len(), 1);
    let own = other.acquire_lease().unwrap();
    other.start_runs(own, &[run]).unwrap();
    let theirs = Writer::start(&other, &WriterOptions { lease: Some(own), ..WriterOptions::default() }).unwrap();
    theirs.write(metric(run, 2, "gap", 2.0)).unwrap();
    theirs.flush().unwrap();
    // The first one wakes up.
    let said = "another process took over the runs of this one";
    let _ = writer.write(metric(run, 2, "gap", 3.0));
    let _ = writer.flush();
    let RecordError::WriterStopped { source } = writer.close().unwrap_err() else { panic!("it stopped") };
    assert!(source.to_string().starts_with(said), "{source}");
    for refused in [
        record.end_runs_under(lost, &[run], RunStatus::Interrupted, "stopped").unwrap_err(),
        record.start_runs(lost, &[run]).unwrap_err(),
        record.refresh_lease(lost).unwrap_err(),
    ] {
        assert!(refused.to_string().starts_with(said), "{refused}");
    }
    // An idle writer learns of it, too: what it is told next would be of runs that are not its own.
    let idle = Writer::start(&record, &options).unwrap();
    assert!(idle.flush().is_err());
    assert!(idle.close().is_err());
    theirs.close().unwrap();
    let values: Vec<f64> = other.metric_history(run, "gap").unwrap().into_iter().map(|value| value.value).collect();
    assert_eq!(values, [1.0, 2.0]);
    assert_eq!(other.resolve_run("latest").unwrap().status, RunStatus::Running);
}
