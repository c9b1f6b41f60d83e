//! A small record with a run in every state that matters, made through the record's own interface.

use slhf_plan::{
    CheckpointWritten, Environment, EvaluationName, EvaluationRow, Limits, MetricsBatch, OnFailure, PluginUse, RunCost,
    RunEnd, RunEnvironment, RunOutcome, ScheduleRow,
};
use slhf_record::{
    CellSetting, FrozenGroup, NewCell, NewExecution, NewRun, OpenMode, ParameterValue, PluginGrant, Provenance, Record,
    RunStatus, Writer, WriterOptions,
};
use slhf_tests::Lab;

const STEPS: u64 = 100;

/// Two cells × three seeds: runs 1–3 (κ = 1) finished, 4 failed, 5 was interrupted, 6 finished with a NaN.
pub(crate) fn example() -> Lab {
    let lab = Lab::new();
    let mut record = Record::open(&lab.path("lab.db"), OpenMode::Create).expect("a new record");
    plan(&mut record, "cycle", &[("kappa=1", 1.0), ("kappa=5", 5.0)], &[1, 2, 3]);
    let lease = record.acquire_lease().expect("a lease");
    let writer = Writer::start(&record, &WriterOptions::default()).expect("a writer");
    record.start_runs(lease, &[1, 2, 3, 4, 5, 6]).expect("pending runs start");
    writer.write(RunEnvironment { runs: vec![1, 2, 3, 4, 5, 6], environment: environment() }).expect("written");
    for (run, gap) in [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.5), (5, 0.5), (6, 0.1 + 0.2)] {
        measure(&writer, run, gap);
    }
    for run in [1, 2, 3, 6] {
        end(&writer, run, STEPS, RunOutcome::Finished);
    }
    end(&writer, 4, 50, RunOutcome::Failed("judge table: p(a ≻ b) is 1.5, expected a number in [0, 1]".to_owned()));
    writer.close().expect("everything is written");
    record.end_runs(&[5], RunStatus::Interrupted, "stopped by the user").expect("a running run ends");
    record.release_lease(lease).expect("released");
    lab
}

/// One run whose process gave its lease back without ending it.
pub(crate) fn example_with_a_dead_run() -> Lab {
    let lab = Lab::new();
    let mut record = Record::open(&lab.path("lab.db"), OpenMode::Create).expect("a new record");
    plan(&mut record, "abandoned", &[("base", 1.0)], &[1]);
    let lease = record.acquire_lease().expect("a lease");
    record.start_runs(lease, &[1]).expect("a pending run starts");
    record.release_lease(lease).expect("released");
    lab
}

fn plan(record: &mut Record, experiment: &str, cells: &[(&str, f64)], seeds: &[u64]) {
    let cells = cells.iter().map(|(label, kappa)| NewCell {
        label: (*label).to_owned(),
        settings: vec![CellSetting {
            axis: 0,
            axis_name: "schedule.kappa.value".to_owned(),
            key: "schedule.kappa.value".to_owned(),
            value: ParameterValue::Float(*kappa),
        }],
        parameters: vec![
            ("method.name".to_owned(), ParameterValue::Text("stackelberg-gda".to_owned())),
            ("method.steps".to_owned(), ParameterValue::Integer(STEPS as i64)),
            ("schedule.kappa.value".to_owned(), ParameterValue::Float(*kappa)),
        ],
        plugins: vec![grant()],
        runs: seeds
            .iter()
            .map(|seed| NewRun {
                seed: *seed,
                content_hash: format!("{label}/{seed}"),
                steps: STEPS,
                answered_by: None,
            })
            .collect(),
    });
    let new = NewExecution {
        experiment: experiment.to_owned(),
        kind: "game".to_owned(),
        question: Some("Does κ matter?".to_owned()),
        toml: "kind = \"game\"\n".to_owned(),
        toml_path: None,
        content_hash: "0a".repeat(32),
        provenance: Provenance {
            command_line: "slhf-lab run cycle.toml".to_owned(),
            working_directory: "somewhere".to_owned(),
            host: "a-host".to_owned(),
            lab_version: "0.1.0".to_owned(),
            lab_sha256: "0b".repeat(32),
            worker_sha256: Some("0c".repeat(32)),
            source_commit: Some("0123456789".to_owned()),
            source_dirty: Some(false),
            software: vec![("libtorch".to_owned(), "2.11.0".to_owned())],
        },
        cells: cells.collect(),
    };
    let freeze = |runs: &[slhf_record::CreatedRun]| {
        Ok(vec![FrozenGroup { runs: runs.iter().map(|run| run.run).collect(), json: "{}".to_owned() }])
    };
    record.create_execution(&new, freeze).expect("a plan");
}

fn grant() -> PluginGrant {
    PluginGrant {
        role: "judge".to_owned(),
        name: "table".to_owned(),
        path: "plugins/table.wasm".to_owned(),
        sha256: "0d".repeat(32),
        capabilities: vec!["log".to_owned()],
        parameters: "{}".to_owned(),
        on_failure: Some(OnFailure::Abort),
        limits: Limits::default(),
    }
}

fn environment() -> Environment {
    Environment {
        device: "cpu".to_owned(),
        device_description: "a CPU".to_owned(),
        cpu_capability: "avx2".to_owned(),
        threads: 1,
        libtorch_version: "2.11.0".to_owned(),
        worker_sha256: "0c".repeat(32),
        mkl_cbwr: "AVX2,STRICT".to_owned(),
    }
}

fn measure(writer: &Writer, run: i64, gap: f64) {
    let keys = ["stackelberg_gap", "leader_gap", "entropy"];
    writer
        .write(MetricsBatch {
            keys: keys.map(ToOwned::to_owned).to_vec(),
            runs: vec![run, run],
            steps: vec![0, STEPS],
            values: vec![0.75, 0.5, 1.0, gap, gap / 2.0, 1.0],
        })
        .expect("written");
    if run == 6 {
        let keys = vec!["duality_gap".to_owned()];
        writer
            .write(MetricsBatch { keys, runs: vec![run], steps: vec![STEPS], values: vec![f64::NAN] })
            .expect("written");
    }
    let schedule = |step| ScheduleRow {
        run,
        step,
        kappa: 5.0,
        leader_learning_rate: 0.5 / step as f64,
        follower_learning_rate: 2.5 / step as f64,
        leader_updates: step,
        follower_updates: step,
    };
    writer.write(vec![schedule(1), schedule(STEPS)]).expect("written");
    let probability = |action: &str, value| EvaluationRow {
        run,
        step: STEPS,
        name: EvaluationName::Probability,
        subject: format!("leader/{action}"),
        value,
        interval: None,
        n: 0,
    };
    writer.write(vec![probability("rock", 0.25), probability("paper", 0.75)]).expect("written");
    writer
        .write(CheckpointWritten {
            runs: vec![run],
            step: STEPS,
            path: format!("checkpoints/{run}"),
            sha256: "0e".repeat(32),
            size_bytes: 128,
        })
        .expect("written");
    writer
        .write(PluginUse {
            runs: vec![run],
            role: "judge".to_owned(),
            name: "table".to_owned(),
            version: "0.1.0".to_owned(),
            wit_version: "0.1.0".to_owned(),
            sha256: "0d".repeat(32),
            calls: 1,
            items: 9,
            failed_items: 0,
            wall_ns: 1234,
            fuel: None,
            peak_memory_bytes: 65_536,
        })
        .expect("written");
    writer
        .write(RunCost {
            run,
            seconds: vec![("train".to_owned(), 0.25)],
            counts: Vec::new(),
            peak_memory_bytes: 1 << 20,
        })
        .expect("written");
}

fn end(writer: &Writer, run: i64, step: u64, outcome: RunOutcome) {
    writer.write(RunEnd { run, step, outcome }).expect("written");
}
