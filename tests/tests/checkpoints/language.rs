//! What a language model has learned is found again: in a moved record, in a copy, and in a record of every shipped version.

use std::fs;
use std::path::Path;
use std::process::Command;

use slhf_tests::{Lab, language_lab, repository, tiny_model};

use crate::stopped::{copy_folder, files, json};

const EXPERIMENT: &str = r#"
kind = "language-model"
[model]
path = "tiny"
[model.adapter]
lora_r = 2
[data]
prompts = "prompts.jsonl"
held_out = 2
[judge]
plugin = "brevity"
[method]
name = "stackelberg-gda"
steps = 4
prompts_per_step = 1
max_new_tokens = 4
[schedule]
learning_rate = { kind = "constant", value = 1e-2 }
[device]
name = "cpu"
threads = 1
[evaluation]
every = 0
[checkpoint]
every = 1
"#;

/// The weights of the adapter that a finished run left.
fn adapter(folder: &Path) -> Vec<u8> {
    let all = files(folder);
    let mut found = all.iter().filter(|(path, _)| path.ends_with("adapter_model.safetensors"));
    tensors(found.next().expect("an adapter").1)
}

/// A safetensors file without its metadata, which says more in later versions: what its tensors are, and their bytes.
fn tensors(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&rest[..length]).expect("a header");
    header.as_object_mut().expect("an object").remove("__metadata__");
    [header.to_string().as_bytes(), &rest[length..]].concat()
}

/// The weights in a run's checkpoint, as an adapter.
fn learned(lab: &Lab, db: &str, out: &str) -> Vec<u8> {
    let merged =
        lab.run(&["model", "merge", "--run", "1", "--model", "tiny", "--adapter-only", "--out", out, "--db", db]);
    assert_eq!(merged.code, Some(0), "{merged}");
    tensors(&fs::read(lab.path(out).join("adapter_model.safetensors")).expect("an adapter"))
}

#[test]
fn weights_are_found_in_a_moved_record_and_in_a_copy_that_brought_them_along() {
    let lab = language_lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let own = files(&lab.path("lab.db-checkpoints"));
    let checkpoints = own.keys().filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
    assert_eq!(checkpoints.count(), 1, "a finished run keeps one: {:?}", own.keys());
    let learnt = adapter(&lab.path("lab.db-checkpoints"));

    // By hand: nothing is taken from the original, and one sentence says how to bring the weights along.
    fs::copy(lab.path("lab.db"), lab.path("by-hand.db")).expect("copied");
    for verb in
        [&["model", "inspect", "--run", "1"][..], &["refine", "Hello", "--run", "1"], &["evaluate", "tiny", "--sample"]]
    {
        let asked = lab.run(&[verb, &["--db", "by-hand.db"]].concat());
        assert_eq!(asked.code, Some(1), "{asked}");
        assert!(
            asked.stderr.contains("has no weights here") && asked.stderr.contains("`slhf-lab db copy --db "),
            "{asked}"
        );
    }
    let again = lab.run(&["run", "tiny.toml", "--supersede", "--db", "by-hand.db"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(files(&lab.path("lab.db-checkpoints")), own);

    let copied = lab.run(&["db", "copy", "--to", "copy.db"]);
    assert_eq!(copied.code, Some(0), "{copied}");
    fs::rename(lab.path("lab.db"), lab.path("x.db")).expect("moved");
    fs::rename(lab.path("lab.db-checkpoints"), lab.path("x.db-checkpoints")).expect("moved");
    for db in ["x.db", "copy.db"] {
        assert_eq!(adapter(&lab.path(format!("{db}-checkpoints"))), learnt);
        assert_eq!(learned(&lab, db, &format!("out-{db}")), learnt, "{db}");
        for verb in [
            &["model", "inspect", "--run", "1"][..],
            &["refine", "Hello", "--run", "1"],
            &["evaluate", "tiny", "--sample"],
        ] {
            let asked = lab.run(&[verb, &["--db", db]].concat());
            assert_eq!(asked.code, Some(0), "{asked}");
        }
    }
}

#[test]
fn weights_that_are_damaged_are_not_taken_for_what_was_learned() {
    let lab = language_lab(&EXPERIMENT.replace("[checkpoint]", "[checkpoint]\nkeep = 2"));
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let rows = json(
        &lab,
        "lab.db",
        "SELECT step, path FROM artefacts WHERE kind = 'checkpoint' AND removed_at IS NULL ORDER BY step",
    );
    let steps: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row["step"].as_u64()).collect();
    assert_eq!(steps, [Some(3), Some(4)]);
    let file = lab.path("lab.db-checkpoints").join(rows[1]["path"].as_str().expect("a path"));
    fs::write(&file, "gone bad").expect("written");
    let asked = lab.run(&["model", "inspect", "--run", "1"]);
    assert_eq!(asked.code, Some(0), "{asked}");
    assert!(asked.stderr.contains("is not what was written") && asked.stderr.contains("after 3 of 4 steps"), "{asked}");
}

/// A record of before there were ids, with checkpoints of before there were headers, in another folder than it was made in.
#[test]
fn a_record_of_schema_11_finds_its_files_and_its_weights() {
    let fixture = repository().join("tests/fixtures/record-of-schema-11");
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let unpacked = Command::new("gzip").arg("-dc").arg(fixture.join("lab.db.gz")).output().expect("gzip");
    lab.write("moved.db", unpacked.stdout);
    copy_folder(&fixture.join("lab.db-checkpoints"), &made(&lab, "moved.db-checkpoints"));
    assert_eq!(learned(&lab, "moved.db", "out"), adapter(&fixture.join("lab.db-checkpoints")));
    let paths = json(&lab, "moved.db", "SELECT DISTINCT path FROM artefacts WHERE removed_at IS NULL ORDER BY path");
    let paths: Vec<_> = paths.as_array().expect("rows").iter().filter_map(|row| row["path"].as_str()).collect();
    assert_eq!(
        paths,
        [
            "group-1/run-1-step-2-b3caf14e320f.checkpoint",
            "group-1/run-1-step-2-shared-adapter",
            "group-2/run-2-step-12010000-0a658d6035d0.checkpoint"
        ]
    );
    let ids = json(&lab, "moved.db", "SELECT count(DISTINCT run_id) AS n, min(length(run_id)) AS length FROM runs");
    assert_eq!((&ids[0]["n"], &ids[0]["length"]), (&3.into(), &32.into()));
}

/// As this version leaves it; later ones read it in the place of the one that they write.
#[test]
fn a_checkpoint_of_version_2_gives_the_weights_that_it_was_written_with() {
    let fixture = repository().join("tests/fixtures/record-of-schema-13");
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let unpacked = Command::new("gzip").arg("-dc").arg(fixture.join("lab.db.gz")).output().expect("gzip");
    lab.write("lab.db", unpacked.stdout);
    copy_folder(&fixture.join("lab.db-checkpoints"), &made(&lab, "lab.db-checkpoints"));
    assert_eq!(learned(&lab, "lab.db", "out"), adapter(&fixture.join("lab.db-checkpoints")));
}

fn made(lab: &Lab, name: &str) -> std::path::PathBuf {
    let folder = lab.path(name);
    fs::create_dir(&folder).expect("a folder");
    folder
}
