//! What went in comes out.

use proptest::prelude::*;
use slhf_plan::{EvaluationName, EvaluationRow, MetricsBatch, ScheduleRow};
use slhf_record::{NewExecution, ParameterValue, Writer, WriterOptions};

use crate::support::{Place, experiment, metric, plan, running_run};

/// NaN and zero have one form in SQLite; every other value keeps its bits.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a == 0.0 && b == 0.0)
}

fn round_trip(values: &[f64]) {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    let steps: Vec<u64> = (0..values.len() as u64).collect();
    let batch =
        MetricsBatch { keys: vec!["gap".to_owned()], runs: vec![run; values.len()], steps, values: values.to_vec() };
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let stored = record.metric_history(run, "gap").unwrap();
    assert_eq!(stored.len(), values.len());
    for (stored, value) in stored.iter().zip(values) {
        assert!(same(stored.value, *value), "{value:?} ({:x}) became {:?}", value.to_bits(), stored.value);
    }
}

#[test]
fn special_numbers_come_back() {
    round_trip(&[
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        2.225_073_858_507_201e-308,
        f64::MAX,
        f64::MIN,
        0.1,
        1.0 / 3.0,
        0.1 + 0.2,
        1.0,
        -3.0,
        9_007_199_254_740_993.0,
        1e300,
        0.0,
        -0.0,
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_comes_back(values in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..300)) {
        round_trip(&values);
    }
}

#[test]
fn the_latest_value_is_that_of_the_last_step() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    for step in 0..5 {
        writer.write(metric(run, step, "gap", 1.0 / (step + 1) as f64)).unwrap();
        if step == 2 {
            writer.flush().unwrap();
        }
    }
    writer.write(metric(run, 3, "loss", f64::NAN)).unwrap();
    writer.close().unwrap();
    let latest = record.latest_metrics(run).unwrap();
    let told: Vec<(&str, i64, String)> =
        latest.iter().map(|metric| (metric.key.as_str(), metric.step, metric.value.to_string())).collect();
    assert_eq!(told, [("gap", 4, "0.2".to_owned()), ("loss", 3, "NaN".to_owned())]);
}

#[test]
fn schedules_and_evaluations_come_back() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    let schedule = ScheduleRow {
        run,
        step: 1,
        kappa: 5.0,
        leader_learning_rate: 0.1,
        follower_learning_rate: f64::NAN,
        leader_updates: 1,
        follower_updates: 0,
    };
    writer.write(vec![schedule]).unwrap();
    let evaluation = EvaluationRow {
        run,
        step: 10,
        name: EvaluationName::Probability,
        subject: "leader/rock".to_owned(),
        value: 0.3,
        interval: Some((0.2, 0.4)),
        n: 100,
    };
    writer.write(vec![evaluation.clone()]).unwrap();
    writer.close().unwrap();

    let stored = record.schedule(run).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].kappa, stored[0].follower_learning_rate), (Some(5.0), None));
    let stored = record.latest_evaluations(run).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].subject.as_str(), stored[0].low, stored[0].n), ("leader/rock", Some(0.2), 100));
}

#[test]
fn parameters_keep_their_types() {
    let place = Place::new();
    let mut record = place.create();
    let parameters = vec![
        ("a.boolean".to_owned(), ParameterValue::Boolean(true)),
        ("b.integer".to_owned(), ParameterValue::Integer(i64::MIN)),
        ("c.float".to_owned(), ParameterValue::Float(3.0)),
        ("d.infinite".to_owned(), ParameterValue::Float(f64::INFINITY)),
        ("e.text".to_owned(), ParameterValue::Text("17".to_owned())),
        ("f.json".to_owned(), ParameterValue::Json("[1,2]".to_owned())),
        ("g.none".to_owned(), ParameterValue::None),
    ];
    let mut new: NewExecution = experiment("types", &["only"], &[7]);
    new.cells[0].parameters.clone_from(&parameters);
    let run = plan(&mut record, &new).runs[0].run;
    let mut expected = parameters;
    expected.push(("seed".to_owned(), ParameterValue::Integer(7)));
    assert_eq!(record.parameters(run).unwrap(), expected);
}
