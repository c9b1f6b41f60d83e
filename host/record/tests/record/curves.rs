//! Curves are drawn from buckets that say the same as the rows.

use std::collections::BTreeMap;

use slhf_plan::MetricsBatch;
use slhf_record::{Cell, CurvePoint, CurveQuery, DivergencePolicy, QueryLimits, Record, Writer, WriterOptions};

use crate::support::{Place, checkpoint, metric, running_run};

/// Values with extremes, repeats and what is not finite in them.
fn value(step: u64) -> f64 {
    match step % 97 {
        13 => f64::NAN,
        29 => f64::INFINITY,
        _ => ((step * 7919) % 1009) as f64 / 10.0 - 50.0,
    }
}

/// (width, bucket) → (last step, finite values, lowest, highest, sum, last).
type Buckets = BTreeMap<(i64, i64), (i64, i64, Option<f64>, Option<f64>, f64, Option<f64>)>;

fn stored(record: &mut Record, key: &str) -> Buckets {
    let statement = format!(
        "SELECT width, bucket, last_step, finite, low, high, total, last FROM metric_bucket \
         WHERE key = (SELECT id FROM metric_key WHERE name = '{key}')"
    );
    let integer = |cell: &Cell| match cell {
        Cell::Integer(value) => *value,
        other => panic!("{other:?}"),
    };
    let real = |cell: &Cell| match cell {
        Cell::Real(value) => Some(*value),
        Cell::Null => None,
        other => panic!("{other:?}"),
    };
    let rows = record.query(&statement, QueryLimits { rows_max: usize::MAX, ..QueryLimits::default() }).unwrap().rows;
    let bucket = |row: Vec<Cell>| {
        let sum =
            (integer(&row[2]), integer(&row[3]), real(&row[4]), real(&row[5]), real(&row[6]).unwrap(), real(&row[7]));
        ((integer(&row[0]), integer(&row[1])), sum)
    };
    rows.into_iter().map(bucket).collect()
}

/// From the rows alone.
fn expected(record: &mut Record, run: i64, key: &str) -> Buckets {
    let rows: Vec<(i64, f64)> =
        record.metric_history(run, key).unwrap().into_iter().map(|value| (value.step, value.value)).collect();
    let mut buckets = Buckets::new();
    for width in [16, 256, 4096] {
        for (bucket, part) in rows.chunks_exact(width).enumerate() {
            let finite: Vec<f64> = part.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
            let (step, last) = part[width - 1];
            let sum = (
                step,
                finite.len() as i64,
                finite.iter().copied().reduce(f64::min),
                finite.iter().copied().reduce(f64::max),
                finite.iter().sum(),
                last.is_finite().then_some(last),
            );
            buckets.insert((width as i64, bucket as i64), sum);
        }
    }
    buckets
}

#[track_caller]
fn assert_equal(record: &mut Record, run: i64, key: &str) {
    let (found, wanted) = (stored(record, key), expected(record, run, key));
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{key}");
    for (place, found) in found {
        let wanted = wanted[&place];
        assert!((found.4 - wanted.4).abs() < 1e-6, "{key} {place:?}: {found:?}, {wanted:?}");
        assert_eq!((found.0, found.1, found.2, found.3, found.5), (wanted.0, wanted.1, wanted.2, wanted.3, wanted.5));
    }
}

fn write(record: &Record, batches: impl IntoIterator<Item = MetricsBatch>) {
    let writer = Writer::start(record, &WriterOptions::default()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

/// A batch of several steps.
fn steps(run: i64, key: &str, steps: impl Iterator<Item = u64>) -> MetricsBatch {
    let steps: Vec<u64> = steps.collect();
    let values = steps.iter().map(|step| value(*step)).collect();
    MetricsBatch { keys: vec![key.to_owned()], runs: vec![run; steps.len()], steps, values }
}

#[test]
fn buckets_say_what_the_rows_say_however_the_rows_came() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    // Commits that end within buckets of every width, some by writers that begin anew.
    let mut from = 0;
    for length in [1, 14, 1, 1, 238, 3, 3838, 15, 700, 1, 4000] {
        write(&record, [steps(run, "dense", from..from + length)]);
        from += length;
    }
    assert_equal(&mut record, run, "dense");
    // A metric of every tenth step beside it, and one that has never been finite.
    write(&record, (0..60).map(|part| steps(run, "sparse", (part * 10..part * 10 + 10).map(|step| step * 10))));
    assert_equal(&mut record, run, "sparse");
    write(&record, (0..40).map(|step| metric(run, step, "none", f64::NAN)));
    assert_equal(&mut record, run, "none");
    assert_eq!(stored(&mut record, "none").len(), 2);
}

/// Rows that a resume brings for steps that lie before others, and rows that are set aside.
#[test]
fn buckets_follow_rows_that_are_filled_in_and_set_aside() {
    let place = Place::new();
    let mut record = place.create();
    let (run, lease) = running_run(&mut record);
    write(&record, [steps(run, "gap", 0..500)]);
    let written = checkpoint(&mut record, run, 100);
    {
        let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
        writer.write(written).unwrap();
        writer.close().unwrap();
    }
    let _ = lease;
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.resume(&[run], DivergencePolicy::Allow { reason: "another machine".to_owned() }).unwrap();
    writer.write(steps(run, "other", 101..140)).unwrap();
    writer.write(steps(run, "gap", 101..140)).unwrap();
    writer.write(metric(run, 140, "gap", 1e6)).unwrap();
    for part in [141..150, 150..300, 300..700] {
        writer.write(steps(run, "gap", part)).unwrap();
        writer.flush().unwrap();
    }
    writer.write(metric(run, 7, "other", 3.0)).unwrap();
    writer.close().unwrap();
    assert_equal(&mut record, run, "gap");
    assert_equal(&mut record, run, "other");
    assert!(stored(&mut record, "gap").values().any(|bucket| bucket.3 == Some(1e6)));
}

#[test]
fn a_curve_has_at_most_so_many_points_and_loses_no_extreme() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    write(&record, [steps(run, "long", 0..10_007)]);
    write(&record, [steps(run, "short", 0..100)]);
    let rows: Vec<(i64, f64)> = record
        .metric_history(run, "long")
        .unwrap()
        .into_iter()
        .map(|value| (value.step, value.value))
        .filter(|(_, value)| value.is_finite())
        .collect();
    let ends = rows.iter().fold((f64::MAX, f64::MIN), |(low, high), (_, value)| (low.min(*value), high.max(*value)));
    for (points_max, points) in [(20_000, rows.len()), (1000, 625), (625, 625), (624, 39), (10, 2)] {
        let curves = record.curves(&[run], &CurveQuery::new(&["long", "short", "unknown"], points_max)).unwrap();
        assert_eq!(curves.len(), 2, "{points_max}");
        let curve: &Vec<CurvePoint> = &curves[&(run, "long".to_owned())];
        // What is behind the last whole bucket comes finer.
        assert!((points..points + 32).contains(&curve.len()), "{points_max}: {} points", curve.len());
        let low = curve.iter().map(|point| point.low).fold(f64::MAX, f64::min);
        let high = curve.iter().map(|point| point.high).fold(f64::MIN, f64::max);
        assert_eq!((low, high), ends, "{points_max}");
        assert_eq!(curve.iter().map(|point| point.values).sum::<i64>(), rows.len() as i64, "{points_max}");
        let total: f64 = curve.iter().map(|point| point.total).sum();
        assert!((total - rows.iter().map(|(_, value)| value).sum::<f64>()).abs() < 1e-6, "{points_max}");
        assert!(curve.is_sorted_by_key(|point| point.step), "{points_max}");
        assert_eq!(curve.last().map(|point| (point.step, point.last)), rows.last().copied(), "{points_max}");
    }
    let curve = &record.curves(&[run], &CurveQuery::new(&["short"], 5)).unwrap()[&(run, "short".to_owned())];
    assert!(curve.len() < 16, "{}", curve.len());
    // Of some steps alone: no more points than asked for, and none from elsewhere but what the first bucket holds.
    for (steps, points) in [(3000..=5000, 125), (3000..=3100, 100), (9_990..=10_500, 17)] {
        let query = CurveQuery { keys: &["long"], points_max: 1000, steps: steps.clone() };
        let curve = &record.curves(&[run], &query).unwrap()[&(run, "long".to_owned())];
        assert!(curve.iter().all(|point| steps.contains(&point.step)), "{steps:?}: {curve:?}");
        assert!(curve.len().abs_diff(points) < 16, "{steps:?}: {} points", curve.len());
        let last = rows.iter().rev().find(|(step, _)| steps.contains(step)).copied();
        assert_eq!(curve.last().map(|point| (point.step, point.last)), last, "{steps:?}");
    }
}

/// A run that has every metric at every step, one that lacks some, and steps beyond what is packed: all rows come, in their order.
#[test]
fn every_value_of_a_run_is_visited() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let both = |step: u64| MetricsBatch {
        keys: vec!["b".to_owned(), "a".to_owned()],
        runs: vec![run],
        steps: vec![step],
        values: vec![value(step), value(step + 13)],
    };
    write(&record, (0..150).map(both));
    assert_all_visited(&mut record, run);
    write(&record, [metric(run, 150, "a", f64::NEG_INFINITY), metric(run, 1 << 45, "b", 0.5)]);
    write(&record, [metric(run, i64::MAX as u64, "a", f64::NAN)]);
    assert_all_visited(&mut record, run);
    // As many values as a grid of two metrics at two steps has, and none.
    let (other, _) = {
        let place = Place::new();
        let mut record = place.create();
        let (run, _) = running_run(&mut record);
        write(
            &record,
            [metric(run, 1, "a", 1.0), metric(run, 2, "a", 2.0), metric(run, 3, "b", 3.0), metric(run, 4, "b", 4.0)],
        );
        assert_all_visited(&mut record, run);
        (run, place)
    };
    assert_eq!(other, run);
}

#[track_caller]
fn assert_all_visited(record: &mut Record, run: i64) {
    let names: BTreeMap<i64, String> = record.metric_names().unwrap().into_iter().collect();
    let mut visited = Vec::new();
    record
        .each_metric::<slhf_record::RecordError>(run, |point| {
            visited.push((names[&point.key].clone(), point.step, point.value.to_bits()));
            Ok(())
        })
        .unwrap();
    let mut sorted = visited.clone();
    sorted.sort_by_key(|(_, step, _)| *step);
    assert_eq!(sorted, visited, "by step");
    let mut expected: Vec<_> = record
        .metric_histories(run)
        .unwrap()
        .into_iter()
        .map(|value| (value.key, value.step, value.value.to_bits()))
        .collect();
    visited.sort();
    expected.sort();
    assert_eq!(visited, expected);
}
