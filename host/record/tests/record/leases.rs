//! Who computes a run, and what becomes of it when nobody does.

use std::process::{Command, Stdio};

use slhf_record::{OpenMode, QueryLimits, Record, RunStatus};

use crate::support::{Place, experiment, plan, running_run};

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
