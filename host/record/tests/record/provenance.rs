//! Everything that influences a number: plugins, verdicts, environments, costs, versions.

use slhf_plan::{
    Environment, GameJudged, Limits, OnFailure, PairVerdict, PluginPlan, PluginUse, RunCost, RunEnvironment,
    VERDICT_ROWS_ACTIONS_MAX, VerdictAttribute,
};
use slhf_record::{Cell, DivergencePolicy, PluginGrant, QueryLimits, Record, RunStatus, Writer, WriterOptions};

use crate::support::{Place, experiment, plan};

fn plugin(name: &str, upstream: Option<PluginPlan>) -> PluginPlan {
    PluginPlan {
        name: name.to_owned(),
        path: format!("plugins/{name}.wasm"),
        sha256: format!("hash of {name}"),
        parameters: serde_json::json!({"weight": 1}),
        limits: Limits::default(),
        upstream: upstream.map(Box::new),
        models: std::collections::BTreeMap::new(),
    }
}

fn plugin_use(runs: &[i64], role: &str, name: &str, items: u64) -> PluginUse {
    PluginUse {
        runs: runs.to_vec(),
        role: role.to_owned(),
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        wit_version: "0.1.0".to_owned(),
        sha256: format!("hash of {name}"),
        calls: 1,
        items,
        failed_items: 0,
        wall_ns: 500,
        fuel: None,
        peak_memory_bytes: 65_536,
    }
}

#[test]
fn plugins_are_recorded_with_what_they_may_and_what_they_did() {
    let place = Place::new();
    let mut record = place.create();
    let mut new = experiment("judged", &["a"], &[1, 2]);
    let chain = plugin("swap-average", Some(plugin("table", None)));
    new.cells[0].plugins = PluginGrant::chain("judge", &chain, Some(OnFailure::Abort));
    let runs: Vec<i64> = plan(&mut record, &new).runs.iter().map(|run| run.run).collect();
    let before = record.plugins(runs[0]).unwrap();
    assert_eq!(before.iter().map(|plugin| plugin.role.as_str()).collect::<Vec<_>>(), ["judge", "judge/upstream"]);
    assert_eq!((before[0].calls, before[0].version.as_ref(), before[0].memory_mib), (None, None, 256));

    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.write(plugin_use(&runs, "judge", "swap-average", 9)).unwrap();
    writer.write(plugin_use(&runs, "judge/upstream", "table", 18)).unwrap();
    // A resumed run asks its judge again.
    writer.write(plugin_use(&runs[..1], "judge", "swap-average", 9)).unwrap();
    writer.close().unwrap();
    let after = record.plugins(runs[0]).unwrap();
    assert_eq!((after[0].items, after[1].items, after[0].shared_by_runs), (Some(18), Some(18), Some(2)));
    assert_eq!((after[0].capabilities.as_str(), after[1].capabilities.as_str()), ("log, upstream", "log"));
    assert_eq!((after[0].on_failure.as_deref(), after[0].version.as_deref()), (Some("abort"), Some("1.2.3")));
    assert_eq!(record.plugins(runs[1]).unwrap()[0].items, Some(9));
}

fn judged(record: &mut Record, n: usize) -> GameJudged {
    let created = plan(record, &experiment("judged", &["a"], &[1, 2]));
    let runs: Vec<i64> = created.runs.iter().map(|run| run.run).collect();
    let lease = record.acquire_lease().unwrap();
    record.start_runs(lease, &runs).unwrap();
    let verdict = |place: usize| PairVerdict {
        probability: 1.0 / (place + 1) as f64,
        attributes: vec![VerdictAttribute { name: "taste".to_owned(), value: 1.0, reason: "it is good".to_owned() }],
    };
    GameJudged {
        runs,
        actions: (0..n).map(|action| format!("action {action}")).collect(),
        verdicts: (0..n * n).map(verdict).collect(),
        ..GameJudged::default()
    }
}

#[test]
fn verdicts_are_rows_with_their_reasons() {
    let place = Place::new();
    let mut record = place.create();
    let judged = judged(&mut record, 3);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.write(judged.clone()).unwrap();
    // A resume asks the judge again; the same answers are silent.
    writer.write(judged.clone()).unwrap();
    writer.close().unwrap();
    for run in &judged.runs {
        let verdicts = record.verdicts(*run).unwrap();
        assert_eq!(verdicts.len(), 9);
        let fifth = &verdicts[5];
        assert_eq!(
            (fifth.first.as_str(), fifth.second.as_str(), fifth.probability),
            ("action 1", "action 2", 1.0 / 6.0)
        );
    }
    let statement = "SELECT count(*), min(attribute), min(reason) FROM verdict_attributes";
    let answer = record.query(statement, QueryLimits::default()).unwrap();
    let expected = [Cell::Integer(18), Cell::Text("taste".to_owned()), Cell::Text("it is good".to_owned())];
    assert_eq!(answer.rows, [expected]);
}

#[test]
fn a_large_game_keeps_its_probabilities_as_a_matrix() {
    let place = Place::new();
    let mut record = place.create();
    let n = VERDICT_ROWS_ACTIONS_MAX + 1;
    let judged = judged(&mut record, n);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.write(judged.clone()).unwrap();
    writer.write(judged.clone()).unwrap();
    writer.close().unwrap();
    assert_eq!(record.verdicts(judged.runs[0]).unwrap(), []);
    let answer = record.query("SELECT matrix, note FROM judged_games", QueryLimits::default()).unwrap();
    assert_eq!(answer.rows.len(), 2);
    let Cell::Blob(matrix) = &answer.rows[0][0] else { panic!("no matrix") };
    assert_eq!(matrix.len(), n * n * 8);
    assert_eq!(matrix[8..16], 0.5_f64.to_le_bytes());
    let Cell::Text(note) = &answer.rows[0][1] else { panic!("no note") };
    assert!(note.contains("10201 attributes were not kept"), "{note}");
}

#[test]
fn a_judge_that_changes_its_mind_is_a_divergence() {
    let place = Place::new();
    let mut record = place.create();
    let mut judged = judged(&mut record, 3);
    let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
    writer.write(judged.clone()).unwrap();
    judged.verdicts[5].probability = 0.25;
    writer.write(judged.clone()).unwrap();
    writer.flush().unwrap();
    let divergences = writer.divergences();
    assert_eq!(divergences.len(), 2);
    assert_eq!(divergences[0].what, "the judge's verdict on action 1 ≻ action 2");
    assert_eq!(record.verdicts(judged.runs[0]).unwrap()[5].probability, 1.0 / 6.0);

    let reason = "another machine".to_owned();
    writer.resume(&judged.runs, DivergencePolicy::Allow { reason }).unwrap();
    writer.write(judged.clone()).unwrap();
    writer.close().unwrap();
    let verdicts = record.verdicts(judged.runs[0]).unwrap();
    assert_eq!((verdicts.len(), verdicts[5].probability), (9, 0.25));
    assert_eq!(record.resolve_run("1").unwrap().status, RunStatus::Running);
}

#[test]
fn environments_and_costs_are_kept_by_attempt() {
    let place = Place::new();
    let mut record = place.create();
    let run = plan(&mut record, &experiment("cycle", &["a"], &[1])).runs[0].run;
    assert_eq!(record.environment(run).unwrap(), None);
    let mut environment = Environment {
        device: "cpu".to_owned(),
        device_description: "a processor".to_owned(),
        cpu_capability: "avx2".to_owned(),
        threads: 2,
        libtorch_version: "2.11.0".to_owned(),
        worker_sha256: "cc".to_owned(),
        mkl_cbwr: "COMPATIBLE".to_owned(),
    };
    for threads in [2, 4] {
        environment.threads = threads;
        let lease = record.acquire_lease().unwrap();
        record.start_runs(lease, &[run]).unwrap();
        let writer = Writer::start(&record, &WriterOptions::default()).unwrap();
        writer.write(RunEnvironment { runs: vec![run], environment: environment.clone() }).unwrap();
        let seconds = vec![("train".to_owned(), 1.5)];
        writer
            .write(RunCost { run, seconds, counts: Vec::new(), peak_memory_bytes: 100 * u64::from(threads) })
            .unwrap();
        writer.close().unwrap();
        record.end_runs(&[run], RunStatus::Interrupted, "stopped").unwrap();
    }
    assert_eq!(record.environment(run).unwrap(), Some(environment));
    let costs: Vec<(String, f64, i64)> =
        record.costs(run).unwrap().into_iter().map(|cost| (cost.quantity, cost.value, cost.attempts)).collect();
    assert_eq!(costs, [("peak_memory_bytes".to_owned(), 400.0, 2), ("seconds.train".to_owned(), 3.0, 2)]);
}

#[test]
fn an_execution_says_who_made_it() {
    let place = Place::new();
    let mut record = place.create();
    let run = plan(&mut record, &experiment("cycle", &["a"], &[1])).runs[0].run;
    let execution = record.execution_of(run).unwrap();
    assert_eq!((execution.lab_version.as_str(), execution.source_dirty), ("0.1.0", Some(true)));
    assert_eq!(execution.command_line, "slhf-lab run which.toml");
    assert_eq!(record.software_of(run).unwrap(), [("rustc".to_owned(), "1.95.0".to_owned())]);
}
