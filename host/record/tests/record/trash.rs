//! `rm`: out of sight, and back.

use slhf_record::{RecordError, Removal, RunFilter};

use crate::merges::{everything, full};
use crate::support::{Place, experiment, plan, running_run};

fn of_runs(runs: &[i64]) -> Removal {
    Removal { runs: runs.to_vec(), experiments: Vec::new() }
}

#[test]
fn a_removed_experiment_is_nowhere_and_comes_back_whole() {
    let place = full();
    let mut record = place.create();
    let before = everything(&mut record);
    let removal = Removal { runs: Vec::new(), experiments: vec!["all".to_owned()] };
    record.remove_runs(&removal).unwrap();
    for (view, rows) in everything(&mut record) {
        // The audit of a file of pairs is of no run.
        assert_eq!(rows.len(), usize::from(view == "judge_audits"), "{view}");
    }
    assert_eq!(record.trashed().unwrap().len(), 2);
    assert_eq!(record.check().unwrap(), []);
    record.restore_runs(&[]).unwrap();
    let mut after = everything(&mut record);
    // Audits and conclusions are numbered anew.
    let mut before = before;
    for all in [&mut before, &mut after] {
        for view in ["judge_audits", "policy_scores"] {
            let rows = all.get_mut(view).unwrap();
            for row in rows.iter_mut() {
                row.remove(0);
            }
            rows.sort_by_key(|row| format!("{row:?}"));
        }
    }
    assert_eq!(after, before);
    assert!(!record.trash_path().exists(), "an empty trash is none");
}

#[test]
fn one_run_of_a_group_goes_and_comes_back_under_its_number() {
    let place = full();
    let mut record = place.create();
    let before = everything(&mut record);
    record.remove_runs(&of_runs(&[2])).unwrap();
    let left = record.runs(&RunFilter::default()).unwrap();
    assert_eq!(left.iter().map(|run| run.run).collect::<Vec<_>>(), [1]);
    assert_eq!(record.check().unwrap(), []);
    // A number that was shown once is never given again.
    plan(&mut record, &experiment("next", &["a"], &[1]));
    assert!(record.resolve_run("next").unwrap().run == 3);
    record.restore_runs(&[2]).unwrap();
    let after = everything(&mut record);
    for view in ["parameters", "metrics", "verdicts", "costs", "plugins", "artefacts", "environments"] {
        let of_two = |all: &std::collections::BTreeMap<&str, Vec<Vec<slhf_record::Cell>>>| {
            let rows = all[view].iter().filter(|row| row[0] == slhf_record::Cell::Integer(2));
            rows.cloned().collect::<Vec<_>>()
        };
        assert_eq!(of_two(&after), of_two(&before), "{view}");
    }
}

#[test]
fn what_cannot_go_is_refused() {
    let place = full();
    let mut record = place.create();
    let said = record.remove_runs(&of_runs(&[1])).unwrap_err().to_string();
    assert!(said.starts_with("run 1 also stands for seed 8 of all/b in execution 1"), "{said}");
    let running = Place::new();
    let mut record = running.create();
    let (run, _lease) = running_run(&mut record);
    let refused = record.remove_runs(&of_runs(&[run]));
    assert!(matches!(refused, Err(RecordError::StillRunning { .. })), "{refused:?}");
    let said = record.restore_runs(&[]).unwrap_err().to_string();
    assert_eq!(said, "the trash is empty: there is nothing to bring back");
}
