//! Every method reaches what game.md says it converges to.

use slhf_learn::Ended;
use slhf_plan::{
    AdaptiveRule, ComputePath, ControlVariate, Curve, Gradient, Kappa, Optimizer, PairDistribution, Preconditioner,
    Realisation,
};

use crate::support::{LOPSIDED, Name, Setup, constant};

const PATHS: [ComputePath; 2] = [ComputePath::Scalar, ComputePath::Tensor];

fn natural(path: ComputePath) -> Setup {
    let mut setup = Setup { path, seeds: vec![1, 2, 3], ..Setup::new() };
    setup.training.preconditioner = Preconditioner::Natural;
    setup.training.steps = 400;
    setup
}

/// Every run finished, with the metric at most the bound.
fn check(setup: &Setup, key: &str, bound: f64) {
    let seen = setup.train();
    for run in (10..).take(setup.seeds.len()) {
        assert_eq!(seen.ended[&run], (setup.training.steps, Ended::Finished));
        assert!(seen.last(run, key) <= bound, "run {run}: {key} = {:e}", seen.last(run, key));
    }
}

#[test]
fn natural_stackelberg_gda_reaches_the_equilibrium_of_the_asymmetric_cycle() {
    for path in PATHS {
        check(&natural(path), "stackelberg_gap", 1e-9);
    }
}

#[test]
fn plain_stackelberg_gda_reaches_it_too_in_more_steps() {
    let mut setup = Setup::new();
    setup.seeds = vec![1, 2, 3];
    setup.training.steps = 40_000;
    check(&setup, "stackelberg_gap", 1e-6);
}

#[test]
fn stackelberg_gda_reaches_it_under_every_realisation_and_schedule() {
    let rule =
        AdaptiveRule { start: 1.0, target: 1e-4, gain: 0.1, smoothing: 0.9, minimum: 0.1, maximum: 20.0, interval: 10 };
    let kappas = [
        Kappa::Constant { value: 4.0 },
        Kappa::Linear { start: 1.0, end: 8.0 },
        Kappa::Cosine { start: 8.0, end: 1.0 },
        Kappa::Power { start: 1.0, exponent: -0.2, offset: 0.0 },
        Kappa::Adaptive(rule),
    ];
    let realisations = [Realisation::LossWeight, Realisation::LearningRateRatio, Realisation::UpdatesPerLeaderUpdate];
    for realisation in realisations {
        for kappa in kappas {
            let mut setup = natural(ComputePath::Scalar);
            setup.schedule.realisation = realisation;
            setup.schedule.kappa = kappa;
            setup.schedule.warmup_steps = 5;
            check(&setup, "stackelberg_gap", 1e-6);
        }
    }
}

#[test]
fn a_power_law_pair_reaches_it() {
    let mut setup = natural(ComputePath::Scalar);
    setup.schedule.learning_rate = Curve::Power { start: 1.0, exponent: 0.6, offset: 10.0 };
    setup.schedule.follower_learning_rate = Some(Curve::Power { start: 2.0, exponent: 0.4, offset: 10.0 });
    setup.training.steps = 1000;
    check(&setup, "stackelberg_gap", 1e-6);
}

#[test]
fn adam_reaches_it_with_a_decaying_rate() {
    for path in PATHS {
        let mut setup = Setup { path, ..Setup::new() };
        setup.training.optimizer = Optimizer::Adam;
        setup.training.steps = 3000;
        setup.schedule.kappa = Kappa::Constant { value: 2.0 };
        setup.schedule.learning_rate = Curve::Linear { start: 0.05, end: 0.0 };
        check(&setup, "stackelberg_gap", 1e-6);
    }
}

#[test]
fn without_temperature_the_gap_vanishes_all_the_same() {
    let mut setup = natural(ComputePath::Scalar);
    setup.tau = 0.0;
    check(&setup, "stackelberg_gap", 1e-6);
}

#[test]
fn nash_md_without_mixture_reaches_the_regularised_equilibrium() {
    for path in PATHS {
        for matrix in [Setup::new().matrix, LOPSIDED.iter().map(|row| row.to_vec()).collect()] {
            let mut setup = Setup { method: Name::NashMd(constant(0.0)), matrix, ..natural(path) };
            setup.schedule.learning_rate = constant(0.2);
            setup.training.steps = 4000;
            check(&setup, "duality_gap", 1e-6);
            check(&setup, "tv_nash", 1e-3);
        }
    }
}

#[test]
fn nash_md_with_a_constant_mixture_reaches_its_own_fixed_point() {
    for path in PATHS {
        let mut setup = Setup { method: Name::NashMd(constant(0.5)), ..natural(path) };
        setup.schedule.learning_rate = constant(0.2);
        setup.training.steps = 2000;
        check(&setup, "tv_fixed_point", 1e-6);
        let seen = setup.train();
        // Which is not the equilibrium.
        assert!(seen.last(10, "duality_gap") > 1e-5, "{}", seen.last(10, "duality_gap"));
    }
}

#[test]
fn nash_md_with_an_annealed_mixture_reaches_the_equilibrium() {
    let mut setup =
        Setup { method: Name::NashMd(Curve::Linear { start: 0.5, end: 0.0 }), ..natural(ComputePath::Scalar) };
    setup.schedule.learning_rate = constant(0.2);
    setup.training.steps = 4000;
    check(&setup, "duality_gap", 1e-3);
}

#[test]
fn rlhf_reaches_the_bradley_terry_policy() {
    let weights = vec![vec![0.0, 3.0, 1.0], vec![3.0, 0.0, 1.0], vec![1.0, 1.0, 0.0]];
    for path in PATHS {
        for pairs in [PairDistribution::Uniform, PairDistribution::Weights { weights: weights.clone() }] {
            let setup = Setup { method: Name::Rlhf(pairs), ..natural(path) };
            check(&setup, "tv_rlhf", 1e-9);
        }
    }
}

fn sampled(method: Name) -> Setup {
    let mut setup = Setup { method, seeds: (1..=5).collect(), ..Setup::new() };
    setup.tau = 0.5;
    setup.training.gradient = Gradient::Sampled;
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    setup.training.num_generations = 8;
    setup.training.steps = 20_000;
    setup.schedule.kappa = Kappa::Constant { value: 4.0 };
    setup.schedule.learning_rate = Curve::Power { start: 0.5, exponent: 0.7, offset: 200.0 };
    setup
}

#[test]
fn sampled_gradients_come_close_on_average_over_seeds() {
    let check = |method, key: &str| {
        let setup = sampled(method);
        let seen = setup.train();
        let mean: f64 = (10..15).map(|run| seen.last(run, key)).sum::<f64>() / 5.0;
        assert!(mean <= 1e-2, "{key}: {mean}");
    };
    check(Name::Stackelberg, "stackelberg_gap");
    check(Name::NashMd(constant(0.0)), "duality_gap");
    check(Name::Rlhf(PairDistribution::Uniform), "tv_rlhf");
}

#[test]
fn metrics_have_the_contracts_names_and_agree_with_each_other() {
    let mut setup = natural(ComputePath::Scalar);
    setup.evaluation_every = 150;
    let seen = setup.train();
    let steps: Vec<u64> = seen.metrics.keys().filter(|(run, _)| *run == 10).map(|(_, step)| *step).collect();
    assert_eq!(steps, [0, 150, 300, 400]);
    assert_eq!(
        seen.metrics[&(10, 0)].keys.iter().map(|key| key.name()).collect::<Vec<_>>(),
        [
            "stackelberg_gap",
            "leader_gap",
            "follower_gap",
            "tv_leader",
            "tv_follower",
            "kl_leader",
            "entropy_leader",
            "win_rate/reference",
            "win_rate/worst_opponent",
            "value/committed",
            "objective",
            "kl_follower",
            "entropy_follower",
            "win_rate/follower",
        ]
    );
    for &(run, step) in seen.metrics.keys() {
        let metric = |key| seen.metric(run, step, key);
        assert!((metric("stackelberg_gap") - metric("leader_gap") - metric("follower_gap")).abs() < 1e-15);
        assert!(metric("value/committed") <= metric("win_rate/worst_opponent"));
        // KL to a uniform reference is log n − entropy.
        assert!((metric("kl_leader") + metric("entropy_leader") - 3.0_f64.ln()).abs() < 1e-12);
    }
    let policy = &seen.policies[&10];
    assert!((policy.leader.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(policy.follower.len(), 9);
    let rows: Vec<u64> = seen.schedules.iter().filter(|row| row.run == 10).map(|row| row.step).collect();
    assert_eq!(rows, [1, 150, 300, 400]);
}
