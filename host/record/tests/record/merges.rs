//! `db merge`: nothing doubled, nothing lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use slhf_plan::CheckpointStart;
use slhf_record::{
    Cell, Merged, OpenMode, QueryLimits, Record, RecordError, RunFilter, RunStatus, TagChange, Writer, WriterOptions,
    views,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::{Place, checkpoint, experiment, metric, plan, running_run};

/// Runs statements as another program would.
pub(crate) fn execute(path: &Path, statements: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// A record with a row in every table.
pub(crate) fn full() -> Place {
    let place = Place::new();
    drop(place.create());
    execute(&place.path(), include_str!("every_table.sql"));
    place
}

/// Every row of every view.
pub(crate) fn everything(record: &mut Record) -> BTreeMap<&'static str, Vec<Vec<Cell>>> {
    let mut all = BTreeMap::new();
    for view in views().iter().filter(|view| view.name != "records") {
        let columns: Vec<String> = (1..=view.columns.len()).map(|number| number.to_string()).collect();
        let statement = format!("SELECT * FROM {} ORDER BY {}", view.name, columns.join(", "));
        all.insert(view.name, record.query(&statement, QueryLimits::default()).unwrap().rows);
    }
    all
}

fn ask(record: &mut Record, statement: &str) -> Vec<Vec<Cell>> {
    record.query(statement, QueryLimits::default()).unwrap().rows
}

fn merge(into: &mut Record, other: &Path) -> Merged {
    into.merge(other).unwrap()
}

#[track_caller]
fn refused(into: &mut Record, other: &Path) -> String {
    let before = everything(into);
    let error = into.merge(other).unwrap_err();
    assert_eq!(everything(into), before, "nothing is written");
    error.to_string().replace(&other.display().to_string(), "OTHER")
}

#[test]
fn the_example_has_a_row_in_every_table() {
    let place = full();
    let mut record = place.read();
    let tables = ask(
        &mut record,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN ('lease', 'held_run')",
    );
    for row in tables {
        let Cell::Text(name) = &row[0] else { panic!("{row:?}") };
        assert_ne!(ask(&mut record, &format!("SELECT count(*) FROM {name}")), [[Cell::Integer(0)]], "{name}");
    }
}

#[test]
fn everything_of_a_run_comes_along_and_a_second_time_nothing_happens() {
    let (ours, theirs) = (Place::new(), full());
    let mut record = ours.create();
    let expected = everything(&mut theirs.read());
    let merged = merge(&mut record, &theirs.path());
    assert_eq!(merged.taken.added.len(), 2);
    assert_eq!(merged.taken.remarks, 5, "a conclusion, two audits, a tag, a note");
    assert_eq!(everything(&mut record), expected);
    let again = merge(&mut record, &theirs.path());
    assert!(again.taken.is_nothing() && again.taken.known == 2, "{again:?}");
    assert_eq!(everything(&mut record), expected);
    assert_eq!(everything(&mut theirs.read()), expected, "the other record is as it was");
    let buckets = "SELECT r.seed, k.name, width, bucket, last_step, finite, low, high, total, last FROM metric_bucket b \
         JOIN metric_key k ON k.id = b.key JOIN run r ON r.id = b.run";
    assert_eq!(ask(&mut record, buckets), ask(&mut theirs.read(), buckets));
    assert_eq!(ask(&mut record, buckets).len(), 1);
    assert_eq!(record.check().unwrap(), []);
}

/// Columns with numbers that a run, and what hangs on it, may have to change.
const RENUMBERED: [&str; 9] = [
    "run",
    "answered_by_run",
    "execution",
    "superseded_by_execution",
    "batch_group",
    "state_change",
    "judge_audit",
    "note",
    "subject",
];

/// Where numbers are taken, runs, executions and all that hangs on them get the next ones.
#[test]
fn runs_get_the_next_numbers_where_theirs_are_taken() {
    let (ours, theirs) = (Place::new(), full());
    let mut record = ours.create();
    plan(&mut record, &experiment("all", &["x", "y"], &[1, 2]));
    plan(&mut record, &experiment("other", &["x"], &[1]));
    let merged = merge(&mut record, &theirs.path());
    let numbers: Vec<(i64, i64, &str)> =
        merged.taken.added.iter().map(|run| (run.there, run.here, run.name.as_str())).collect();
    assert_eq!(numbers, [(1, 6, "all/a/7"), (2, 7, "all/b/7")]);
    // The other record's rows, with the numbers that its runs have here.
    let mut expected = everything(&mut theirs.read());
    let mut found = everything(&mut record);
    for view in views().iter().filter(|view| view.name != "records") {
        let (theirs, ours) = (expected.get_mut(view.name).unwrap(), found.get_mut(view.name).unwrap());
        let run = view.columns.iter().position(|column| column.name == "run" || column.name == "answered_by_run");
        if let Some(run) = run {
            ours.retain(|row| matches!(row[run], Cell::Integer(6..) | Cell::Null));
            assert_eq!(ours.len(), theirs.len(), "{}", view.name);
            for row in ours.iter_mut().chain(theirs.iter_mut()) {
                for (cell, column) in row.iter_mut().zip(view.columns) {
                    if RENUMBERED.contains(&column.name) {
                        *cell = Cell::Null;
                    }
                }
            }
            assert_eq!(ours, theirs, "{}", view.name);
        }
    }
    assert_eq!(
        ask(&mut record, "SELECT execution FROM runs WHERE run IN (6, 7)"),
        [[Cell::Integer(2)], [Cell::Integer(2)]],
        "the experiment has an execution of its own with the number 1"
    );
    let frozen = record.frozen_plan(6).unwrap().unwrap();
    assert_eq!(frozen, r#"{"games":[],"runs":[{"run":6,"seed":7},{"run":7,"seed":7}]}"#);
    let audit = "SELECT subject FROM judge_audits WHERE run = 6";
    assert_eq!(ask(&mut record, audit), [[Cell::Text("run 6 (all/a/7)".to_owned())]]);
    assert_eq!(record.check().unwrap(), []);
    assert!(merge(&mut record, &theirs.path()).taken.is_nothing());
}

/// A plan that was copied to another machine and computed there comes back.
#[test]
fn a_run_that_went_further_elsewhere_is_brought_up_to_date() {
    let ours = Place::new();
    let mut record = ours.create();
    plan(&mut record, &experiment("cycle", &["a"], &[1, 2]));
    let copy = ours.folder.path().join("copy.db");
    record.copy_to(&copy).unwrap();
    record.change_tags(&[1], &TagChange { add: vec!["mine".to_owned()], ..TagChange::default() }).unwrap();
    {
        let mut other = Record::open(&copy, OpenMode::Write).unwrap();
        let lease = other.acquire_lease().unwrap();
        other.start_runs(lease, &[1]).unwrap();
        let writer = Writer::start(&other, &WriterOptions::default()).unwrap();
        writer.write(metric(1, 0, "gap", 0.25)).unwrap();
        writer.close().unwrap();
        other.end_runs(&[1], RunStatus::Failed, "too hot").unwrap();
        other.release_lease(lease).unwrap();
    }
    let merged = merge(&mut record, &copy);
    assert_eq!((merged.taken.added.len(), merged.taken.advanced.len(), merged.taken.known), (0, 1, 1));
    let run = &record.runs(&RunFilter { runs: vec![1], ..RunFilter::default() }).unwrap()[0];
    assert_eq!((run.status, run.reason.as_deref()), (RunStatus::Failed, Some("too hot")));
    assert_eq!(record.tags(1).unwrap(), ["mine"]);
    assert_eq!(ask(&mut record, "SELECT value FROM metrics WHERE run = 1"), [[Cell::Real(0.25)]]);
    assert!(merge(&mut record, &copy).taken.is_nothing());
    // The other way about there is nothing that the copy lacks but the tag.
    drop(record);
    let back = merge(&mut Record::open(&copy, OpenMode::Write).unwrap(), &ours.path());
    assert_eq!((back.taken.advanced.len(), back.taken.remarks), (0, 1));
}

#[test]
fn two_histories_of_one_run_are_a_conflict() {
    let (ours, theirs) = (full(), full());
    let mut record = ours.create();
    let check = |record: &mut Record, change: &'static str, said: &str| {
        execute(&theirs.path(), change);
        let sentence = refused(record, &theirs.path());
        assert!(sentence.contains(said), "{sentence}");
    };
    check(
        &mut record,
        "UPDATE metric SET value = 0.5 WHERE run = 2",
        "OTHER was not merged, and nothing was written: all/b/7 (run 2 there, run 2 here) was computed in both, and differs (in metric)",
    );
    check(
        &mut record,
        "UPDATE run SET content_hash = 'x' WHERE id = 1",
        "all/a/7 (run 1 there, run 1 here) was planned differently",
    );
}

#[test]
fn running_runs_stay_behind_by_name() {
    let (ours, theirs) = (Place::new(), Place::new());
    let mut other = theirs.create();
    let (run, _lease) = running_run(&mut other);
    plan(&mut other, &experiment("done", &["a"], &[1]));
    let merged = merge(&mut ours.create(), &theirs.path());
    assert_eq!(merged.running, [(run, "cycle/SLHF/1".to_owned())]);
    assert_eq!(merged.taken.added.len(), 1);
}

#[test]
fn files_come_along_under_the_numbers_that_runs_have_here() {
    let (ours, theirs) = (Place::new(), Place::new());
    let mut other = theirs.create();
    let (run, lease) = running_run(&mut other);
    let writer = Writer::start(&other, &WriterOptions::default()).unwrap();
    let mut written = checkpoint(&mut other, run, 10);
    // As a worker writes it: a list of one run with an empty state.
    let folder = other.checkpoint_folder().unwrap().path().to_owned();
    let mut bytes = fs::read(folder.join(&written.path)).unwrap();
    bytes.extend_from_slice(&[1, 2, 0]);
    fs::create_dir(folder.join("group-1")).unwrap();
    written.path = "group-1/run-1-step-10-abc.checkpoint".to_owned();
    fs::write(folder.join(&written.path), &bytes).unwrap();
    written.sha256 = slhf_files::sha256_hex(&bytes);
    written.size_bytes = bytes.len() as u64;
    writer.write(written).unwrap();
    writer.close().unwrap();
    other.end_runs(&[run], RunStatus::Interrupted, "stopped").unwrap();
    other.release_lease(lease).unwrap();
    drop(other);

    let mut record = ours.create();
    plan(&mut record, &experiment("first", &["a"], &[1, 2]));
    let merged = merge(&mut record, &theirs.path());
    assert_eq!((merged.taken.files.files, &merged.taken.files.left_out), (1, &Vec::new()));
    let found = record.search_checkpoints().unwrap().find(&mut record, 3).unwrap();
    let point = found.point.expect("a checkpoint to go on from");
    assert!(point.path.ends_with("group-2/run-3-step-10-abc.checkpoint"), "{}", point.path);
    let copy = fs::read(&point.path).unwrap();
    let (start, body) = CheckpointStart::read(&copy).unwrap();
    assert!(start.may_hold(3, 10) && body == [1, 6, 0]);
    assert_eq!(record.check().unwrap(), []);

    // A file that goes missing here is brought again.
    fs::remove_file(&point.path).unwrap();
    assert!(record.search_checkpoints().unwrap().find(&mut record, 3).unwrap().point.is_none());
    assert_eq!(merge(&mut record, &theirs.path()).taken.files.files, 1);
    assert!(record.search_checkpoints().unwrap().find(&mut record, 3).unwrap().point.is_some());
    // One that is missing there is named, and its row here says so.
    fs::remove_dir_all(theirs.folder.path().join("lab.db-checkpoints/group-1")).unwrap();
    let elsewhere = Place::new();
    let merged = merge(&mut elsewhere.create(), &theirs.path());
    assert_eq!(merged.taken.files.left_out.len(), 1);
}

#[test]
fn what_is_no_other_record_is_refused() {
    let place = full();
    let mut record = place.create();
    assert!(matches!(record.merge(&place.path()), Err(RecordError::MergeWithItself { .. })));
    let missing = place.folder.path().join("missing.db");
    assert!(matches!(record.merge(&missing), Err(RecordError::Absent { .. })));
    let text = place.folder.path().join("notes.txt");
    fs::write(&text, "not a record, but long enough for one ".repeat(30)).unwrap();
    assert!(matches!(record.merge(&text), Err(RecordError::NotARecord { .. })));
    execute(&full().path(), "SELECT 1");
    let newer = full();
    execute(&newer.path(), "PRAGMA user_version = 999");
    let sentence = refused(&mut record, &newer.path());
    assert!(sentence.contains("schema version 999"), "{sentence}");
}
