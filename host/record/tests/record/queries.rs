//! Free SQL and comparisons.

use slhf_plan::MetricsBatch;
use slhf_record::{Cell, ParameterValue, QueryLimits, RecordError, RunFilter, RunStatus, Writer, WriterOptions};

use crate::support::{Place, experiment, plan};

#[test]
fn an_answer_is_typed() {
    let place = Place::new();
    let mut record = place.create();
    let statement = "SELECT 1 AS i, 0.1 AS r, 'x' AS t, NULL AS n, x'01ff' AS b, 1e400 AS inf";
    let answer = record.query(statement, QueryLimits::default()).unwrap();
    assert_eq!(answer.columns, ["i", "r", "t", "n", "b", "inf"]);
    let expected = [
        Cell::Integer(1),
        Cell::Real(0.1),
        Cell::Text("x".to_owned()),
        Cell::Null,
        Cell::Blob(vec![1, 255]),
        Cell::Real(f64::INFINITY),
    ];
    assert_eq!(answer.rows, [expected]);
    let answer = record.query("SELECT run, status FROM runs", QueryLimits::default()).unwrap();
    assert_eq!((answer.columns.len(), answer.rows.len()), (2, 0));
}

#[test]
fn a_query_cannot_write() {
    let place = Place::new();
    let mut record = place.create();
    plan(&mut record, &experiment("cycle", &["a"], &[1]));
    for statement in [
        "DELETE FROM run",
        "WITH a AS (SELECT 1) DELETE FROM run",
        "SELECT 1; DELETE FROM run",
        "ATTACH 'other.db' AS other",
        "PRAGMA query_only = OFF",
        "CREATE TEMP TABLE x (y)",
        "VACUUM INTO 'copy.db'",
    ] {
        let error = record.query(statement, QueryLimits::default()).unwrap_err();
        assert!(matches!(error, RecordError::QueryRefused { .. }), "{statement}: {error}");
    }
    assert_eq!(record.runs(&RunFilter::default()).unwrap().len(), 1);
}

#[test]
fn a_wrong_query_says_what_sqlite_said() {
    let place = Place::new();
    let mut record = place.create();
    let error = record.query("SELECT missing FROM runs", QueryLimits::default()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "(code: 1) no such column: missing");
}

#[test]
fn an_endless_query_is_stopped_and_the_record_goes_on() {
    let place = Place::new();
    let mut record = place.create();
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let error = record.query(endless, QueryLimits { time_ms: 20, rows_max: 10, ..QueryLimits::default() }).unwrap_err();
    assert!(matches!(error, RecordError::QueryTooSlow { limit_ms: 20 }), "{error}");
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let error =
        record.query(many, QueryLimits { time_ms: 60_000, rows_max: 10, ..QueryLimits::default() }).unwrap_err();
    assert!(matches!(error, RecordError::QueryTooLarge { limit: 10 }), "{error}");
    assert_eq!(record.query("SELECT 7", QueryLimits::default()).unwrap().rows, [[Cell::Integer(7)]]);
}

#[test]
fn an_answer_has_a_limit_of_bytes() {
    let place = Place::new();
    let mut record = place.create();
    let limits = QueryLimits { bytes_max: 1 << 20, ..QueryLimits::default() };
    let of = |bytes: u32| format!("SELECT zeroblob({bytes} / 2) UNION ALL SELECT zeroblob({bytes} / 2)");
    assert_eq!(record.query(&of(1 << 20), limits).unwrap().rows.len(), 2);
    let error = record.query(&of((1 << 20) + 2), limits).unwrap_err();
    assert!(matches!(error, RecordError::QueryTooLong { limit_mib: 1 }), "{error}");
}

#[test]
fn a_comparison_shows_what_differs() {
    let place = Place::new();
    let mut record = place.create();
    plan(&mut record, &experiment("cycle", &["slow"], &[9]));
    let created = plan(&mut record, &experiment("cycle", &["slow", "fast"], &[2, 1]));
    let runs: Vec<i64> = created.runs.iter().map(|run| run.run).collect();
    let lease = record.acquire_lease().unwrap();
    record.start_runs(lease, &runs).unwrap();
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    let batch = MetricsBatch {
        keys: vec!["gap".to_owned(), "loss".to_owned()],
        steps: vec![3; runs.len()],
        values: runs.iter().flat_map(|run| [*run as f64, f64::NAN]).collect(),
        runs: runs.clone(),
    };
    writer.write(batch).unwrap();
    writer.close().unwrap();

    let comparison = record.comparison("cycle", None).unwrap();
    assert_eq!((comparison.execution, comparison.differing_keys.as_slice()), (2, &["schedule.kappa".to_owned()][..]));
    assert_eq!(comparison.metric_keys, ["gap", "loss"]);
    let labels: Vec<&str> = comparison.cells.iter().map(|cell| cell.label.as_str()).collect();
    assert_eq!(labels, ["slow", "fast"]);
    // Seed 1 was planned after seed 2 and comes first.
    assert_eq!(comparison.cells[1].values("gap"), [runs[3] as f64, runs[2] as f64]);
    assert_eq!(comparison.cells[1].parameters["schedule.kappa"], ParameterValue::Float(1.5));
    assert_eq!(comparison.cells[0].runs[0].summary.status, RunStatus::Running);
    assert_eq!(record.comparison("cycle", Some(1)).unwrap().cells.len(), 1);
    let error = record.comparison("circle", None).unwrap_err();
    assert_eq!(error.to_string(), "the record holds no experiment `circle`: it has cycle");
}
