//! A small experiment to record.

use std::fs;
use std::path::PathBuf;

use slhf_plan::{CheckpointHeader, CheckpointKind, CheckpointWritten, MetricsBatch};
use slhf_record::{
    CellSetting, CreatedExecution, FrozenGroup, Lease, NewCell, NewExecution, NewRun, OpenMode, ParameterValue,
    Provenance, Record,
};
use tempfile::TempDir;

/// A folder with a record in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("lab.db")
    }

    pub(crate) fn create(&self) -> Record {
        Record::open(&self.path(), OpenMode::Create).unwrap()
    }

    pub(crate) fn read(&self) -> Record {
        Record::open(&self.path(), OpenMode::Read).unwrap()
    }
}

/// An experiment of the given cells, each with the given seeds.
pub(crate) fn experiment(name: &str, cells: &[&str], seeds: &[u64]) -> NewExecution {
    let cells = cells.iter().enumerate().map(|(index, label)| cell(name, index, label, seeds)).collect();
    NewExecution {
        experiment: name.to_owned(),
        kind: "game".to_owned(),
        question: Some("Which?".to_owned()),
        toml: "kind = \"game\"".to_owned(),
        toml_path: Some("experiments/which.toml".to_owned()),
        content_hash: format!("hash of {name}"),
        provenance: Provenance {
            command_line: "slhf-lab run which.toml".to_owned(),
            working_directory: "somewhere".to_owned(),
            host: "here".to_owned(),
            lab_version: "0.1.0".to_owned(),
            lab_sha256: "aa".to_owned(),
            source_dirty: Some(true),
            software: vec![("rustc".to_owned(), "1.95.0".to_owned())],
            ..Provenance::default()
        },
        cells,
    }
}

fn cell(name: &str, index: usize, label: &str, seeds: &[u64]) -> NewCell {
    let kappa = ParameterValue::Float(index as f64 + 0.5);
    let setting =
        CellSetting { axis: 0, axis_name: "kappa".to_owned(), key: "schedule.kappa".to_owned(), value: kappa.clone() };
    let run = |&seed| NewRun { seed, content_hash: format!("{name} {label} {seed}"), steps: 100, answered_by: None };
    NewCell {
        label: label.to_owned(),
        settings: vec![setting],
        parameters: vec![("schedule.kappa".to_owned(), kappa), ("steps".to_owned(), ParameterValue::Integer(100))],
        plugins: Vec::new(),
        runs: seeds.iter().map(run).collect(),
    }
}

/// Plans an execution as one batch group.
pub(crate) fn plan(record: &mut Record, new: &NewExecution) -> CreatedExecution {
    record
        .create_execution(new, |runs| {
            let runs: Vec<i64> = runs.iter().map(|run| run.run).collect();
            let json = format!("{{\"runs\":{runs:?}}}");
            Ok(vec![FrozenGroup { runs, json }])
        })
        .unwrap()
}

/// One run that is running.
pub(crate) fn running_run(record: &mut Record) -> (i64, Lease) {
    let run = plan(record, &experiment("cycle", &["SLHF"], &[1])).runs[0].run;
    let lease = record.acquire_lease().unwrap();
    record.start_runs(lease, &[run]).unwrap();
    (run, lease)
}

/// One value of one metric.
pub(crate) fn metric(run: i64, step: u64, key: &str, value: f64) -> MetricsBatch {
    MetricsBatch { keys: vec![key.to_owned()], runs: vec![run], steps: vec![step], values: vec![value] }
}

/// A checkpoint on disk, as a worker leaves it, and what the record is told of it.
pub(crate) fn checkpoint(record: &mut Record, run: i64, step: u64) -> CheckpointWritten {
    let (folder, _) = record.claim_checkpoint_folder().unwrap();
    let bytes = CheckpointHeader::new(CheckpointKind::GameRuns, vec![run], step).to_bytes().unwrap();
    let path = format!("checkpoint-{step}");
    fs::write(folder.path().join(&path), &bytes).unwrap();
    let sha256 = slhf_files::sha256_hex(&bytes);
    CheckpointWritten { runs: vec![run], step, path, sha256, size_bytes: bytes.len() as u64 }
}
