//! `db check`, `db gc`, `db vacuum`, `db backup`.

use std::fs;

use slhf_record::{GarbageKind, OpenMode, Record, RecordError, Removal, RunStatus, Writer, WriterOptions};

use crate::merges::{everything, execute, full};
use crate::support::{Place, checkpoint, running_run};

/// A record with an interrupted run and its checkpoint.
fn with_a_checkpoint() -> (Place, std::path::PathBuf) {
    let place = Place::new();
    let mut record = place.create();
    let (run, lease) = running_run(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    let written = checkpoint(&mut record, run, 10);
    let file = record.checkpoint_folder().unwrap().path().join(&written.path);
    writer.write(written).unwrap();
    writer.close().unwrap();
    record.end_runs(&[run], RunStatus::Interrupted, "stopped").unwrap();
    record.release_lease(lease).unwrap();
    (place, file)
}

#[test]
fn every_kind_of_problem_is_found_with_a_cure() {
    let (place, file) = with_a_checkpoint();
    assert_eq!(place.create().check().unwrap(), []);
    let found = |part: &str| {
        let problems = place.create().check().unwrap();
        let problem = problems.iter().find(|problem| problem.found.contains(part)).cloned();
        let problem = problem.unwrap_or_else(|| panic!("{part}: {problems:?}"));
        assert!(!problem.cure.is_empty(), "{part}");
    };
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, [&bytes[..], b"x"].concat()).unwrap();
    found("is not what was written");
    fs::remove_file(&file).unwrap();
    found("is not there");
    fs::write(&file, bytes).unwrap();
    fs::create_dir(file.with_file_name("group-1")).unwrap();
    fs::write(file.with_file_name("group-1").join("left behind"), "x").unwrap();
    found("no row names this file (1 bytes)");
    execute(
        &place.path(),
        "PRAGMA foreign_keys = OFF; INSERT INTO metric VALUES (99, 0, 1, 1.0, NULL); DELETE FROM cell",
    );
    found("1 rows refer to a row of run that is not there");
    found("rows refer to a row of cell that is not there");
}

#[test]
fn a_run_that_nobody_computes_is_a_problem_and_is_not_marked() {
    let place = Place::new();
    let mut record = place.create();
    let (_, lease) = running_run(&mut record);
    assert_eq!(record.check().unwrap(), []);
    record.release_lease(lease).unwrap();
    let problems = record.check().unwrap();
    assert!(problems.len() == 1 && problems[0].subject == "run 1", "{problems:?}");
    assert_eq!(record.check().unwrap().len(), 1);
}

#[test]
fn garbage_is_what_no_row_names_and_nobody_may_be_writing() {
    let (place, file) = with_a_checkpoint();
    let folder = file.parent().unwrap().to_owned();
    let mut record = place.create();
    assert_eq!(record.garbage().unwrap(), []);
    fs::create_dir(folder.join("group-1")).unwrap();
    fs::write(folder.join("group-1/left behind"), "four").unwrap();
    fs::write(folder.join("notes.txt"), "a person's").unwrap();
    let found = record.garbage().unwrap();
    assert_eq!(found.iter().map(|one| (one.kind, one.bytes)).collect::<Vec<_>>(), [(GarbageKind::Unnamed, 4)]);
    // Somebody computes the group: the file may be on its way into the record.
    let lease = record.acquire_lease().unwrap();
    record.start_runs(lease, &[1]).unwrap();
    assert_eq!(record.garbage().unwrap(), []);
    record.end_runs(&[1], RunStatus::Interrupted, "stopped").unwrap();
    assert_eq!(record.collect_garbage().unwrap().len(), 1);
    assert!(!folder.join("group-1/left behind").exists() && folder.join("notes.txt").exists() && file.exists());
    record.remove_runs(&Removal { runs: vec![1], experiments: Vec::new() }).unwrap();
    assert!(!file.exists(), "it was moved");
    let found = record.garbage().unwrap();
    assert!(found.len() == 1 && found[0].kind == GarbageKind::Trash && found[0].runs == 1, "{found:?}");
    record.restore_runs(&[]).unwrap();
    assert!(file.exists(), "it is back");
    record.remove_runs(&Removal { runs: vec![1], experiments: Vec::new() }).unwrap();
    record.collect_garbage().unwrap();
    assert!(!record.trash_path().exists() && record.trashed().unwrap().is_empty());
}

#[test]
fn vacuuming_gives_pages_back_and_waits_for_no_run() {
    let place = full();
    let mut record = place.create();
    execute(
        &place.path(),
        "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) \
         INSERT INTO metric SELECT 1, i, 1, 0.5, NULL FROM n; DELETE FROM metric WHERE step >= 1000",
    );
    let before = everything(&mut record);
    assert!(record.sizes().unwrap().free > 500_000);
    let done = record.vacuum().unwrap();
    assert!(done.after < done.before && record.sizes().unwrap().free == 0, "{done:?}");
    assert_eq!(everything(&mut record), before);
    let place = Place::new();
    let mut record = place.create();
    running_run(&mut record);
    assert!(matches!(record.vacuum(), Err(RecordError::StillRunning { .. })));
}

#[test]
fn a_backup_is_the_same_record_and_never_written_over_anything() {
    let place = full();
    let mut record = place.create();
    let target = place.folder.path().join("backup.db");
    // A run is being computed: the backup is of this moment.
    execute(&place.path(), "UPDATE run SET status = 'finished', superseded_by = NULL WHERE id = 2");
    let bytes = record.back_up(&target).unwrap();
    assert_eq!(bytes, fs::metadata(&target).unwrap().len());
    assert!(matches!(record.back_up(&target), Err(RecordError::Exists { .. })));
    let mut backup = Record::open(&target, OpenMode::Read).unwrap();
    assert_eq!(everything(&mut backup), everything(&mut record));
    assert_eq!(backup.identity().unwrap(), record.identity().unwrap());
    let compressed = record.back_up(&place.folder.path().join("backup.db.gz"));
    assert!(matches!(compressed, Err(RecordError::Invalid { .. })));
}
