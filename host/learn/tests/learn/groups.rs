//! The two paths agree; a run does not feel its group, its threads, or where the group looked up from its work.

use slhf_plan::{ComputePath, ControlVariate, Gradient, Kappa, Optimizer, Precision, Preconditioner, Realisation};

use crate::support::{Name, Setup, constant, matrix};

/// Settings that between them go through every branch of a step.
fn settings() -> Vec<(&'static str, Setup)> {
    let base = Setup::new();
    let with = |name, change: &dyn Fn(&mut Setup)| {
        let mut setup = base.clone();
        change(&mut setup);
        (name, setup)
    };
    let sampled = |setup: &mut Setup, variate| {
        setup.training.gradient = Gradient::Sampled;
        setup.training.score_baseline = variate;
    };
    vec![
        with("plain", &|_| ()),
        with("natural", &|s| s.training.preconditioner = Preconditioner::Natural),
        with("loss weight", &|s| s.schedule.realisation = Realisation::LossWeight),
        with("updates", &|s| {
            s.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
            s.schedule.kappa = Kappa::Linear { start: 1.0, end: 3.0 };
        }),
        with("adam", &|s| {
            s.training.optimizer = Optimizer::Adam;
            s.schedule.learning_rate = constant(0.01);
        }),
        with("adam, updates", &|s| {
            s.training.optimizer = Optimizer::Adam;
            s.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
            s.schedule.kappa = Kappa::Constant { value: 2.0 };
            s.schedule.learning_rate = constant(0.01);
        }),
        with("adaptive", &|s| {
            s.schedule.kappa = serde_json::from_value(
                serde_json::json!({ "kind": "adaptive", "start": 2.0, "target": 0.01, "interval": 7 }),
            )
            .unwrap();
        }),
        with("nash-md", &|s| s.method = Name::NashMd(constant(0.3))),
        with("nash-md, no mixture", &|s| s.method = Name::NashMd(constant(0.0))),
        with("rlhf", &|s| s.method = Name::Rlhf(slhf_plan::PairDistribution::Uniform)),
        with("sampled", &|s| sampled(s, ControlVariate::LeaveOneOut)),
        with("sampled updates", &|s| {
            sampled(s, ControlVariate::MovingAverage { decay: 0.9 });
            s.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
            s.schedule.kappa = Kappa::Constant { value: 2.0 };
        }),
        with("sampled nash-md", &|s| {
            sampled(s, ControlVariate::Constant { value: 0.5 });
            s.method = Name::NashMd(constant(0.3));
        }),
        with("sampled rlhf, adam", &|s| {
            sampled(s, ControlVariate::LeaveOneOut);
            s.method = Name::Rlhf(slhf_plan::PairDistribution::Uniform);
            s.training.optimizer = Optimizer::Adam;
            s.schedule.learning_rate = constant(0.01);
        }),
    ]
}

#[test]
fn the_tensor_path_and_the_scalar_path_agree_to_1e_9() {
    for (name, mut setup) in settings() {
        for n in [2, 3, 8] {
            setup.matrix = matrix(n);
            setup.seeds = vec![5, 6];
            let scalar = Setup { path: ComputePath::Scalar, ..setup.clone() }.train();
            let tensor = Setup { path: ComputePath::Tensor, ..setup.clone() }.train();
            for run in [10, 11] {
                let (one, other) = (scalar.state(run), tensor.state(run));
                let ones = one.leader_logits().iter().chain(one.follower_logits());
                let others = other.leader_logits().iter().chain(other.follower_logits());
                let worst = ones.zip(others).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-9, "{name}, {n} actions: the logits differ by {worst:e}");
                let key = scalar.metrics[&(run, 100)].keys[0];
                assert!((scalar.last(run, key.name()) - tensor.last(run, key.name())).abs() < 1e-9, "{name}: {key}");
            }
        }
    }
}

/// With the end, which is told apart, there is a policy beside the metrics of every step.
#[test]
fn a_game_of_three_actions_tells_the_path_of_its_leader() {
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        for n in [2, 3, 4] {
            let seen = Setup { matrix: matrix(n), path, evaluation_every: 20, ..Setup::new() }.train();
            let Some(told) = seen.paths.get(&10) else {
                assert_ne!(n, 3, "{path:?}");
                continue;
            };
            assert_eq!(n, 3, "{path:?}");
            let steps: Vec<u64> = told.iter().map(|(step, _)| *step).collect();
            let mut measured: Vec<u64> =
                seen.metrics.keys().filter(|(run, _)| *run == 10).map(|(_, step)| *step).collect();
            assert_eq!(measured.pop(), Some(100));
            assert_eq!(steps, measured, "{path:?}");
            assert!(told.iter().all(|(_, policy)| (policy.iter().sum::<f64>() - 1.0).abs() < 1e-12), "{told:?}");
            assert_ne!(told[0].1, told[told.len() - 1].1, "{path:?}");
        }
    }
}

#[test]
fn a_cell_alone_gives_the_bits_of_the_same_cell_in_its_group() {
    for (name, mut setup) in settings() {
        setup.training.steps = 12;
        for path in [ComputePath::Scalar, ComputePath::Tensor] {
            for (n, sizes) in [(2, vec![2, 7]), (3, vec![3, 17]), (5, vec![2, 33]), (10, vec![2, 9])] {
                let setup = Setup { matrix: matrix(n), path, ..setup.clone() };
                same_bits_in_every_group(name, &setup, &sizes);
            }
        }
    }
}

#[test]
fn and_where_libtorch_spreads_the_group_over_threads() {
    tch::set_num_threads(2);
    for (name, mut setup) in settings() {
        setup.training.steps = 3;
        setup.path = ComputePath::Tensor;
        // More than 32,768 entries: below that libtorch stays on one thread.
        for (n, size) in [(10, 401), (33, 37), (3, 4001), (200, 2)] {
            if n == 200 && name.contains("sampled") {
                continue;
            }
            let setup = Setup { matrix: matrix(n), ..setup.clone() };
            same_bits_in_every_group(name, &setup, &[size]);
        }
    }
}

/// The group's first, middle and last runs against the same runs alone.
fn same_bits_in_every_group(name: &str, setup: &Setup, sizes: &[u64]) {
    for &size in sizes {
        let group = Setup { seeds: (100..100 + size).collect(), ..setup.clone() }.train();
        for position in [0, size / 2, size - 1] {
            let alone = Setup { seeds: vec![100 + position], ..setup.clone() }.train();
            let in_group = group.state(10 + i64::try_from(position).unwrap());
            let (n, path) = (setup.matrix.len(), setup.path);
            assert_eq!(alone.state(10), in_group, "{name}, {path:?}, {n} actions, run {position} of {size}");
        }
    }
}

#[test]
fn the_split_over_threads_changes_nothing() {
    for (name, mut setup) in settings() {
        setup.seeds = (1..=7).collect();
        let one = setup.train();
        let two = Setup { threads: 3, ..setup }.train();
        for run in 10..17 {
            assert_eq!(one.state(run), two.state(run), "{name}");
        }
    }
}

#[test]
fn when_it_is_evaluated_changes_nothing() {
    for (name, mut setup) in settings() {
        for path in [ComputePath::Scalar, ComputePath::Tensor] {
            setup.path = path;
            let seldom = setup.train();
            let often = Setup { evaluation_every: 3, checkpoint_every: 7, ..setup.clone() }.train();
            assert_eq!(seldom.state(10), often.state(10), "{name}, {path:?}");
        }
    }
}

#[test]
fn single_precision_comes_close_on_the_tensor_path() {
    let double = Setup { path: ComputePath::Tensor, ..Setup::new() };
    let single = Setup { precision: Precision::F32, ..double.clone() };
    let (double, single) = (double.train(), single.train());
    let difference = (double.last(10, "objective") - single.last(10, "objective")).abs();
    assert!(difference < 1e-5 && difference > 0.0, "{difference}");
}
