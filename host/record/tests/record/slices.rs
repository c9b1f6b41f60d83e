//! Runs that are computed in a record of their own, and come back.

use std::path::{Path, PathBuf};

use slhf_plan::{RunEnd, RunOutcome};
use slhf_record::{OpenMode, Record, RecordError, RunFilter, RunStatus, Writer, WriterOptions};

use crate::merges::everything;
use crate::support::{Place, checkpoint, experiment, metric, plan};

/// A record of four pending runs, 1 to 4.
fn whole() -> (Place, Record) {
    let place = Place::new();
    let mut record = place.create();
    plan(&mut record, &experiment("cycle", &["a", "b"], &[1, 2]));
    (place, record)
}

fn states(record: &mut Record) -> Vec<(i64, RunStatus, Option<String>)> {
    let runs = record.runs(&RunFilter::default()).unwrap();
    runs.into_iter().map(|run| (run.run, run.status, run.reason)).collect()
}

/// Computes a run to a step, with a checkpoint there; to the end, where it is the last one.
fn compute(path: &Path, run: i64, to: u64) {
    let mut record = Record::open(path, OpenMode::Write).unwrap();
    let lease = record.acquire_lease().unwrap();
    record.start_runs(lease, &[run]).unwrap();
    let options = WriterOptions { lease: Some(lease), ..WriterOptions::default() };
    let writer = Writer::start(&record, &options).unwrap();
    for step in 1..=to {
        writer.write(metric(run, step, "gap", 1.0 / step as f64)).unwrap();
    }
    writer.write(checkpoint(&mut record, run, to)).unwrap();
    if to == 100 {
        writer.write(RunEnd { run, step: to, outcome: RunOutcome::Finished }).unwrap();
    }
    writer.close().unwrap();
    record.release_lease(lease).unwrap();
}

fn slice(record: &mut Record, runs: &[i64], name: &str) -> PathBuf {
    let path = record.path().with_file_name(name);
    record.slice_to(runs, &path).unwrap();
    path
}

#[test]
fn a_slice_has_its_runs_under_their_numbers_and_they_come_back() {
    let (_place, mut record) = whole();
    let before = everything(&mut record);
    let path = slice(&mut record, &[2, 3], "slice.db");
    let mut there = Record::open(&path, OpenMode::Read).unwrap();
    assert_eq!(states(&mut there), [(2, RunStatus::Pending, None), (3, RunStatus::Pending, None)]);
    drop(there);
    assert_eq!(Record::done_of_slice(&path).unwrap(), (0, 0));
    compute(&path, 2, 100);
    compute(&path, 3, 40);
    assert_eq!(Record::done_of_slice(&path).unwrap(), (1, 40));
    assert_eq!(everything(&mut record), before, "until then the whole says what it said");
    let collected = record.collect(&path, "its process was killed").unwrap();
    assert_eq!((collected.taken.advanced.len(), collected.known, collected.taken.files.files), (2, 0, 2));
    let killed = Some("its process was killed".to_owned());
    let expected = [
        (1, RunStatus::Pending, None),
        (2, RunStatus::Finished, Some("all steps are done".to_owned())),
        (3, RunStatus::Interrupted, killed),
        (4, RunStatus::Pending, None),
    ];
    assert_eq!(states(&mut record), expected);
    assert_eq!(record.check().unwrap(), []);
    let found = record.search_checkpoints().unwrap().find(&mut record, 3).unwrap();
    assert_eq!(found.point.map(|point| point.step), Some(40));
    // A second time nothing comes.
    let after = everything(&mut record);
    let again = record.collect(&path, "again").unwrap();
    assert!(again.taken.is_nothing() && again.known == 2, "{again:?}");
    assert_eq!(everything(&mut record), after);
}

/// Whoever goes on with what another attempt has done takes its rows and its checkpoint, and is further for the whole.
#[test]
fn a_slice_of_a_slice_goes_on_where_another_one_was() {
    let (_place, mut record) = whole();
    let plan = slice(&mut record, &[1, 2, 3, 4], "plan.db");
    let path = |name: &str| plan.with_file_name(name);
    Record::slice_of(&plan, &[1, 2], &path("first.db")).unwrap();
    compute(&path("first.db"), 1, 40);
    Record::slice_of(&plan, &[1, 2], &path("second.db")).unwrap();
    let mut second = Record::open(&path("second.db"), OpenMode::Write).unwrap();
    second.collect(&path("first.db"), "killed").unwrap();
    let found = second.search_checkpoints().unwrap().find(&mut second, 1).unwrap();
    assert_eq!(found.point.map(|point| point.step), Some(40));
    drop(second);
    compute(&path("second.db"), 2, 100);
    // The whole may have the earlier one already.
    assert_eq!(record.collect(&path("first.db"), "killed").unwrap().taken.advanced.len(), 1);
    assert_eq!(record.collect(&path("second.db"), "killed").unwrap().taken.advanced.len(), 1);
    let finished = states(&mut record).into_iter().filter(|(_, status, _)| *status == RunStatus::Finished);
    assert_eq!(finished.map(|(run, ..)| run).collect::<Vec<_>>(), [2]);
    assert_eq!(record.check().unwrap(), []);
}

/// Two that computed one run: what is finished here stays, and rows of which each has some that the other lacks are refused by name.
#[test]
fn what_was_computed_twice_is_there_once() {
    let (_place, mut record) = whole();
    let paths = ["one.db", "two.db", "three.db"].map(|name| slice(&mut record, &[1], name));
    compute(&paths[0], 1, 40);
    compute(&paths[1], 1, 100);
    compute(&paths[2], 1, 100);
    assert_eq!(record.collect(&paths[1], "killed").unwrap().taken.advanced.len(), 1);
    for other in [&paths[0], &paths[2]] {
        let collected = record.collect(other, "killed").unwrap();
        assert!(collected.taken.is_nothing() && collected.known == 1, "{collected:?}");
    }
    assert_eq!(record.check().unwrap(), []);
}

#[test]
fn nothing_is_written_over() {
    let (_place, mut record) = whole();
    let path = slice(&mut record, &[1], "slice.db");
    assert!(matches!(record.slice_to(&[1], &path), Err(RecordError::Exists { .. })));
    assert!(matches!(Record::slice_of(&path, &[1], &path), Err(RecordError::Exists { .. })));
    assert!(record.collect(&path.with_file_name("none.db"), "killed").is_err());
}
