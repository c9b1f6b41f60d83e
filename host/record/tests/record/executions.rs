//! Planning, states, names.

use slhf_record::{ExecutionChoice, FrozenGroup, RecordError, RunFilter, RunStatus};

use crate::support::{Place, experiment, plan, running_run};

#[test]
fn a_plan_is_in_the_record_before_anything_starts() {
    let place = Place::new();
    let mut record = place.create();
    let created = plan(&mut record, &experiment("cycle", &["SLHF", "NLHF"], &[1, 2]));
    assert_eq!(created.execution, 1);
    let runs = record.runs(&RunFilter::default()).unwrap();
    let names: Vec<String> = runs.iter().map(slhf_record::RunSummary::name).collect();
    assert_eq!(names, ["cycle/SLHF/1", "cycle/SLHF/2", "cycle/NLHF/1", "cycle/NLHF/2"]);
    assert!(runs.iter().all(|run| run.status == RunStatus::Pending && run.started_at.is_none()));
    let groups = record.unfinished_groups(&RunFilter::default()).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].group, groups[0].frozen.as_str()), (created.groups[0].group, "{\"runs\":[1, 2, 3, 4]}"));
    assert_eq!(groups[0].runs.len(), 4);
    let changes = record.state_changes(runs[0].run).unwrap();
    assert_eq!((changes[0].from_status.as_deref(), changes[0].to_status.as_str()), (None, "pending"));
}

#[test]
fn a_plan_that_cannot_be_frozen_leaves_nothing() {
    let place = Place::new();
    let mut record = place.create();
    let new = experiment("cycle", &["SLHF"], &[1, 2]);
    let error = record.create_execution(&new, |_| Err("no".into())).unwrap_err();
    assert!(matches!(error, RecordError::Freeze { .. }), "{error}");
    let error = record
        .create_execution(&new, |runs| Ok(vec![FrozenGroup { runs: vec![runs[0].run], json: String::new() }]))
        .unwrap_err();
    assert!(error.to_string().contains("each run once"), "{error}");
    assert_eq!(record.experiments().unwrap(), []);
    assert_eq!(record.runs(&RunFilter::default()).unwrap(), []);
}

#[test]
fn executions_of_an_experiment_are_counted() {
    let place = Place::new();
    let mut record = place.create();
    for expected in 1..=3 {
        assert_eq!(plan(&mut record, &experiment("cycle", &["a"], &[1])).execution, expected);
    }
    let latest = RunFilter { execution: ExecutionChoice::Latest, ..RunFilter::default() };
    let runs = record.runs(&latest).unwrap();
    assert_eq!(runs.iter().map(|run| (run.run, run.execution)).collect::<Vec<_>>(), [(3, 3)]);
    assert_eq!(record.experiments().unwrap()[0].latest_execution, 3);
}

#[test]
fn names_of_runs() {
    let place = Place::new();
    let mut record = place.create();
    plan(&mut record, &experiment("cycle", &["SLHF", "NLHF"], &[1, 12]));
    plan(&mut record, &experiment("cycle", &["SLHF", "NLHF"], &[1, 12]));
    let mut check = |name: &str, expected: &str| {
        let told = match record.resolve_run(name) {
            Ok(run) => format!("run {}", run.run),
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expected, "for {name}");
    };
    check("3", "run 3");
    check(" 3 ", "run 3");
    check("latest", "run 8");
    check("cycle/SLHF/1", "run 5");
    check("cycle#1/SLHF/1", "run 1");
    check("cycle/NLHF/12", "run 8");
    check("cycle/SLHF/12", "run 6");
    check("cycle#1/NLHF/12", "run 4");
    check(
        "cycle/S",
        "`cycle/S` names 2 runs, for example cycle/SLHF/1 (run 5), cycle/SLHF/12 (run 6): write more of the name, or \
         the run's number",
    );
    let hint = "give a number up to 8, `latest`, or experiment/cell/seed or a unique beginning of it (`slhf-lab ls` \
                lists all)";
    check("99", &format!("no run is named `99`: {hint}"));
    check("circle", &format!("no run is named `circle`: {hint}"));
    check("", &format!("no run is named ``: {hint}"));
}

#[test]
fn a_unique_beginning_is_enough() {
    let place = Place::new();
    let mut record = place.create();
    plan(&mut record, &experiment("cycle", &["SLHF", "NLHF"], &[1]));
    assert_eq!(record.resolve_run("cycle/N").unwrap().run, 2);
    assert!(record.resolve_run("cycle").is_err());
}

#[test]
fn states_change_only_in_ways_that_make_sense() {
    let place = Place::new();
    let mut record = place.create();
    let (run, lease) = running_run(&mut record);
    let error = record.start_runs(lease, &[run]).unwrap_err();
    assert_eq!(error.to_string(), format!("run {run} is running, so it cannot become running"));
    record.end_runs(&[run], RunStatus::Finished, "done").unwrap();
    for status in [RunStatus::Running, RunStatus::Failed, RunStatus::Interrupted, RunStatus::Pending] {
        assert!(record.end_runs(&[run], status, "no").is_err(), "{status}");
    }
    record.supersede_runs(&[run], "better seeds").unwrap();
    let summary = record.resolve_run("latest").unwrap();
    assert_eq!((summary.status, summary.reason.as_deref()), (RunStatus::Superseded, Some("better seeds")));
    let told: Vec<String> = record.state_changes(run).unwrap().into_iter().map(|change| change.to_status).collect();
    assert_eq!(told, ["pending", "running", "finished", "superseded"]);
}

#[test]
fn superseding_sets_earlier_executions_aside() {
    let place = Place::new();
    let mut record = place.create();
    plan(&mut record, &experiment("cycle", &["a"], &[1, 2]));
    plan(&mut record, &experiment("other", &["a"], &[1]));
    let second = plan(&mut record, &experiment("cycle", &["a"], &[1, 2]));
    assert_eq!(record.supersede_earlier("cycle", second.execution, "new schedule").unwrap(), 2);
    let statuses: Vec<RunStatus> =
        record.runs(&RunFilter::default()).unwrap().into_iter().map(|run| run.status).collect();
    let (pending, superseded) = (RunStatus::Pending, RunStatus::Superseded);
    assert_eq!(statuses, [superseded, superseded, pending, pending, pending]);
    assert_eq!(record.resolve_run("1").unwrap().superseded_by_execution, Some(2));
}

#[test]
fn finished_runs_answer_identical_cells() {
    let place = Place::new();
    let mut record = place.create();
    let (run, _) = running_run(&mut record);
    let hash = "cycle SLHF 1".to_owned();
    assert!(record.finished_runs_by_content(std::slice::from_ref(&hash)).unwrap().is_empty());
    record.end_runs(&[run], RunStatus::Finished, "done").unwrap();
    let found = record.finished_runs_by_content(&[hash.clone(), "other".to_owned()]).unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(hash, run)]);

    let mut again = experiment("cycle", &["SLHF"], &[1, 2]);
    again.cells[0].runs[0].answered_by = Some(run);
    let created = plan(&mut record, &again);
    assert_eq!(created.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [2]);
    let comparison = record.comparison("cycle", None).unwrap();
    let told: Vec<(i64, bool)> = comparison.cells[0].runs.iter().map(|run| (run.summary.run, run.answered)).collect();
    assert_eq!(told, [(run, true), (created.runs[0].run, false)]);
}
