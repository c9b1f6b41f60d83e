//! Builds a record of a given size: `cargo run -p slhf-record --example fill -- PATH RUNS POINTS KEYS`.
//!
//! 20 seeds a cell; every metric is recorded every 10 steps. Prints how fast the values became durable and how many
//! bytes one takes.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use slhf_plan::MetricsBatch;
use slhf_record::{
    CellSetting, FrozenGroup, NewCell, NewExecution, NewRun, OpenMode, ParameterValue, Provenance, Record, RunStatus,
    Writer, WriterOptions,
};

const SEEDS: usize = 20;

#[expect(clippy::print_stdout, reason = "an example's result")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, runs, points, keys] = arguments.as_slice() else {
        return Err("usage: fill PATH RUNS POINTS KEYS".into());
    };
    let (path, runs, points, keys) =
        (PathBuf::from(path), runs.parse::<usize>()?, points.parse::<u64>()?, keys.parse::<usize>()?);
    let mut record = Record::open(&path, OpenMode::Create)?;
    let new = experiment(runs);
    let created = record.create_execution(&new, |created| {
        Ok(vec![FrozenGroup { runs: created.iter().map(|run| run.run).collect(), json: "{}".to_owned() }])
    })?;
    let numbers: Vec<i64> = created.runs.iter().map(|run| run.run).collect();
    let lease = record.acquire_lease()?;
    record.start_runs(lease, &numbers)?;

    let start = Instant::now();
    let writer = Writer::start(&record, &WriterOptions { lease: Some(lease), ..WriterOptions::default() })?;
    let names: Vec<String> = (0..keys).map(|key| format!("metric_{key:02}")).collect();
    for point in 0..points {
        writer.write(batch(&names, &numbers, point))?;
    }
    writer.close()?;
    let seconds = start.elapsed().as_secs_f64();
    record.end_runs(&numbers, RunStatus::Finished, "filled")?;
    record.release_lease(lease)?;
    drop(record);

    let values = numbers.len() as f64 * points as f64 * keys as f64;
    let bytes = std::fs::metadata(&path)?.len() as f64;
    println!(
        "{values} values durable in {seconds:.2} s: {:.0} values/s; {:.1} bytes a value, {:.0} MB",
        values / seconds,
        bytes / values,
        bytes / 1e6
    );
    Ok(())
}

fn batch(names: &[String], runs: &[i64], point: u64) -> MetricsBatch {
    let values = runs
        .iter()
        .flat_map(|run| (0..names.len()).map(move |key| (*run as f64 * 31.0 + key as f64).sin() / (point + 1) as f64))
        .collect();
    MetricsBatch { keys: names.to_vec(), runs: runs.to_vec(), steps: vec![point * 10; runs.len()], values }
}

fn experiment(runs: usize) -> NewExecution {
    let cells = (0..runs.div_ceil(SEEDS))
        .map(|cell| {
            let kappa = ParameterValue::Float(cell as f64);
            NewCell {
                label: format!("kappa={cell}"),
                settings: vec![CellSetting {
                    axis: 0,
                    axis_name: "schedule.kappa.value".to_owned(),
                    key: "schedule.kappa.value".to_owned(),
                    value: kappa.clone(),
                }],
                parameters: vec![
                    ("schedule.kappa.value".to_owned(), kappa),
                    ("method.name".to_owned(), ParameterValue::Text("stackelberg-gda".to_owned())),
                ],
                plugins: Vec::new(),
                runs: (0..SEEDS.min(runs - cell * SEEDS))
                    .map(|seed| NewRun {
                        seed: seed as u64,
                        content_hash: format!("{cell}/{seed}"),
                        steps: 10_000,
                        answered_by: None,
                    })
                    .collect(),
            }
        })
        .collect();
    NewExecution {
        experiment: "filled".to_owned(),
        kind: "game".to_owned(),
        question: Some("How fast is a full record?".to_owned()),
        toml: String::new(),
        toml_path: None,
        content_hash: String::new(),
        provenance: Provenance::default(),
        cells,
    }
}
