//! Nash-MD and StackelbergGDA on games whose policies are held by the forward divergence or by a mixture (RSPO, arXiv 2503.00030): gradients against
//! differences of the objectives, exact and on average of samples; ends against the equilibria that `slhf_game` solves for; cuts; refusals.

use std::collections::BTreeMap;

use slhf_game::total_variation;
use slhf_learn::Training;
use slhf_plan::{
    ComputePath, ControlVariate, Curve, GamePlayers, Gradient, Kappa, Method, NashMd, NashMdOnGames, Preconditioner,
    Regularizer, RenewedReference, StackelbergGda,
};

use crate::gradients::{central_difference, first_step, kl, lopsided, mean_sampled_step, softmax};
use crate::support::{Name, Seen, Setup, constant, own};

const MIXED: Regularizer = Regularizer::MixedKl { forward: 0.3 };
const OTHERS: [Regularizer; 2] = [Regularizer::ForwardKl, MIXED];

fn nash_md(regularizer: Regularizer) -> Name {
    own(move |training| {
        Method::NashMd(NashMd { mixture_coef: constant(0.0), own: NashMdOnGames { regularizer }, training })
    })
}

fn stackelberg(regularizer: Regularizer, follower_regularizer: Regularizer) -> Name {
    let follower_regularizer = (follower_regularizer != regularizer).then_some(follower_regularizer);
    let players = GamePlayers { regularizer, follower_regularizer };
    own(move |training| Method::StackelbergGda(StackelbergGda { players, training }))
}

/// Pairs of regularizers, with one reverse divergence among them.
const PAIRS: [(Regularizer, Regularizer); 4] = [
    (Regularizer::ForwardKl, Regularizer::ForwardKl),
    (Regularizer::ReverseKl, MIXED),
    (MIXED, Regularizer::ReverseKl),
    (MIXED, Regularizer::ForwardKl),
];

fn held(regularizer: Regularizer, p: &[f64], q: &[f64]) -> f64 {
    let forward = regularizer.forward();
    (1.0 - forward) * kl(p, q) + forward * kl(q, p)
}

fn pair_objective(setup: &Setup, (first, second): (Regularizer, Regularizer), leader: &[f64], follower: &[f64]) -> f64 {
    let n = leader.len();
    let pi = softmax(leader);
    let mut value = -setup.tau * held(first, &pi, setup.reference_leader.as_ref().unwrap());
    for i in 0..n {
        let omega = softmax(&follower[i * n..(i + 1) * n]);
        let payoff: f64 = (0..n).map(|j| omega[j] * setup.matrix[i][j]).sum();
        value += pi[i] * (payoff + setup.tau * held(second, &omega, &setup.reference_follower.as_ref().unwrap()[i]));
    }
    value
}

#[test]
fn exact_gradients_are_the_derivatives_of_the_held_objectives() {
    for (first, second) in PAIRS {
        let setup = Setup { method: stackelberg(first, second), ..lopsided() };
        let (leader, follower, leader_step, follower_step) = first_step(&setup);
        let objective = |leader: &[f64], follower: &[f64]| pair_objective(&setup, (first, second), leader, follower);
        for (index, step) in leader_step.iter().enumerate() {
            let derivative = central_difference(&leader, index, |logits| objective(logits, &follower));
            assert!((step - derivative).abs() < 1e-8, "{first:?}, {second:?}: Leader {index}: {step}, {derivative}");
        }
        for (index, step) in follower_step.iter().enumerate() {
            let derivative = -5.0 * central_difference(&follower, index, |logits| objective(&leader, logits));
            assert!((step - derivative).abs() < 1e-8, "{first:?}, {second:?}: Follower {index}: {step}, {derivative}");
        }
    }
    for regularizer in OTHERS {
        let setup = Setup { method: nash_md(regularizer), ..lopsided() };
        let (leader, _, step, _) = first_step(&setup);
        let opponent = softmax(&leader);
        let label = |i: usize, j: usize| 0.5 * (setup.matrix[i][j] + 1.0 - setup.matrix[j][i]);
        let objective = |logits: &[f64]| {
            let pi = softmax(logits);
            let won: f64 = (0..3).map(|i| (0..3).map(|j| pi[i] * opponent[j] * label(i, j)).sum::<f64>()).sum();
            won - setup.tau * held(regularizer, &pi, setup.reference_leader.as_ref().unwrap())
        };
        for (index, step) in step.iter().enumerate() {
            let derivative = central_difference(&leader, index, objective);
            assert!((step - derivative).abs() < 1e-8, "{regularizer:?}, {index}: {step} is not {derivative}");
        }
    }
}

#[test]
fn sampled_gradients_of_held_players_are_exact_on_average() {
    let methods = [
        stackelberg(Regularizer::ForwardKl, Regularizer::ForwardKl),
        stackelberg(MIXED, MIXED),
        nash_md(Regularizer::ForwardKl),
    ];
    for (place, method) in methods.into_iter().enumerate() {
        let exact = Setup { method, ..lopsided() };
        let (_, _, leader, follower) = first_step(&exact);
        let expected: Vec<f64> = leader.into_iter().chain(follower).collect();
        for variate in [ControlVariate::Constant { value: 0.5 }, ControlVariate::LeaveOneOut] {
            let mut sampled = exact.clone();
            sampled.training.gradient = Gradient::Sampled;
            sampled.training.score_baseline = variate.clone();
            for ((mean, error), expected) in mean_sampled_step(&sampled, 20_000).into_iter().zip(&expected) {
                let distance = (mean - expected).abs();
                assert!(distance < 5.0 * error + 1e-12, "{place}, {variate:?}: {mean} ± {error} is not {expected}");
            }
        }
    }
}

/// Natural steps at a constant rate: gaps fall to rounding.
fn natural(method: Name, rate: f64) -> Setup {
    let mut setup = Setup { method, seeds: vec![1, 2, 3], ..lopsided() };
    setup.training.preconditioner = Preconditioner::Natural;
    setup.training.steps = 4000;
    setup.schedule.learning_rate = Curve::Constant { value: rate };
    setup
}

#[test]
fn nash_md_reaches_the_held_equilibrium() {
    for regularizer in OTHERS {
        for tau in [0.1, 0.3] {
            let setup = Setup { tau, ..natural(nash_md(regularizer), 0.1) };
            let seen = setup.train();
            for run in 10..13 {
                let (gap, distance) = (seen.last(run, "duality_gap"), seen.last(run, "tv_nash"));
                assert!(gap < 1e-12 && distance < 1e-6, "{regularizer:?} at {tau}: {gap:e}, {distance:e}");
            }
        }
    }
}

/// The equilibria of the divergences are different policies, so that the right one was asked for.
#[test]
fn other_divergences_have_other_equilibria() {
    let setup = |regularizer| Setup { tau: 0.05, ..natural(nash_md(regularizer), 0.1) };
    let policy = |regularizer| setup(regularizer).train().policies[&10].leader.clone();
    let logarithms = |policy: Vec<f64>| policy.iter().map(|p| p.ln()).collect::<Vec<f64>>();
    let [reverse, forward] = [Regularizer::ReverseKl, Regularizer::ForwardKl].map(|one| logarithms(policy(one)));
    assert!(total_variation(&reverse, &forward) > 0.005, "{reverse:?} and {forward:?}");
}

#[test]
fn stackelberg_gda_reaches_the_held_pair() {
    for (first, second) in PAIRS {
        let mut setup = natural(stackelberg(first, second), 0.05);
        setup.schedule.kappa = Kappa::Constant { value: 3.0 };
        let seen = setup.train();
        for run in 10..13 {
            let gap = seen.last(run, "stackelberg_gap");
            let (leader, follower) = (seen.last(run, "tv_leader"), seen.last(run, "tv_follower"));
            assert!(
                gap < 1e-10 && leader < 1e-4 && follower < 1e-4,
                "{first:?}, {second:?}: {gap:e}, {leader:e}, {follower:e}"
            );
        }
    }
}

#[test]
fn a_run_that_was_cut_goes_on_bit_for_bit() {
    for method in [nash_md(MIXED), stackelberg(MIXED, Regularizer::ForwardKl)] {
        for gradient in [Gradient::Exact, Gradient::Sampled] {
            let mut setup = Setup { method: method.clone(), ..lopsided() };
            setup.training.gradient = gradient;
            setup.training.steps = 30;
            setup.schedule.learning_rate = Curve::Constant { value: 0.05 };
            setup.checkpoint_every = 10;
            let whole = setup.train();
            let (_, states) = whole.checkpoints.iter().find(|(step, _)| *step == 20).unwrap();
            let mut training = Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap();
            for (run, bytes) in states {
                training.restore(*run, bytes).unwrap();
            }
            let mut seen = Seen::default();
            training.train(&mut seen).unwrap();
            assert_eq!(seen.bytes(10), whole.bytes(10));
            assert_eq!(seen.metrics[&(10, 30)], whole.metrics[&(10, 30)]);
        }
    }
}

#[test]
fn what_another_divergence_cannot_have_is_refused() {
    let check = |setup: &Setup, expected: &str| {
        let refusal = Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    };
    let plain = |method: Name| Setup { method, ..lopsided() };
    let forward = || nash_md(Regularizer::ForwardKl);
    let tensor = Setup { path: ComputePath::Tensor, ..plain(forward()) };
    check(&tensor, "device.path: \"tensor\" with another regularizer than \"reverse_kl\"");
    let mut renewed = plain(forward());
    renewed.training.reference = Some(RenewedReference { renew_every: 5 });
    check(&renewed, "whose regularizer is another than the reverse divergence");
    let cold = Setup { tau: 0.0, ..plain(stackelberg(Regularizer::ForwardKl, Regularizer::ReverseKl)) };
    check(&cold, "method.regularizer: given with game.tau_leader = 0");
    let mixed = own(|training| {
        let own = NashMdOnGames { regularizer: Regularizer::ForwardKl };
        Method::NashMd(NashMd { mixture_coef: constant(0.25), own, training })
    });
    check(&plain(mixed), "method.regularizer: given with a constant mixture_coef above 0");
    check(
        &plain(stackelberg(Regularizer::ReverseKl, Regularizer::MixedKl { forward: 1.5 })),
        "method.follower_regularizer.forward: 1.5; expected a number between 0 and 1",
    );
}
