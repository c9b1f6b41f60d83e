//! A writer that is killed at any moment leaves a record that opens and holds all it had acknowledged.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use slhf_record::{OpenMode, QueryLimits, Record, RunStatus, Writer, WriterOptions};

use crate::support::{Place, metric, running_run};

const PATH: &str = "SLHF_RECORD_TEST_PATH";

/// The process that is killed (without the variable it is nobody's child and has nothing to do): flushes after every few steps and says which step is durable.
#[test]
fn writing_child() {
    let Ok(path) = std::env::var(PATH) else { return };
    let mut record = Record::open(path.as_ref(), OpenMode::Create).unwrap();
    let (run, lease) = running_run(&mut record);
    let options = WriterOptions { commit_interval_ms: 2, lease: Some(lease), ..WriterOptions::default() };
    let writer = Writer::start(&record, &options).unwrap();
    for step in 0.. {
        writer.write(metric(run, step, "gap", step as f64)).unwrap();
        if step % 5 == 0 {
            writer.flush().unwrap();
            println!("durable {run} {step}");
        }
    }
}

/// Kills the child after it acknowledged `acknowledgements` flushes; returns its run and the last acknowledged step.
fn killed_after(place: &Place, acknowledgements: usize) -> (i64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::writing_child", "--exact", "--nocapture"])
        .env(PATH, place.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = lines.map(Result::unwrap).filter_map(|line| {
        let (run, step) = line.strip_prefix("durable ")?.split_once(' ')?;
        Some((run.parse::<i64>().unwrap(), step.parse::<u64>().unwrap()))
    });
    let last = acknowledged.nth(acknowledgements).unwrap();
    child.kill().unwrap();
    // What it still managed to say between our reading and its end counts as well.
    let last = acknowledged.last().unwrap_or(last);
    child.wait().unwrap();
    last
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let place = Place::new();
    for acknowledgements in [0, 1, 3, 7, 20, 50] {
        let (run, step) = killed_after(&place, acknowledgements);
        let mut record = place.read();
        let dead = record.mark_dead_runs().unwrap();
        assert_eq!(dead.iter().map(|dead| dead.run).collect::<Vec<_>>(), [run]);
        let history = record.metric_history(run, "gap").unwrap();
        assert!(history.len() as u64 > step, "{} values, {step} was acknowledged", history.len());
        for (index, value) in history.iter().enumerate() {
            assert_eq!((value.step, value.value.to_bits()), (index as i64, (index as f64).to_bits()));
        }
        assert_eq!(record.latest_metrics(run).unwrap()[0].step, history.len() as i64 - 1);
        assert_eq!(record.resolve_run("latest").unwrap().status, RunStatus::Interrupted);
        let answer = record.query("SELECT * FROM pragma_integrity_check", QueryLimits::default()).unwrap();
        assert_eq!(format!("{:?}", answer.rows), "[[Text(\"ok\")]]");
    }
}

#[test]
fn two_processes_write_at_once() {
    let place = Place::new();
    place.create();
    let outcomes = std::thread::scope(|scope| {
        let children: Vec<_> = (0..2).map(|_| scope.spawn(|| killed_after(&place, 30))).collect();
        children.into_iter().map(|child| child.join().unwrap()).collect::<Vec<_>>()
    });
    let mut record = place.read();
    assert_ne!(outcomes[0].0, outcomes[1].0);
    for (run, step) in outcomes {
        assert!(record.metric_history(run, "gap").unwrap().len() as u64 > step);
    }
}
