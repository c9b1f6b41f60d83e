//! Steps that a resumed run computes again.

use slhf_plan::{RunEnd, RunOutcome, ScheduleRow};
use slhf_record::{DivergencePolicy, Lease, QueryLimits, Record, RecordError, RunStatus, Writer, WriterOptions};

use crate::support::{Place, checkpoint, metric, running_run};

/// A run that computed steps 0 to 9 (gap = step), wrote a checkpoint at step 5 and died; started again.
fn interrupted(record: &mut Record) -> (i64, Lease) {
    let (run, lease) = running_run(record);
    let writer = Writer::start(record, &WriterOptions::default()).unwrap();
    for step in 0..10 {
        writer.write(metric(run, step, "gap", step as f64)).unwrap();
        writer.write(vec![schedule(run, step, 5.0)]).unwrap();
        if step == 5 {
            writer.write(checkpoint(record, run, step)).unwrap();
        }
    }
    writer.close().unwrap();
    record.end_runs(&[run], RunStatus::Interrupted, "killed").unwrap();
    record.start_runs(lease, &[run]).unwrap();
    (run, lease)
}

fn schedule(run: i64, step: u64, kappa: f64) -> ScheduleRow {
    ScheduleRow {
        run,
        step,
        kappa,
        leader_learning_rate: 0.1,
        follower_learning_rate: 0.5,
        leader_updates: step,
        follower_updates: step,
    }
}

fn history(record: &mut Record, run: i64) -> Vec<(i64, f64)> {
    record.metric_history(run, "gap").unwrap().into_iter().map(|value| (value.step, value.value)).collect()
}

#[test]
fn a_resume_starts_at_the_last_checkpoint() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = interrupted(&mut record);
    let found = record.search_checkpoints().unwrap().find(&mut record, run).unwrap();
    let path = place.folder.path().join("lab.db-checkpoints/checkpoint-5").display().to_string();
    assert_eq!(found.point.map(|point| (point.step, point.path)), Some((5, path)));
    assert_eq!(found.refused, []);
}

#[test]
fn equal_steps_are_silent() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = interrupted(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.resume(&[run], DivergencePolicy::Refuse).unwrap();
    for step in 6..12 {
        writer.write(metric(run, step, "gap", step as f64)).unwrap();
        writer.write(vec![schedule(run, step, 5.0)]).unwrap();
    }
    writer.write(RunEnd { run, step: 11, outcome: RunOutcome::Finished }).unwrap();
    writer.close().unwrap();
    let expected: Vec<(i64, f64)> = (0..12).map(|step| (step, step as f64)).collect();
    assert_eq!(history(&mut record, run), expected);
    assert_eq!(record.schedule(run).unwrap().len(), 12);
    assert_eq!(record.resolve_run("latest").unwrap().status, RunStatus::Finished);
}

#[test]
fn another_number_fails_the_run_and_changes_nothing_stored() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = interrupted(&mut record);
    let before = history(&mut record, run);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.resume(&[run], DivergencePolicy::Refuse).unwrap();
    for step in 6..9 {
        writer.write(metric(run, step, "gap", if step < 7 { step as f64 } else { 0.1 + 0.2 })).unwrap();
    }
    writer.flush().unwrap();
    let error = writer.write(metric(run, 9, "gap", 9.0)).unwrap_err();
    let said = format!(
        "run {run} came out differently after its resume: metric gap at step 7 was 7.0, now it is \
         0.30000000000000004; allow it with --allow-divergence (the old steps stay stored, marked as superseded), or \
         run it anew"
    );
    assert_eq!(error.to_string(), said);
    assert!(matches!(error, RecordError::Diverged(_)));
    writer.write(RunEnd { run, step: 9, outcome: RunOutcome::Finished }).unwrap();
    writer.close().unwrap();
    assert_eq!(history(&mut record, run), before);
    let summary = record.resolve_run("latest").unwrap();
    assert_eq!((summary.status, summary.reason), (RunStatus::Failed, Some(said)));
}

#[test]
fn the_schedule_and_the_last_bit_are_compared_too() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = interrupted(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.resume(&[run], DivergencePolicy::Refuse).unwrap();
    writer.write(vec![schedule(run, 8, f64::from_bits(5.0_f64.to_bits() + 1))]).unwrap();
    writer.flush().unwrap();
    let divergences = writer.divergences();
    assert_eq!((divergences[0].step, divergences[0].what.as_str()), (8, "the schedule's kappa"));
    assert_eq!(divergences[0].computed, "5.000000000000001");
}

#[test]
fn an_allowed_difference_keeps_the_old_steps_as_superseded() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = interrupted(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    let reason = "another CPU".to_owned();
    writer.resume(&[run], DivergencePolicy::Allow { reason }).unwrap();
    writer.write(metric(run, 6, "gap", 6.0)).unwrap();
    writer.write(metric(run, 7, "gap", 7.5)).unwrap();
    writer.flush().unwrap();
    // What lies beyond is of the old course and is gone from the view already.
    let expected: Vec<(i64, f64)> = (0..7).map(|step| (step, step as f64)).chain([(7, 7.5)]).collect();
    assert_eq!(history(&mut record, run), expected);
    assert_eq!(record.latest_metrics(run).unwrap()[0].value, 7.5);
    for step in 8..12 {
        writer.write(metric(run, step, "gap", step as f64 + 0.5)).unwrap();
    }
    writer.write(RunEnd { run, step: 11, outcome: RunOutcome::Finished }).unwrap();
    writer.close().unwrap();
    assert_eq!(history(&mut record, run).last(), Some(&(11, 11.5)));
    assert_eq!(record.latest_metrics(run).unwrap()[0].value, 11.5);

    let statement = "SELECT step, value FROM superseded_metrics ORDER BY step";
    let answer = record.query(statement, QueryLimits::default()).unwrap();
    assert_eq!(
        format!("{:?}", answer.rows),
        "[[Integer(7), Real(7.0)], [Integer(8), Real(8.0)], [Integer(9), Real(9.0)]]"
    );
    let changes = record.state_changes(run).unwrap();
    let change = changes.iter().find(|change| change.from_status == Some(change.to_status.clone())).unwrap();
    assert_eq!(change.step, Some(7));
    assert_eq!(
        change.reason.as_deref(),
        Some(
            "the resume came out differently from step 7 on (metric gap was 7.0, now 7.5): another CPU; the old steps \
             are kept as superseded"
        )
    );
}

#[test]
fn two_values_of_one_metric_at_one_step_are_an_error() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.write(metric(run, 1, "gap", 1.0)).unwrap();
    writer.write(metric(run, 1, "gap", 1.0)).unwrap();
    writer.flush().unwrap();
    writer.write(metric(run, 2, "gap", 1.0)).unwrap();
    writer.write(metric(run, 2, "gap", 2.0)).unwrap();
    assert!(writer.flush().is_err());
    let error = writer.close().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, format!("the worker said two different values of one metric for run {run} at step 2"));
}

#[test]
fn a_run_that_is_not_in_the_record_is_an_error_that_surfaces() {
    let place = Place::new();
    let record = place.create();
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.write(metric(77, 1, "gap", 1.0)).unwrap();
    assert!(writer.flush().is_err());
    assert!(matches!(writer.write(metric(77, 2, "gap", 1.0)), Err(RecordError::WriterStopped { .. })));
}
