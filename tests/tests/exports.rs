//! `slhf-lab export`: what is written is read back by each format's own reader, to the bit.
//!
//! Readers are Python's (`SLHF_LAB_PYTHON`, else `python3`): csv, json and sqlite3 are always there; pyarrow, pandas, TensorBoard, MLflow and
//! datasets are asked where they are installed, and the script says which are not.

#[path = "record_verbs/example.rs"]
#[expect(dead_code, reason = "shared with the tests of the verbs that read")]
mod example;

use std::path::Path;
use std::process::Command;

use example::example;
use insta::assert_snapshot;
use slhf_plan::MetricsBatch;
use slhf_record::{OpenMode, Record, RunStatus, Writer, WriterOptions};
use slhf_tests::{Lab, lab_binary, language_lab, repository};

fn python() -> String {
    std::env::var("SLHF_LAB_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// The example with values that formats get wrong.
fn with_odd_values() -> Lab {
    let lab = example();
    let mut record = Record::open(&lab.path("lab.db"), OpenMode::Write).expect("a record");
    let lease = record.acquire_lease().expect("a lease");
    record.start_runs(lease, &[5]).expect("it goes on");
    let writer = Writer::start(&record, &WriterOptions::default()).expect("a writer");
    let values =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2, f64::MIN_POSITIVE, 5e-324, f64::MAX, -1.0 / 3.0, 1e300];
    for (step, value) in (200..).zip(values) {
        let keys = vec!["odd, \"value\"".to_owned()];
        writer.write(MetricsBatch { keys, runs: vec![5], steps: vec![step], values: vec![value] }).expect("written");
    }
    // More than a chunk of any writer.
    let (steps, values): (Vec<u64>, Vec<f64>) =
        (1000..5000_u32).map(|step| (u64::from(step), f64::from(step).sqrt())).unzip();
    let runs = vec![5; steps.len()];
    writer.write(MetricsBatch { keys: vec!["many".to_owned()], runs, steps, values }).expect("written");
    writer.close().expect("written");
    record.end_runs(&[5], RunStatus::Interrupted, "stopped, with a comma\nand a line").expect("ended");
    record.release_lease(lease).expect("released");
    lab
}

fn exported(lab: &Lab, format: &str, to: &str) {
    let outcome = lab.run(&["export", "cycle", "--format", format, "--to", to]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
}

#[track_caller]
fn script(name: &str, arguments: &[&Path]) -> String {
    let script = repository().join("tests/python").join(name);
    let path = std::env::join_paths(
        lab_binary()
            .parent()
            .map(Path::to_path_buf)
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let output = Command::new(python())
        .env("PATH", path.expect("a path"))
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", std::env::temp_dir().join("slhf-tests-hf"))
        .arg(script)
        .args(arguments)
        .output()
        .expect("Python runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn every_format_is_read_back_by_its_own_reader_to_the_bit() {
    let lab = with_odd_values();
    let _ = lab.run(&["tag", "1", "--add", "paper"]).success();
    let _ = lab.run(&["note", "1", "a \"note\""]).success();
    for format in ["parquet", "csv", "jsonl", "tensorboard", "mlflow"] {
        exported(&lab, format, &format!("out-{format}"));
    }
    let places: Vec<_> = ["lab.db", "out-parquet", "out-csv", "out-jsonl", "out-tensorboard", "out-mlflow"]
        .map(|name| lab.path(name))
        .into();
    let said = script("read_exports.py", &places.iter().map(std::path::PathBuf::as_path).collect::<Vec<_>>());
    eprintln!("{said}");
    assert!(said.contains("csv: ") && said.contains("json: "), "{said}");
}

const LANGUAGE_MODEL: &str = r#"kind = "language-model"
name = "tiny"
log_completions_every = 1
[model]
path = "tiny"
[model.adapter]
lora_r = 4
[data]
prompts = "prompts.jsonl"
held_out = 1
[judge]
plugin = "brevity"
[method]
name = "stackelberg-gda"
steps = 3
prompts_per_step = 2
max_new_tokens = 6
[device]
name = "cpu"
threads = 1
"#;

/// Both formats hold the same, message for message; Hugging Face's datasets reads them where it is installed.
#[test]
fn preferences_are_read_by_the_library_that_trainers_use() {
    let lab = language_lab(LANGUAGE_MODEL);
    lab.write(
        "prompts.jsonl",
        "{\"prompt\": \"Hello\"}\n{\"prompt\": \"Name \\\"three\\\" rivers\"}\n{\"prompt\": \"Bye\"}",
    );
    let _ = lab.run(&["run", "tiny.toml"]).success();
    for file in ["pairs.jsonl", "pairs.parquet"] {
        let outcome = lab.run(&["export", "tiny", "--format", "preferences", "--to", file]);
        assert_eq!(outcome.code, Some(0), "{outcome}");
    }
    let lines = lab.read("pairs.jsonl");
    assert!(lines.lines().count() >= 3, "{lines}");
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(row["prompt"][0]["role"], "user", "{row}");
        assert!(row["probability"].as_f64() >= Some(0.5) && row["chosen"][0]["content"].is_string(), "{row}");
    }
    let said =
        script("read_exports.py", &[Path::new("--preferences"), &lab.path("pairs.jsonl"), &lab.path("pairs.parquet")]);
    eprintln!("{said}");
}

#[test]
fn what_was_written_is_listed_and_nothing_is_written_over() {
    let lab = example();
    assert_snapshot!("export_csv", lab.run(&["export", "1", "cycle/kappa=5/3", "--format", "csv", "--to", "out"]));
    assert_snapshot!("export_csv_parameters", lab.read("out/parameters.csv"));
    assert_snapshot!("export_over_something", lab.run(&["export", "1", "--format", "parquet", "--to", "out"]));
    assert_snapshot!("export_of_an_unknown_run", lab.run(&["export", "77", "--format", "csv", "--to", "other"]));
    assert!(!lab.path("other").exists());
    let left: Vec<_> =
        std::fs::read_dir(lab.folder()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

/// docs/results-in-pandas.md, where pandas and pyarrow are installed.
#[test]
fn the_page_about_results_runs_as_it_is() {
    let has = |module: &str| {
        let check = format!("import {module}");
        Command::new(python()).args(["-c", &check]).output().is_ok_and(|output| output.status.success())
    };
    if !has("pandas") || !has("pyarrow") {
        eprintln!("skipped: no Python with pandas and pyarrow; name one in SLHF_LAB_PYTHON");
        return;
    }
    let lab = Lab::new();
    let small = repository().join("tests/python/page.py");
    let text = std::fs::read_to_string(small).expect("the script");
    let toml = text.split("\"\"\"").nth(3).expect("an experiment");
    lab.write("small.toml", toml);
    let _ = lab.run(&["run", "small.toml"]).success();
    let page = repository().join("docs/results-in-pandas.md");
    let said = script("page.py", &[&page, &lab.folder()]);
    assert!(said.contains("mean"), "{said}");
}
