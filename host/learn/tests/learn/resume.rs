//! A run that was cut and resumed equals the uninterrupted one, bit for bit.

use std::collections::BTreeMap;

use slhf_learn::{BaselineEstimator, BaselineSample, Cause, Ended, RunState, Training};
use slhf_plan::{ComputePath, ControlVariate, Gradient, Kappa, Optimizer, PluginPlan, Realisation};

use crate::support::{Name, Seen, Setup, constant};

/// A control variate with a memory: the mean of all rewards so far.
#[derive(Default)]
struct MeanSoFar {
    sum: f64,
    count: f64,
}

impl BaselineEstimator for MeanSoFar {
    fn estimate(&mut self, samples: &[BaselineSample]) -> Result<Vec<f64>, Cause> {
        let baseline = if self.count > 0.0 { self.sum / self.count } else { 0.5 };
        self.sum += samples.iter().map(|sample| sample.reward).sum::<f64>();
        self.count += samples.len() as f64;
        Ok(vec![baseline; samples.len()])
    }

    fn save(&mut self) -> Result<Vec<u8>, Cause> {
        Ok([self.sum.to_le_bytes(), self.count.to_le_bytes()].concat())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        let (sum, count) = state.split_at(8);
        self.sum = f64::from_le_bytes(sum.try_into()?);
        self.count = f64::from_le_bytes(count.try_into()?);
        Ok(())
    }
}

fn training(setup: &Setup) -> Training {
    let plan = setup.plan();
    let mut estimators: BTreeMap<i64, Box<dyn BaselineEstimator>> = BTreeMap::new();
    for run in &plan.runs {
        if matches!(run.method.training().score_baseline, ControlVariate::Plugin { .. }) {
            estimators.insert(run.run, Box::<MeanSoFar>::default());
        }
    }
    Training::new(&plan, &setup.matrices(), estimators).unwrap()
}

fn settings() -> Vec<(&'static str, Setup)> {
    let mut base = Setup::new();
    base.seeds = vec![3, 4];
    base.training.steps = 60;
    base.evaluation_every = 10;
    base.schedule.kappa =
        serde_json::from_value(serde_json::json!({ "kind": "adaptive", "start": 2.0, "target": 0.01, "interval": 7 }))
            .unwrap();
    let exact_adam = {
        let mut setup = base.clone();
        setup.training.optimizer = Optimizer::Adam;
        setup.schedule.learning_rate = constant(0.02);
        setup
    };
    let sampled = {
        let mut setup = base.clone();
        setup.training.gradient = Gradient::Sampled;
        setup.training.score_baseline = ControlVariate::MovingAverage { decay: 0.9 };
        setup.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
        setup.schedule.kappa = Kappa::Constant { value: 2.0 };
        setup
    };
    let sampled_adam = {
        let mut setup = sampled.clone();
        setup.training.optimizer = Optimizer::Adam;
        setup.schedule.learning_rate = constant(0.02);
        setup
    };
    let plugin = {
        let mut setup = sampled.clone();
        let plan: PluginPlan = setup.plan().games[0].judge.plugin.clone();
        setup.training.score_baseline = ControlVariate::Plugin { plugin: Box::new(plan) };
        setup
    };
    let nash = Setup { method: Name::NashMd(slhf_plan::Curve::Cosine { start: 0.5, end: 0.0 }), ..base.clone() };
    vec![
        ("exact, sgd", base),
        ("exact, adam", exact_adam),
        ("sampled, sgd", sampled),
        ("sampled, adam", sampled_adam),
        ("sampled, plugin", plugin),
        ("nash-md", nash),
    ]
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_wherever_it_was_cut() {
    for (name, setup) in settings() {
        for path in [ComputePath::Scalar, ComputePath::Tensor] {
            let setup = Setup { path, ..setup.clone() };
            let mut whole = Seen::default();
            training(&setup).train(&mut whole).unwrap();
            for every in [1, 13, 30] {
                let cut = cut_after(&setup, every);
                let mut resumed = Seen::default();
                let mut training = training(&setup);
                for run in [10, 11] {
                    assert_eq!(cut.ended[&run].1, Ended::Interrupted);
                    training.restore(run, &cut.bytes(run)).unwrap();
                }
                training.train(&mut resumed).unwrap();
                for run in [10, 11] {
                    assert_eq!(resumed.bytes(run), whole.bytes(run), "{name}, {path:?}, cut after {every}");
                }
                let mut metrics = cut.metrics.clone();
                metrics.extend(resumed.metrics.clone());
                assert_eq!(metrics, whole.metrics, "{name}, {path:?}, cut after {every}");
                let rows: Vec<_> =
                    cut.schedules.iter().chain(&resumed.schedules).map(|row| format!("{row:?}")).collect();
                let expected: Vec<_> = whole.schedules.iter().map(|row| format!("{row:?}")).collect();
                assert_eq!(rows, expected, "{name}, {path:?}, cut after {every}");
            }
        }
    }
}

/// Stops at the first occasion after `steps` steps of both runs.
fn cut_after(setup: &Setup, steps: u64) -> Seen {
    let mut cut = Seen { stop_at: Some(2 * steps), ..Seen::default() };
    let setup = Setup { checkpoint_every: steps, ..setup.clone() };
    training(&setup).train(&mut cut).unwrap();
    assert!(cut.ended[&10].0 < setup.training.steps);
    cut
}

#[test]
fn runs_at_different_steps_of_one_group_catch_up_with_each_other() {
    for (name, setup) in settings() {
        for path in [ComputePath::Scalar, ComputePath::Tensor] {
            let setup = Setup { path, ..setup.clone() };
            let mut whole = Seen::default();
            training(&setup).train(&mut whole).unwrap();
            let mut training = training(&setup);
            training.restore(11, &cut_after(&setup, 25).bytes(11)).unwrap();
            let mut resumed = Seen::default();
            training.train(&mut resumed).unwrap();
            for run in [10, 11] {
                assert_eq!(resumed.bytes(run), whole.bytes(run), "{name}, {path:?}");
            }
        }
    }
}

#[test]
fn a_run_resumed_at_its_end_only_says_so() {
    let setup = Setup::new();
    let whole = setup.train();
    let mut training = training(&setup);
    training.restore(10, &whole.bytes(10)).unwrap();
    let mut resumed = Seen::default();
    training.train(&mut resumed).unwrap();
    assert_eq!(resumed.ended[&10], (100, Ended::Finished));
    assert!(resumed.metrics.is_empty() && resumed.checkpoints.is_empty());
}

#[test]
fn the_state_of_another_shape_is_refused() {
    let bytes = Setup::new().train().bytes(10);
    let check = |change: &dyn Fn(&mut Setup), expected: &str| {
        let mut setup = Setup::new();
        change(&mut setup);
        let error = training(&setup).restore(10, &bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|s| s.training.optimizer = Optimizer::Adam, "another shape");
    check(&|s| s.matrix = crate::support::matrix(4), "another shape");
    check(&|s| s.training.steps = 50, "at step 100, past the last one (50)");
    check(&|s| s.method = Name::NashMd(constant(0.0)), "another shape");
    assert!(training(&Setup::new()).restore(99, &bytes).unwrap_err().to_string().contains("no run 99"));
}

/// What version 2 left at step 40 of 60, and what it had made of it at the end; version 1 lacked the mean of the iterates.
#[test]
fn a_state_of_an_earlier_version_goes_on_as_it_would_have() {
    let (_, mut setup) = settings().into_iter().find(|(name, _)| *name == "sampled, adam").unwrap();
    setup.seeds = vec![3];
    let old = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    };
    let version_2 = old("state-of-version-2.bin");
    let mean_bytes = 1 + 8; // no probabilities, and their weight
    let mut version_1 = version_2[..version_2.len() - mean_bytes].to_vec();
    version_1[8..12].copy_from_slice(&1_u32.to_le_bytes());
    let end = RunState::from_bytes(10, &old("state-of-version-2-at-the-end.bin")).unwrap();
    for bytes in [version_1, version_2] {
        let mut resumed = Seen::default();
        let mut training = training(&setup);
        training.restore(10, &bytes).unwrap();
        assert_eq!(training.step(10), Some(40));
        training.train(&mut resumed).unwrap();
        let found = resumed.state(10);
        let all = |state: &RunState| [state.leader_logits(), state.follower_logits()].concat();
        for (found, expected) in all(&found).iter().zip(all(&end)) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
        assert_eq!((found.step(), end.step()), (60, 60));
    }
}
