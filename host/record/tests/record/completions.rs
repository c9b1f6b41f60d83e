//! Completions, artefacts, counted costs, and which metrics a resume does not compare.

use slhf_plan::{
    ArtefactWritten, CompletionRow, Message, PairVerdict, PromptId, Role, RunCost, TrainingVerdict, VerdictAttribute,
};
use slhf_record::{DivergencePolicy, QueryLimits, Record, RunStatus, Writer, WriterOptions};

use crate::support::{Place, metric, running_run};

fn prompt_id() -> PromptId {
    PromptId::new(&[Message { role: "user".to_owned(), content: "Say it's \"so\".".to_owned() }], "{}", 0)
}

fn said(run: i64, step: u64, position: u32, role: &str, text: &str) -> CompletionRow {
    CompletionRow {
        run,
        step,
        position,
        role: Role::parse(role),
        round: u32::from(role.ends_with("follower")),
        prompt_id: prompt_id(),
        prompt: "Say it's \"so\".".to_owned(),
        text: text.to_owned(),
        finished: true,
        tokens: 3,
        probability: Some(0.1 + 0.2),
        attributes: vec![
            VerdictAttribute { name: "brevity".to_owned(), value: 0.75, reason: "3 words".to_owned() },
            VerdictAttribute { name: "content".to_owned(), value: f64::NAN, reason: String::new() },
        ],
        reward: None,
        verdicts: Vec::new(),
    }
}

fn writer(record: &Record) -> Writer {
    Writer::start(record, &WriterOptions::default()).unwrap()
}

/// Steps 1 and 2 are stored; the run was interrupted and goes on.
fn resumed(record: &mut Record, policy: DivergencePolicy) -> (i64, Writer) {
    let (run, lease) = running_run(record);
    let first = writer(record);
    for step in [1, 2] {
        first.write(metric(run, step, "step_time", 1.0)).unwrap();
        first.write(vec![said(run, step, 0, "leader", "yes"), said(run, step, 1, "follower", "no")]).unwrap();
    }
    first.close().unwrap();
    record.end_runs(&[run], RunStatus::Interrupted, "killed").unwrap();
    record.start_runs(lease, &[run]).unwrap();
    let second = writer(record);
    second.resume(&[run], policy).unwrap();
    (run, second)
}

#[test]
fn completions_come_back_with_their_reasons() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = writer(&record);
    let rewarded = |reward, row| CompletionRow { reward: Some(reward), ..row };
    let rows = vec![
        rewarded(Ok(-2.5), said(run, 1, 0, "leader", "yes\n\0")),
        rewarded(Err("no words".to_owned()), said(run, 1, 1, "follower", "")),
    ];
    // An evaluation of the same step numbers its own rows from 0.
    writer.write(vec![said(run, 1, 0, "held-out/leader", "held out")]).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    let found = record.completions(run, 1).unwrap();
    let seen: Vec<(String, &str)> = found.iter().map(|row| (row.role.to_string(), row.text.as_str())).collect();
    let expected = [("leader", "yes\n\0"), ("follower", ""), ("held-out/leader", "held out")];
    assert_eq!(seen, expected.map(|(role, text)| (role.to_owned(), text)));
    assert!(found.iter().all(|row| row.prompt_id == Some(prompt_id())));
    assert_eq!(found[0].probability, Some(0.1 + 0.2));
    let rewards: Vec<_> = found.iter().map(|row| (row.reward, row.reward_failure.as_deref())).collect();
    assert_eq!(rewards, [(Some(-2.5), None), (None, Some("no words")), (None, None)]);
    let attributes = &found[0].attributes;
    assert_eq!(attributes[0], ("brevity".to_owned(), Some(0.75), "3 words".to_owned()));
    assert_eq!(attributes[1].1, None, "SQLite has no NaN");
    assert_eq!(record.completion_steps(run).unwrap(), [1]);
    let sql = "SELECT attribute FROM completion_attributes WHERE role = 'leader' AND value > 0.5";
    assert_eq!(record.query(sql, QueryLimits::default()).unwrap().rows.len(), 1);
}

#[test]
fn the_same_completions_again_are_silent_and_measured_times_are_not_compared() {
    let place = Place::new();
    let mut record = place.create();
    let (run, writer) = resumed(&mut record, DivergencePolicy::Refuse);
    writer.write(metric(run, 2, "step_time", 9.0)).unwrap();
    writer.write(vec![said(run, 2, 0, "leader", "yes"), said(run, 2, 1, "follower", "no")]).unwrap();
    for key in ["timing/train", "perf/tokens_per_second", "memory/peak_bytes"] {
        writer.write(metric(run, 2, key, 1.0)).unwrap();
    }
    writer.flush().unwrap();
    assert!(writer.divergences().is_empty());
    writer.close().unwrap();
    assert_eq!(record.metric_history(run, "step_time").unwrap()[1].value, 1.0, "what was measured first stays");
    assert_eq!(record.completions(run, 2).unwrap().len(), 2);
}

#[test]
fn another_text_is_a_divergence() {
    let place = Place::new();
    let mut record = place.create();
    let (run, writer) = resumed(&mut record, DivergencePolicy::Refuse);
    writer.write(vec![said(run, 2, 0, "leader", "maybe")]).unwrap();
    writer.flush().unwrap();
    let divergences = writer.divergences();
    assert_eq!((divergences[0].step, divergences[0].stored.as_str()), (2, "\"yes\""));
    assert_eq!(divergences[0].what, "the text of the leader's completion 0");
    writer.close().unwrap();
    assert_eq!(record.completions(run, 2).unwrap()[0].text, "yes");
}

#[test]
fn an_allowed_divergence_keeps_the_old_texts() {
    let place = Place::new();
    let mut record = place.create();
    let (run, writer) = resumed(&mut record, DivergencePolicy::Allow { reason: "another CPU".to_owned() });
    writer.write(vec![said(run, 1, 0, "leader", "maybe")]).unwrap();
    writer.write(vec![said(run, 2, 0, "leader", "never")]).unwrap();
    writer.close().unwrap();
    assert_eq!(record.completions(run, 1).unwrap()[0].text, "maybe");
    assert_eq!(record.completions(run, 2).unwrap().len(), 1, "the old step lies beyond the first that differs");
    let sql = "SELECT step, text FROM superseded_completions ORDER BY step, position";
    let old = record.query(sql, QueryLimits::default()).unwrap();
    assert_eq!(
        format!("{:?}", old.rows),
        "[[Integer(1), Text(\"yes\")], [Integer(2), Text(\"yes\")], [Integer(2), Text(\"no\")]]"
    );
}

/// Answers of one policy with the verdicts of both orders, one of which failed; there was nothing to say of the third.
fn compared(run: i64, step: u64, won: f64) -> Vec<CompletionRow> {
    let shorter =
        VerdictAttribute { name: "brevity".to_owned(), value: 0.75, reason: "the first is shorter".to_owned() };
    let said = PairVerdict { probability: won, attributes: vec![shorter] };
    let verdicts = [
        vec![
            TrainingVerdict { second: 1, outcome: Ok(said) },
            TrainingVerdict { second: 2, outcome: Err("late".to_owned()) },
        ],
        vec![TrainingVerdict { second: 0, outcome: Ok(PairVerdict { probability: 0.5, attributes: Vec::new() }) }],
        Vec::new(),
    ];
    let row = |(position, verdicts)| CompletionRow {
        probability: None,
        attributes: Vec::new(),
        verdicts,
        ..said_nothing(run, step, position)
    };
    (0..).zip(verdicts).map(row).collect()
}

fn said_nothing(run: i64, step: u64, position: u32) -> CompletionRow {
    said(run, step, position, "leader", ["a", "b", "c"][position as usize])
}

#[test]
fn both_orders_of_a_pair_come_back_as_they_were_asked() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = writer(&record);
    writer.write(compared(run, 1, 0.9)).unwrap();
    // Held-out completions of the step have positions of their own.
    writer.write(vec![said(run, 1, 0, "held-out/leader", "x"), said(run, 1, 1, "held-out/reference", "y")]).unwrap();
    writer.close().unwrap();
    let found = record.training_verdicts(run, 1).unwrap();
    let seen: Vec<_> =
        found.iter().map(|row| (row.first, row.second, row.probability, row.failure.as_deref())).collect();
    assert_eq!(seen, [(0, 1, Some(0.9), None), (0, 2, None, Some("late")), (1, 0, Some(0.5), None)]);
    assert_eq!(found[0].attributes, [("brevity".to_owned(), Some(0.75), "the first is shorter".to_owned())]);
    let sql = "SELECT first, second, probability, reverse_probability, asked_in_both_orders FROM training_pairs";
    let pairs = record.query(sql, QueryLimits::default()).unwrap();
    assert_eq!(
        format!("{:?}", pairs.rows),
        "[[Integer(0), Integer(1), Real(0.9), Real(0.5), Integer(1)], [Integer(0), Integer(2), Null, Null, Integer(0)]]"
    );
}

#[test]
fn another_verdict_on_a_pair_is_a_divergence_and_where_that_is_allowed_the_old_one_is_kept() {
    for policy in [DivergencePolicy::Refuse, DivergencePolicy::Allow { reason: "another judge".to_owned() }] {
        let place = Place::new();
        let mut record = place.create();
        let (run, lease) = running_run(&mut record);
        let first = writer(&record);
        first.write(compared(run, 1, 0.9)).unwrap();
        first.close().unwrap();
        record.end_runs(&[run], RunStatus::Interrupted, "killed").unwrap();
        record.start_runs(lease, &[run]).unwrap();
        let second = writer(&record);
        let is_allowed = matches!(policy, DivergencePolicy::Allow { .. });
        second.resume(&[run], policy).unwrap();
        second.write(compared(run, 1, 0.9)).unwrap();
        second.flush().unwrap();
        assert!(second.divergences().is_empty(), "the same again is silent");
        second.write(compared(run, 1, 0.25)).unwrap();
        second.flush().unwrap();
        let divergences = second.divergences();
        second.close().unwrap();
        let stored = record.training_verdicts(run, 1).unwrap();
        assert_eq!(stored.len(), 3);
        let old = "SELECT probability, failure FROM superseded_training_verdict ORDER BY second";
        let old = format!("{:?}", record.query(old, QueryLimits::default()).unwrap().rows);
        if is_allowed {
            assert_eq!(stored[0].probability, Some(0.25));
            assert_eq!(old, "[[Real(0.9), Null], [Null, Text(\"late\")]]");
        } else {
            assert_eq!(divergences[0].what, "the verdict on the completions 0 and 1");
            assert_eq!((divergences[0].stored.as_str(), divergences[0].computed.as_str()), ("0.9", "0.25"));
            assert_eq!((stored[0].probability, old.as_str()), (Some(0.9), "[]"));
        }
    }
}

#[test]
fn artefacts_and_counted_costs_have_rows() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let writer = writer(&record);
    let adapter = |sha256: &str| ArtefactWritten {
        run,
        step: 3,
        kind: "adapter".to_owned(),
        path: "checkpoints/adapter".to_owned(),
        sha256: sha256.to_owned(),
        size_bytes: 7,
    };
    writer.write(adapter("aa")).unwrap();
    writer.write(adapter("bb")).unwrap();
    let cost = RunCost {
        run,
        seconds: vec![("generate".to_owned(), 1.5)],
        counts: vec![("tokens_generated".to_owned(), "tokens".to_owned(), 640.0)],
        peak_memory_bytes: 1,
    };
    writer.write(cost).unwrap();
    writer.close().unwrap();
    let files = record.artefacts(run).unwrap();
    assert_eq!((files[0].sha256.as_str(), files[0].removed_at.is_some()), ("aa", true), "it was written over");
    assert_eq!((files[1].sha256.as_str(), files[1].removed_at.is_some()), ("bb", false));
    let costs = record.costs(run).unwrap();
    let tokens = costs.iter().find(|cost| cost.quantity == "tokens_generated").unwrap();
    assert_eq!((tokens.unit.as_str(), tokens.value), ("tokens", 640.0));
}
