//! What goes wrong is said in one sentence, and the neighbours go on.

use std::collections::BTreeMap;

use slhf_learn::{BaselineEstimator, BaselineSample, Cause, Ended, Training};
use slhf_plan::{ComputePath, ControlVariate, Gradient, Kappa, Optimizer, Precision, Preconditioner, Realisation};

use crate::support::{Seen, Setup, constant};

#[test]
fn a_run_that_blows_up_fails_alone_with_its_step_and_last_metrics() {
    let mut steps = Vec::new();
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        let mut setup = Setup { path, seeds: vec![1, 2, 3], evaluation_every: 1, ..Setup::new() };
        setup.training.steps = 20;
        setup.training.preconditioner = Preconditioner::Natural;
        let mut plan = setup.plan();
        plan.runs[1].schedule.learning_rate = slhf_plan::Curve::Power { start: 0.5, exponent: -230.0, offset: 0.0 };
        let mut seen = Seen::default();
        Training::new(&plan, &setup.matrices(), BTreeMap::new()).unwrap().train(&mut seen).unwrap();
        let (step, Ended::Failed(sentence)) = &seen.ended[&11] else { panic!("{:?}", seen.ended[&11]) };
        assert!((2..20).contains(step), "{path:?}: {step}");
        steps.push(*step);
        let expected = format!("the logits became NaN or infinite in step {step}; the last metrics, at step ");
        assert!(sentence.starts_with(&expected), "{path:?}: {sentence}");
        assert!(sentence.ends_with("lower schedule.learning_rate or schedule.kappa"), "{sentence}");
        let alone = setup.train();
        for run in [10, 12] {
            assert_eq!(seen.ended[&run], (20, Ended::Finished));
            assert_eq!(seen.state(run), alone.state(run), "{path:?}: run {run} felt its neighbour");
        }
    }
    assert_eq!(steps[0], steps[1], "the paths disagree on the step");
}

struct Broken;

impl BaselineEstimator for Broken {
    fn estimate(&mut self, _: &[BaselineSample]) -> Result<Vec<f64>, Cause> {
        Err("it trapped".into())
    }
    fn save(&mut self) -> Result<Vec<u8>, Cause> {
        Err("it is dead".into())
    }
    fn restore(&mut self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

#[test]
fn a_broken_baseline_fails_its_own_run() {
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        let mut setup = Setup { path, seeds: vec![1, 2], ..Setup::new() };
        setup.training.gradient = Gradient::Sampled;
        let mut plan = setup.plan();
        let plugin = Box::new(plan.games[0].judge.plugin.clone());
        if let slhf_plan::Method::StackelbergGda(method) = &mut plan.runs[0].method {
            method.training.score_baseline = ControlVariate::Plugin { plugin };
        }
        let estimators: BTreeMap<i64, Box<dyn BaselineEstimator>> = [(10, Box::new(Broken) as _)].into();
        let mut seen = Seen::default();
        Training::new(&plan, &setup.matrices(), estimators).unwrap().train(&mut seen).unwrap();
        let sentence = "the baseline plugin failed in step 1: it trapped".to_owned();
        assert_eq!(seen.ended[&10], (1, Ended::Failed(sentence)));
        assert_eq!(seen.ended[&11], (100, Ended::Finished));
    }
}

#[test]
fn combinations_without_meaning_are_refused() {
    let check = |change: &dyn Fn(&mut Setup), expected: &str| {
        let mut setup = Setup::new();
        change(&mut setup);
        let error = Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let sampled = |setup: &mut Setup| setup.training.gradient = Gradient::Sampled;
    check(&|s| s.precision = Precision::F32, "run 10: device.precision: \"f32\" with path = \"scalar\"");
    check(
        &|s| {
            sampled(s);
            s.training.preconditioner = Preconditioner::Natural;
        },
        "run 10: method.preconditioner: \"natural\" with gradient = \"sampled\"",
    );
    check(
        &|s| {
            sampled(s);
            s.training.num_generations = 1;
            s.training.score_baseline = ControlVariate::LeaveOneOut;
        },
        "run 10: method.score_baseline: leave_one_out with num_generations = 1",
    );
    check(
        &|s| {
            s.training.optimizer = Optimizer::Adam;
            s.schedule.realisation = Realisation::LossWeight;
        },
        "run 10: schedule.realisation: \"loss_weight\" under optimizer = \"adam\" with separate parameters does nothing",
    );
    check(
        &|s| {
            s.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
            s.schedule.kappa = Kappa::Constant { value: 1.5 };
        },
        "run 10: schedule.kappa: 1.5 with updates_per_leader_update",
    );
    check(
        &|s| s.schedule.learning_rate = constant(f64::NAN),
        "run 10: schedule.learning_rate: starts at NaN; expected a finite number above 0",
    );
    check(&|s| s.reference_leader = Some(vec![0.0, 0.5, 0.5]), "run 10: the game is not valid");
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let setup = Setup { seeds: vec![1, 2], ..Setup::new() };
    let mut plan = setup.plan();
    plan.runs[1].schedule.realisation = Realisation::LossWeight;
    let error = Training::new(&plan, &setup.matrices(), BTreeMap::new()).unwrap_err().to_string();
    assert!(error.starts_with("run 11: schedule.realisation differs from the group's first run"), "{error}");
}
