//! Durable metric values a second, and the queries behind `ls` and `compare` on 1,000 runs × 500 points × 20 keys.
//!
//! `cargo bench -p slhf-record --profile dev`. The file for the queries is made once and kept in the target folder.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use slhf_plan::MetricsBatch;
use slhf_record::{
    FrozenGroup, NewCell, NewExecution, NewRun, OpenMode, ParameterValue, Provenance, Record, RunFilter, Writer,
    WriterOptions,
};

const RUNS: usize = 1000;
const KEYS: usize = 20;

fn experiment(runs: usize) -> NewExecution {
    let cell = |cell: usize| NewCell {
        label: format!("cell {cell}"),
        settings: Vec::new(),
        parameters: vec![("kappa".to_owned(), ParameterValue::Float(cell as f64))],
        plugins: Vec::new(),
        runs: (0..20)
            .map(|seed| NewRun { seed, content_hash: format!("{cell}/{seed}"), steps: 500, answered_by: None })
            .collect(),
    };
    NewExecution {
        experiment: "bench".to_owned(),
        kind: "game".to_owned(),
        question: None,
        toml: String::new(),
        toml_path: None,
        content_hash: String::new(),
        provenance: Provenance::default(),
        cells: (0..runs / 20).map(cell).collect(),
    }
}

fn started(path: &Path, runs: usize) -> Result<(Record, Vec<i64>), Box<dyn Error>> {
    let mut record = Record::open(path, OpenMode::Create)?;
    let created = record.create_execution(&experiment(runs), |created| {
        Ok(vec![FrozenGroup { runs: created.iter().map(|run| run.run).collect(), json: "{}".to_owned() }])
    })?;
    let runs: Vec<i64> = created.runs.iter().map(|run| run.run).collect();
    let lease = record.acquire_lease()?;
    record.start_runs(lease, &runs)?;
    Ok((record, runs))
}

fn batch(runs: &[i64], step: u64) -> MetricsBatch {
    MetricsBatch {
        keys: (0..KEYS).map(|key| format!("metric_{key}")).collect(),
        runs: runs.to_vec(),
        steps: vec![step; runs.len()],
        values: (0..runs.len() * KEYS).map(|index| (index as f64 + step as f64).sqrt()).collect(),
    }
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (runs, steps) in [(1000, 10_u64), (20, 500)] {
        group.throughput(Throughput::Elements((runs * KEYS) as u64 * steps));
        group.bench_function(format!("durable metric values, {runs} runs × {steps} steps × {KEYS} keys"), |bencher| {
            bencher.iter_batched(
                || {
                    let folder = tempfile::tempdir().expect("a temporary folder");
                    let (record, runs) = started(&folder.path().join("lab.db"), runs).expect("a record");
                    let batches: Vec<MetricsBatch> = (0..steps).map(|step| batch(&runs, step)).collect();
                    (folder, record, batches)
                },
                |(folder, record, batches)| {
                    let writer = Writer::start(&record, &WriterOptions::default()).expect("a writer");
                    for batch in batches {
                        writer.write(batch).expect("a healthy writer");
                    }
                    writer.close().expect("a healthy writer");
                    (folder, record)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// 10 million values; about 200 MB.
fn filled() -> Result<PathBuf, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-1000x500x20.db");
    if !path.exists() {
        let part = path.with_extension("part");
        let (record, runs) = started(&part, RUNS)?;
        let writer = Writer::start(&record, &WriterOptions::default())?;
        for step in 0..500 {
            writer.write(batch(&runs, step))?;
        }
        writer.close()?;
        drop(record);
        std::fs::rename(part, &path)?;
    }
    Ok(path)
}

fn read(criterion: &mut Criterion) {
    let path = filled().expect("a filled record");
    let empty = tempfile::tempdir().expect("a temporary folder");
    let empty = empty.path().join("lab.db");
    drop(Record::open(&empty, OpenMode::Create).expect("a record"));
    let mut group = criterion.benchmark_group("read");
    group.sample_size(20);
    group.bench_function("open an empty record, look for dead runs, list nothing", |bencher| {
        bencher.iter(|| {
            let mut record = Record::open(&empty, OpenMode::Read).expect("a record");
            record.mark_dead_runs().expect("an answer");
            record.runs(&RunFilter::default()).expect("an answer")
        });
    });
    group.bench_function("open 1,000 × 500 × 20, ls", |bencher| {
        bencher.iter(|| {
            let mut record = Record::open(&path, OpenMode::Read).expect("a record");
            record.mark_dead_runs().expect("an answer");
            (record.runs(&RunFilter::default()).expect("an answer"), record.experiments().expect("an answer"))
        });
    });
    group.bench_function("open 1,000 × 500 × 20, compare", |bencher| {
        bencher.iter(|| {
            let mut record = Record::open(&path, OpenMode::Read).expect("a record");
            record.mark_dead_runs().expect("an answer");
            record.comparison("bench", None).expect("an answer")
        });
    });
    group.bench_function("open 1,000 × 500 × 20, one metric's history", |bencher| {
        bencher.iter(|| {
            let mut record = Record::open(&path, OpenMode::Read).expect("a record");
            record.metric_history(500, "metric_7").expect("an answer")
        });
    });
    group.finish();
}

criterion_group!(benches, write, read);
criterion_main!(benches);
