//! A record knows its own files: copied and moved records, checkpoints that were damaged, files that are nobody's, and how long
//! a checkpoint stays. What a run computes is the same to the bit in every case.

#[path = "checkpoints/language.rs"]
mod language;
#[path = "checkpoints/stopped.rs"]
mod stopped;
#[path = "kill/watched.rs"]
#[expect(dead_code, reason = "shared with the tests that kill")]
mod watched;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use slhf_plan::CheckpointWritten;
use slhf_record::{OpenMode, Record, Writer, WriterOptions};
use slhf_tests::{Lab, Outcome};
use stopped::{copy_folder, files, json, numbers_of, stopped, uninterrupted};
use watched::{Watched, experiment};

/// Steps of the game runs' last checkpoint, and how many rows checkpoints have at or before it.
fn last_checkpoint(lab: &Lab, db: &str) -> (u64, u64) {
    let sql = "SELECT max(step) AS last, count(*) AS n FROM artefacts WHERE kind = 'checkpoint'";
    let rows = json(lab, db, sql);
    (rows[0]["last"].as_u64().expect("a step"), rows[0]["n"].as_u64().expect("a count"))
}

fn resume(lab: &Lab, db: &str) -> Outcome {
    let resumed = lab.run(&["resume", "--db", db]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!(numbers_of(lab, db), uninterrupted());
    resumed
}

#[test]
fn a_copy_leaves_the_originals_checkpoints_as_they_are() {
    let lab = stopped();
    let before = files(&lab.path("lab.db-checkpoints"));
    assert!(before.len() > 1, "{before:?}");
    fs::copy(lab.path("lab.db"), lab.path("copy.db")).expect("copied");
    let resumed = resume(&lab, "copy.db");
    let sentence = "of which it is a copy: `slhf-lab db copy --db ";
    assert_eq!(resumed.stderr.matches(sentence).count(), 1, "{resumed}");
    assert_eq!(files(&lab.path("lab.db-checkpoints")), before);
    // Said once; and superseding all runs of the copy takes nothing from the original either.
    let again = lab.run(&["run", "game.toml", "--supersede", "--db", "copy.db"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert!(!again.stderr.contains(sentence), "{again}");
    assert_eq!(files(&lab.path("lab.db-checkpoints")), before);
    let resumed = resume(&lab, "lab.db");
    assert!(!resumed.stderr.contains("checkpoint"), "{resumed}");
}

#[test]
fn a_copy_that_is_superseded_first_takes_nothing_from_the_original() {
    let lab = stopped();
    let before = files(&lab.path("lab.db-checkpoints"));
    fs::copy(lab.path("lab.db"), lab.path("copy.db")).expect("copied");
    let again = lab.run(&["run", "game.toml", "--supersede", "--db", "copy.db"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(files(&lab.path("lab.db-checkpoints")), before);
}

#[test]
fn a_copy_that_is_linked_to_the_originals_folder_is_refused() {
    let lab = stopped();
    let before = files(&lab.path("lab.db-checkpoints"));
    fs::copy(lab.path("lab.db"), lab.path("copy.db")).expect("copied");
    symlink("lab.db-checkpoints", lab.path("copy.db-checkpoints")).expect("linked");
    for verb in [&["run", "game.toml", "--supersede", "--db", "copy.db"][..], &["resume", "--db", "copy.db"]] {
        let outcome = lab.run(verb);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains("copy.db-checkpoints is a link, or no folder"), "{outcome}");
    }
    assert_eq!(files(&lab.path("lab.db-checkpoints")), before);
    let _ = resume(&lab, "lab.db");
}

#[test]
fn a_folder_whose_id_is_damaged_is_not_left_behind_in_silence() {
    let lab = stopped();
    let identity = lab.path("lab.db-checkpoints/record-id.json");
    let before = files(&lab.path("lab.db-checkpoints"));
    let was = fs::read(&identity).expect("there");
    fs::write(&identity, "{").expect("written");
    let outcome = lab.run(&["resume"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("record-id.json, which says whose files these are, cannot be read"), "{outcome}");
    // As the sentence says: without it the folder is taken over, and nothing was lost.
    fs::remove_file(&identity).expect("removed");
    let (last, rows) = last_checkpoint(&lab, "lab.db");
    let resumed = resume(&lab, "lab.db");
    assert!(!resumed.stderr.contains("goes on from step"), "{resumed}");
    let sql = format!("SELECT count(*) AS n FROM artefacts WHERE kind = 'checkpoint' AND step <= {last}");
    assert_eq!(json(&lab, "lab.db", &sql)[0]["n"], rows);
    assert!(fs::read(&identity).expect("there") == was && !before.is_empty());
}

#[test]
fn a_moved_record_goes_on_at_its_checkpoint() {
    let lab = stopped();
    fs::rename(lab.path("lab.db"), lab.path("x.db")).expect("moved");
    fs::rename(lab.path("lab.db-checkpoints"), lab.path("x.db-checkpoints")).expect("moved");
    let (last, rows) = last_checkpoint(&lab, "x.db");
    let resumed = resume(&lab, "x.db");
    assert!(!resumed.stderr.contains("checkpoint"), "{resumed}");
    // From there, not from the start: no earlier checkpoint was written again.
    let sql = format!("SELECT count(*) AS n FROM artefacts WHERE kind = 'checkpoint' AND step <= {last}");
    assert_eq!(json(&lab, "x.db", &sql)[0]["n"], rows);
    assert!(!lab.path("lab.db-checkpoints").exists());
}

#[test]
fn a_record_that_was_moved_without_its_folder_says_so() {
    let lab = stopped();
    fs::rename(lab.path("lab.db"), lab.path("x.db")).expect("moved");
    let before = files(&lab.path("lab.db-checkpoints"));
    let resumed = resume(&lab, "x.db");
    assert!(resumed.stderr.contains("lab.db-checkpoints; rename that folder to "), "{resumed}");
    assert_eq!(files(&lab.path("lab.db-checkpoints")), before);
    let reasons =
        json(&lab, "x.db", "SELECT DISTINCT unusable_reason AS why FROM artefacts WHERE unusable_at IS NOT NULL");
    assert!(reasons.as_array().is_some_and(|rows| rows.len() == 1), "{reasons}");

    // Alone in another folder.
    let elsewhere = stopped();
    let alone = Lab::new();
    fs::copy(elsewhere.path("lab.db"), alone.path("lab.db")).expect("copied");
    let resumed = resume(&alone, "lab.db");
    assert!(resumed.stderr.contains("it was copied or moved without them"), "{resumed}");
}

#[test]
fn a_record_in_the_place_of_another_one_leaves_its_files_alone() {
    let lab = stopped();
    let before = files(&lab.path("lab.db-checkpoints"));
    fs::remove_file(lab.path("lab.db")).expect("removed");
    let run = lab.run(&["run", "game.toml"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(numbers_of(&lab, "lab.db"), uninterrupted());
    let mut after = files(&lab.path("lab.db-checkpoints"));
    let own = |path: &Path| path.parent().is_some_and(|folder| folder.to_string_lossy().contains("/record-"));
    assert!(after.keys().any(|path| own(path)));
    after.retain(|path, _| !own(path));
    assert_eq!(after, before);
}

/// Rows of a stopped run that name files which are not the record's.
fn name_files(lab: &Lab, named: &[(&str, &Path)]) {
    let record = Record::open(&lab.path("lab.db"), OpenMode::Write).expect("a record");
    let writer = Writer::start(&record, &WriterOptions::default()).expect("a writer");
    for (path, file) in named {
        let bytes = fs::read(file).expect("the file");
        let (sha256, size_bytes) = (stopped::sha256(&bytes), bytes.len() as u64);
        let written = CheckpointWritten { runs: vec![1], step: 1, path: (*path).to_owned(), sha256, size_bytes };
        writer.write(written).expect("written");
    }
    writer.close().expect("written");
}

#[test]
fn a_row_that_names_a_file_of_the_user_does_not_delete_it() {
    let lab = stopped();
    let user = lab.write("notes.txt", "mine");
    let folder = lab.path("lab.db-checkpoints");
    fs::create_dir(folder.join("group-7")).expect("a folder");
    symlink(&user, folder.join("group-7/link")).expect("a link");
    symlink(lab.folder(), folder.join("group-8")).expect("a link");
    fs::write(folder.join("group-7/other"), "not what the row says").expect("a file");
    fs::write(folder.join("group-7/text"), "a text of the user's").expect("a file");
    let absolute = user.display().to_string();
    name_files(
        &lab,
        &[
            (&absolute, &user),
            ("../notes.txt", &user),
            ("group-7/../../notes.txt", &user),
            ("group-8/notes.txt", &user),
            ("group-7/link", &user),
            ("group-7/other", &user),
            // In the folder, with the row's bytes, and no checkpoint.
            ("group-7/text", &folder.join("group-7/text")),
            ("record-id.json", &folder.join("record-id.json")),
        ],
    );
    let _ = resume(&lab, "lab.db");
    let superseded = lab.run(&["run", "game.toml", "--supersede"]);
    assert_eq!(superseded.code, Some(0), "{superseded}");
    assert_eq!(lab.read("notes.txt"), "mine");
    assert!(folder.join("group-7/link").symlink_metadata().is_ok());
    assert_eq!(fs::read_to_string(folder.join("group-7/other")).expect("there"), "not what the row says");
    assert_eq!(fs::read_to_string(folder.join("group-7/text")).expect("there"), "a text of the user's");
    assert!(folder.join("record-id.json").is_file());
}

/// What became of a checkpoint.
fn spoil(file: &Path, how: &str, lab: &Lab) {
    let bytes = fs::read(file).expect("a checkpoint");
    let remove = || fs::remove_file(file).expect("removed");
    match how {
        "overwritten" => fs::write(file, "something else").expect("written"),
        "flipped" => {
            let mut bytes = bytes;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).expect("written");
        }
        "cut" => fs::write(file, &bytes[..bytes.len() - 1]).expect("written"),
        "gone" => remove(),
        "link" => {
            remove();
            symlink(lab.write("kept-elsewhere", bytes), file).expect("a link");
        }
        "pipe" => {
            remove();
            assert!(Command::new("mkfifo").arg(file).status().expect("mkfifo").success());
        }
        _ => {
            remove();
            symlink("/dev/zero", file).expect("a link");
        }
    }
}

#[test]
fn a_spoilt_checkpoint_is_noted_and_the_one_before_is_taken() {
    let original = stopped();
    for (how, reason) in [
        ("overwritten", "is not what was written: it has 14 bytes"),
        ("flipped", "is not what was written: its SHA-256 is"),
        ("cut", "is not what was written: it has"),
        ("gone", "is not there"),
        ("link", "is a link, not a regular file"),
        ("pipe", "is a pipe, not a regular file"),
        ("device", "is a link, not a regular file"),
    ] {
        let lab = Lab::new();
        copy_folder(&original.folder(), &lab.folder());
        let (last, _) = last_checkpoint(&lab, "lab.db");
        let sql = format!("SELECT DISTINCT path FROM artefacts WHERE removed_at IS NULL AND step = {last}");
        for row in json(&lab, "lab.db", &sql).as_array().expect("rows") {
            spoil(&lab.path("lab.db-checkpoints").join(row["path"].as_str().expect("a path")), how, &lab);
        }
        let resumed = resume(&lab, "lab.db");
        assert!(resumed.stderr.contains(reason), "{how}: {resumed}");
        assert!(
            resumed.stderr.contains(" goes on from step ") && !resumed.stderr.contains("step 0"),
            "{how}: {resumed}"
        );
        let noted =
            format!("SELECT DISTINCT unusable_reason AS why FROM artefacts WHERE step = {last} AND why IS NOT NULL");
        let noted = json(&lab, "lab.db", &noted);
        assert!(noted[0]["why"].as_str().is_some_and(|why| why.starts_with(reason)), "{how}: {noted}");
        // It is said once: what is known is not said again.
        let again = resume(&lab, "lab.db");
        assert!(!again.stderr.contains(reason), "{how}: {again}");
    }
}

#[test]
fn a_run_whose_checkpoints_are_all_spoilt_starts_again_and_keeps_its_next_one() {
    let lab = stopped();
    for file in
        files(&lab.path("lab.db-checkpoints")).keys().filter(|path| path.extension().is_some_and(|e| e == "checkpoint"))
    {
        fs::write(file, "gone bad").expect("written");
    }
    let mut watched = Watched::start(&lab, &["resume"]);
    // The stored steps are computed again, in silence; then new ones come.
    assert!(watched.wait_for_new_rows(1500), "the run is long enough to be stopped");
    watched.signal("INT");
    let outcome = watched.wait();
    assert!(outcome.stderr.contains("goes on from step 0"), "{outcome}");
    // What the second stop left is gone on from.
    let (last, _) = last_checkpoint(&lab, "lab.db");
    let resumed = resume(&lab, "lab.db");
    assert!(!resumed.stderr.contains("goes on from"), "{last}: {resumed}");
}

/// A run that starts again comes by the steps of its old checkpoints, so its new ones have the names of those.
#[test]
fn a_new_checkpoint_takes_the_place_of_a_spoilt_one_of_its_name() {
    let original = stopped();
    for how in ["pipe", "link"] {
        let lab = Lab::new();
        copy_folder(&original.folder(), &lab.folder());
        let elsewhere = lab.write("kept-elsewhere", "somebody's");
        for file in checkpoint_files(&lab) {
            fs::remove_file(&file).expect("removed");
            match how {
                "pipe" => assert!(Command::new("mkfifo").arg(&file).status().expect("mkfifo").success()),
                _ => symlink(&elsewhere, &file).expect("a link"),
            }
        }
        let resumed = resume(&lab, "lab.db");
        assert!(resumed.stderr.contains("goes on from step 0"), "{how}: {resumed}");
        assert_eq!(fs::read_to_string(&elsewhere).expect("there"), "somebody's", "{how}");
    }
}

fn checkpoint_files(lab: &Lab) -> Vec<PathBuf> {
    let all = files(&lab.path("lab.db-checkpoints")).into_keys();
    all.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).collect()
}

#[test]
fn old_checkpoints_go_while_a_command_runs_and_a_finished_run_keeps_one() {
    for (setting, kept) in [("", 1), ("checkpoint.keep=3", 3)] {
        let lab = Lab::new();
        lab.write("game.toml", experiment(watched::Path::Scalar));
        let mut arguments = vec!["run", "game.toml"];
        if !setting.is_empty() {
            arguments.extend(["--set", setting]);
        }
        let mut watched = Watched::start(&lab, &arguments);
        assert!(watched.wait_for_new_rows(100), "it runs");
        // However slow this machine is: some are gone before the run is done.
        let sql = "SELECT count(*) AS n FROM artefacts JOIN runs USING (run) WHERE removed_at IS NOT NULL AND status = 'running'";
        while json(&lab, "lab.db", sql)[0]["n"] == 0 {
            assert!(watched.wait_for_new_rows(1), "the run ended and no checkpoint had gone");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let outcome = watched.wait();
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let left = checkpoint_files(&lab);
        assert_eq!(left.len(), kept, "{setting}: {left:?}");
        assert_eq!(numbers_of(&lab, "lab.db"), uninterrupted());
        let header = fs::read(&left[0]).expect("a checkpoint");
        assert!(header.starts_with(b"slhf-lab checkpoint 2\n{\"holds\":\"game-runs\",\"runs\":[1,2,3,4],\"step\":"));
    }
}

#[test]
fn db_copy_brings_the_checkpoints_along() {
    let lab = stopped();
    let before: BTreeMap<_, _> = files(&lab.folder());
    let copied = lab.run(&["db", "copy", "--to", "copy.db"]);
    assert_eq!(copied.code, Some(0), "{copied}");
    let ids = |db: &str| json(&lab, db, "SELECT record_id, copied_from FROM records");
    assert_eq!(ids("copy.db")[0]["copied_from"], ids("lab.db")[0]["record_id"]);
    assert_ne!(ids("copy.db")[0]["record_id"], ids("lab.db")[0]["record_id"]);
    for table in ["SELECT execution_id FROM executions", "SELECT run_id FROM runs ORDER BY run"] {
        assert_eq!(json(&lab, "copy.db", table), json(&lab, "lab.db", table));
    }
    let of_original = files(&lab.path("lab.db-checkpoints"));
    let resumed = resume(&lab, "copy.db");
    assert!(!resumed.stderr.contains("note"), "{resumed}");
    assert_eq!(files(&lab.path("lab.db-checkpoints")), of_original);
    assert!(
        before.iter().all(|(path, bytes)| path.ends_with("lab.db") || fs::read(path).is_ok_and(|now| now == *bytes))
    );
    // Nothing is written over.
    let again = lab.run(&["db", "copy", "--to", "copy.db"]);
    assert_eq!(again.code, Some(2), "{again}");
    assert!(again.stderr.contains("copy.db exists already"), "{again}");
    let beside = lab.run(&["db", "copy", "--to", "new.db", "--db", "copy.db"]);
    assert_eq!(beside.code, Some(0), "{beside}");
    fs::remove_file(lab.path("new.db")).expect("removed");
    let folder = lab.run(&["db", "copy", "--to", "new.db"]);
    assert_eq!(folder.code, Some(2), "{folder}");
}

#[test]
fn db_copy_leaves_out_what_is_damaged_and_says_so() {
    let lab = stopped();
    let (last, _) = last_checkpoint(&lab, "lab.db");
    let sql = format!("SELECT DISTINCT path FROM artefacts WHERE removed_at IS NULL AND step = {last}");
    let path = json(&lab, "lab.db", &sql)[0]["path"].as_str().expect("a path").to_owned();
    spoil(&lab.path("lab.db-checkpoints").join(&path), "flipped", &lab);
    let copied = lab.run(&["db", "copy", "--to", "copy.db"]);
    assert_eq!(copied.code, Some(0), "{copied}");
    assert!(copied.stderr.contains("note: not copied: ") && copied.stderr.contains("its SHA-256 is"), "{copied}");
    assert!(!lab.path("copy.db-checkpoints").join(path).exists());
    let _ = resume(&lab, "copy.db");
}

/// A record and its folder that `cp -r` copied are both whole.
#[test]
fn a_whole_folder_that_was_copied_is_a_record_of_its_own() {
    let lab = stopped();
    let copy = Lab::new();
    copy_folder(&lab.folder(), &copy.folder());
    let before = files(&lab.folder());
    let resumed = resume(&copy, "lab.db");
    assert!(!resumed.stderr.contains("note"), "{resumed}");
    assert_eq!(files(&lab.folder()), before);
}
