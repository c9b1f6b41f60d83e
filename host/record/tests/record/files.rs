//! What is opened, and what is refused.

use std::fs;
use std::path::Path;

use slhf_record::{OpenMode, Record, RecordError, RunFilter, RunStatus};

use crate::support::{Place, experiment, plan};

#[track_caller]
fn refused(path: &Path, mode: OpenMode) -> String {
    match Record::open(path, mode) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string().replace(&path.display().to_string(), "FILE"),
    }
}

#[test]
fn a_missing_file_is_made_only_by_verbs_that_write() {
    let place = Place::new();
    assert_eq!(
        refused(&place.path(), OpenMode::Read),
        "there is no record at FILE: run an experiment first, or name another file with --db"
    );
    assert!(!place.path().exists());
    place.create();
    assert_eq!(place.read().experiments().unwrap(), []);
}

#[test]
fn a_missing_folder_is_said() {
    let place = Place::new();
    let path = place.folder.path().join("no/such/lab.db");
    let said = refused(&path, OpenMode::Create);
    assert_eq!(said, "cannot open the record FILE: check that its folder exists and that you may read it");
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let place = Place::new();
    for (content, found) in [
        ("not a database, but long enough to be read as one. ".repeat(50), "it is no SQLite file"),
        (String::new(), "an empty file, such as a command leaves that is killed at once; `slhf-lab run` fills it"),
    ] {
        fs::write(place.path(), &content).unwrap();
        let said = refused(&place.path(), OpenMode::Read);
        assert_eq!(said, format!("FILE is not a record of slhf-lab ({found}): name another file with --db"));
        assert_eq!(fs::read_to_string(place.path()).unwrap(), content);
    }
}

/// Sets a 32-bit field of the header of an SQLite file that no one has open.
fn patch(path: &Path, offset: usize, value: u32) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

#[test]
fn a_record_of_a_newer_version_is_refused() {
    let place = Place::new();
    place.create();
    patch(&place.path(), USER_VERSION, 999);
    for mode in [OpenMode::Create, OpenMode::Write, OpenMode::Read] {
        let error = Record::open(&place.path(), mode).unwrap_err();
        assert!(matches!(error, RecordError::TooNew { found: 999, .. }), "{error}");
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let place = Place::new();
    place.create();
    patch(&place.path(), APPLICATION_ID, 42);
    let before = fs::read(place.path()).unwrap();
    let said = refused(&place.path(), OpenMode::Create);
    assert_eq!(
        said,
        "FILE is not a record of slhf-lab (it is an SQLite file of another program): name another file with --db"
    );
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn damage_is_said() {
    let place = Place::new();
    place.create();
    let mut bytes = fs::read(place.path()).unwrap();
    for byte in &mut bytes[100..4096] {
        *byte = 0x5a;
    }
    fs::write(place.path(), bytes).unwrap();
    let said = refused(&place.path(), OpenMode::Read);
    assert!(said.starts_with("the record is damaged"), "{said}");
}

#[test]
fn opening_again_changes_nothing() {
    let place = Place::new();
    plan(&mut place.create(), &experiment("cycle", &["a"], &[1]));
    let before = fs::read(place.path()).unwrap();
    assert_eq!(place.read().experiments().unwrap().len(), 1);
    drop(place.create());
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn two_processes_may_make_the_same_record() {
    let place = Place::new();
    let path = place.path();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut record = Record::open(path, OpenMode::Create).unwrap();
                plan(&mut record, &experiment(&format!("from {number}"), &["a"], &[1, 2]));
            });
        }
    });
    let runs = place.read().runs(&RunFilter::default()).unwrap();
    assert_eq!(runs.len(), 8);
    assert!(runs.iter().all(|run| run.status == RunStatus::Pending));
}
