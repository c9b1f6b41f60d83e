//! Ten million metric values into Parquet.

#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed")]

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use slhf_export::{Column, Kind, Table, TableFormat, TableWriter, Value};

const ROWS: i64 = 1_000_000;

fn metrics(criterion: &mut Criterion) {
    let column = |name, kind| Column { name, kind };
    let columns = vec![
        column("run", Kind::Integer),
        column("step", Kind::Integer),
        column("key", Kind::Text),
        column("value", Kind::Number),
    ];
    let table = Table { name: "metrics", columns };
    let names: Vec<Value> = (0..10).map(|number| Value::text(format!("metric-{number}"))).collect();
    criterion.bench_function("a million metric values into Parquet", |bencher| {
        bencher.iter_custom(|times| {
            let begun = Instant::now();
            for _ in 0..times {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("metrics.parquet");
                let mut writer = TableWriter::create(&path, &table, TableFormat::Parquet).unwrap();
                for row in 0..ROWS {
                    let name = names[usize::try_from(row % 10).unwrap()].clone();
                    let value = Value::Number(f64::from_bits(0x3ff0_0000_0000_0000 + row.cast_unsigned() * 77));
                    writer.row(&[Value::Integer(row / 100_000), Value::Integer(row / 10), name, value]).unwrap();
                }
                writer.finish().unwrap();
            }
            begun.elapsed()
        });
    });
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = metrics }
criterion_main!(benches);
