//! Which checkpoints stay, which go, and what a record says of files that are not there.

use std::fs;

use slhf_record::{OpenMode, PruneScope, Record, RunStatus, Writer, WriterOptions};

use crate::support::{Place, checkpoint, running_run};

/// A running run with checkpoints at these steps.
fn with_checkpoints(place: &Place, steps: &[u64]) -> (Record, i64) {
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    for &step in steps {
        writer.write(checkpoint(&mut record, run, step)).unwrap();
    }
    writer.close().unwrap();
    (record, run)
}

/// Steps whose files are there.
fn left(place: &Place) -> Vec<u64> {
    let files = fs::read_dir(place.folder.path().join("lab.db-checkpoints")).unwrap().flatten();
    let mut steps: Vec<u64> =
        files.filter_map(|file| file.file_name().to_str()?.strip_prefix("checkpoint-")?.parse().ok()).collect();
    steps.sort_unstable();
    steps
}

fn spoil(place: &Place, step: u64) {
    let file = place.folder.path().join(format!("lab.db-checkpoints/checkpoint-{step}"));
    let mut bytes = fs::read(&file).unwrap();
    bytes[25] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_run_keeps_one_to_fall_back_on_until_it_is_done() {
    let place = Place::new();
    let (mut record, run) = with_checkpoints(&place, &[1, 2, 3, 4]);
    assert_eq!(record.prune_checkpoints(PruneScope::All).unwrap(), []);
    assert_eq!(left(&place), [3, 4]);
    record.end_runs(&[run], RunStatus::Interrupted, "stopped").unwrap();
    record.prune_checkpoints(PruneScope::All).unwrap();
    assert_eq!(left(&place), [3, 4]);
    let rows = record.artefacts(run).unwrap();
    let gone: Vec<bool> = rows.iter().map(|row| row.removed_at.is_some()).collect();
    assert_eq!(gone, [true, true, false, false]);
    record.supersede_runs(&[run], "another one").unwrap();
    record.prune_checkpoints(PruneScope::All).unwrap();
    assert_eq!(left(&place), [] as [u64; 0]);
}

#[test]
fn none_goes_before_newer_ones_have_been_read_back() {
    let place = Place::new();
    let (mut record, run) = with_checkpoints(&place, &[1, 2, 3, 4]);
    spoil(&place, 4);
    spoil(&place, 3);
    let refused = record.prune_checkpoints(PruneScope::All).unwrap();
    assert_eq!(refused.iter().map(|one| one.step).collect::<Vec<_>>(), [4, 3]);
    assert!(refused[0].reason.starts_with("is not what was written: its SHA-256 is "), "{refused:?}");
    // Two good ones stay; what is spoilt is left where it lies.
    assert_eq!(left(&place), [1, 2, 3, 4]);
    let found = record.search_checkpoints().unwrap().find(&mut record, run).unwrap();
    assert_eq!(found.point.unwrap().step, 2);
    assert!(found.refused.iter().all(|one| one.was_known));
}

#[test]
fn a_checkpoint_that_is_there_again_counts_again() {
    let place = Place::new();
    let (mut record, run) = with_checkpoints(&place, &[1, 2]);
    let (file, aside) = ("lab.db-checkpoints/checkpoint-2", "aside");
    let path = |name: &str| place.folder.path().join(name);
    fs::rename(path(file), path(aside)).unwrap();
    let found = record.search_checkpoints().unwrap().find(&mut record, run).unwrap();
    assert_eq!((found.point.unwrap().step, found.refused[0].reason.as_str()), (1, "is not there"));
    assert_eq!(record.artefacts(run).unwrap()[1].unusable_reason.as_deref(), Some("is not there"));
    fs::rename(path(aside), path(file)).unwrap();
    let found = record.search_checkpoints().unwrap().find(&mut record, run).unwrap();
    assert_eq!((found.point.unwrap().step, found.refused.len()), (2, 0));
    assert_eq!(record.artefacts(run).unwrap()[1].unusable_reason, None);
}

#[test]
fn nothing_goes_from_a_folder_of_another_record() {
    let place = Place::new();
    let (record, _) = with_checkpoints(&place, &[1, 2, 3, 4]);
    drop(record);
    let id = place.folder.path().join("lab.db-checkpoints/record-id.json");
    let text = fs::read_to_string(&id).unwrap();
    let own = place.create().identity().unwrap().unwrap();
    fs::write(&id, text.replace(&own, &"0".repeat(32))).unwrap();
    let mut record = Record::open(&place.path(), OpenMode::Write).unwrap();
    let sentence = record.checkpoints_elsewhere().unwrap().unwrap();
    assert!(sentence.contains("is of another record"), "{sentence}");
    record.prune_checkpoints(PruneScope::All).unwrap();
    let (folder, said) = record.claim_checkpoint_folder().unwrap();
    assert_eq!((folder.path().file_name().unwrap().to_str(), said), (Some(&*format!("record-{own}")), Some(sentence)));
    record.prune_checkpoints(PruneScope::All).unwrap();
    assert_eq!(left(&place), [1, 2, 3, 4]);
    // It was said once.
    assert_eq!(record.checkpoints_elsewhere().unwrap(), None);
}
