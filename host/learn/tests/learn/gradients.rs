//! The first step of a run against finite differences of its objective, computed here by its definition.

use std::collections::BTreeMap;

use slhf_learn::{RunState, Training};
use slhf_plan::{ComputePath, ControlVariate, Gradient, Kappa, Optimizer, Preconditioner, Realisation};

use crate::support::{LOPSIDED, Name, Seen, Setup, constant};

pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (l - largest).exp()).sum();
    logits.iter().map(|l| (l - largest).exp() / sum).collect()
}

pub(crate) fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
}

/// `E[P[y][y′]] − τ_L·KL(π ‖ π_ref) + τ_F·E_y[KL(ω(·|y) ‖ ω_ref(·|y))]`, as game.md has it.
fn objective(setup: &Setup, leader: &[f64], follower: &[f64]) -> f64 {
    let n = leader.len();
    let pi = softmax(leader);
    let mut value = -setup.tau * kl(&pi, setup.reference_leader.as_ref().unwrap());
    for i in 0..n {
        let omega = softmax(&follower[i * n..(i + 1) * n]);
        let payoff: f64 = (0..n).map(|j| omega[j] * setup.matrix[i][j]).sum();
        value += pi[i] * (payoff + setup.tau * kl(&omega, &setup.reference_follower.as_ref().unwrap()[i]));
    }
    value
}

pub(crate) fn lopsided() -> Setup {
    Setup {
        matrix: LOPSIDED.iter().map(|row| row.to_vec()).collect(),
        reference_leader: Some(vec![0.2, 0.3, 0.5]),
        reference_follower: Some(vec![vec![0.6, 0.3, 0.1], vec![0.2, 0.2, 0.6], vec![0.4, 0.5, 0.1]]),
        tau: 0.3,
        ..Setup::new()
    }
}

pub(crate) fn central_difference(at: &[f64], index: usize, f: impl Fn(&[f64]) -> f64) -> f64 {
    const STEP: f64 = 1e-5;
    let (mut up, mut down) = (at.to_vec(), at.to_vec());
    up[index] += STEP;
    down[index] -= STEP;
    (f(&up) - f(&down)) / (2.0 * STEP)
}

/// The change of the first step divided by the learning rate: what was used as gradient.
pub(crate) fn first_step(setup: &Setup) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) {
    let (before, after) = (setup.after(0), setup.after(1));
    let rate = setup.schedule.learning_rate.at(1, 1);
    let change = |before: &[f64], after: &[f64]| after.iter().zip(before).map(|(a, b)| (a - b) / rate).collect();
    (
        before.leader_logits().to_vec(),
        before.follower_logits().to_vec(),
        change(before.leader_logits(), after.leader_logits()),
        change(before.follower_logits(), after.follower_logits()),
    )
}

#[test]
fn plain_gradients_are_the_derivatives_of_the_whole_objective() {
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        let setup = Setup { path, ..lopsided() };
        let (leader, follower, leader_step, follower_step) = first_step(&setup);
        for (index, step) in leader_step.iter().enumerate() {
            let derivative = central_difference(&leader, index, |logits| objective(&setup, logits, &follower));
            assert!((step - derivative).abs() < 1e-9, "{path:?}: Leader {index}: {step} is not {derivative}");
        }
        for (index, step) in follower_step.iter().enumerate() {
            // κ = 5 by the learning-rate ratio; the Follower descends.
            let derivative = -5.0 * central_difference(&follower, index, |logits| objective(&setup, &leader, logits));
            assert!((step - derivative).abs() < 1e-9, "{path:?}: Follower {index}: {step} is not {derivative}");
        }
    }
}

#[test]
fn natural_gradients_are_plain_ones_without_the_fisher_matrix() {
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        let plain = Setup { path, ..lopsided() };
        let mut natural = plain.clone();
        natural.training.preconditioner = Preconditioner::Natural;
        let (leader, follower, plain_leader, plain_follower) = first_step(&plain);
        let (_, _, natural_leader, natural_follower) = first_step(&natural);
        let pi = softmax(&leader);
        for i in 0..3 {
            let omega = softmax(&follower[i * 3..(i + 1) * 3]);
            assert!((pi[i] * natural_leader[i] - plain_leader[i]).abs() < 1e-12);
            for j in 0..3 {
                let expected = plain_follower[i * 3 + j];
                assert!((pi[i] * omega[j] * natural_follower[i * 3 + j] - expected).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn loss_weight_and_learning_rate_ratio_are_one_under_plain_descent() {
    let ratio = lopsided();
    let mut weight = lopsided();
    weight.schedule.realisation = Realisation::LossWeight;
    let (one, other) = (ratio.after(40), weight.after(40));
    for (a, b) in one.follower_logits().iter().zip(other.follower_logits()) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn one_update_per_leader_update_is_kappa_one_and_more_run_ahead() {
    for path in [ComputePath::Scalar, ComputePath::Tensor] {
        let mut one = Setup { path, ..lopsided() };
        one.schedule.kappa = Kappa::Constant { value: 1.0 };
        let mut updates = one.clone();
        updates.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
        assert_eq!(one.after(20), updates.after(20), "{path:?}");

        updates.schedule.kappa = Kappa::Constant { value: 3.0 };
        let seen = updates.train();
        let row = seen.schedules.last().unwrap();
        assert_eq!((row.leader_updates, row.follower_updates), (100, 300), "{path:?}");
    }
}

/// Mean and standard error of the first sampled step over many seeds, entry by entry. All start where the first seed
/// starts: off the references, so that the KL terms count.
pub(crate) fn mean_sampled_step(setup: &Setup, runs: u64) -> Vec<(f64, f64)> {
    let start = setup.after(0);
    let mut setup = setup.clone();
    setup.training.steps = 1;
    setup.seeds = (0..runs).collect();
    let plan = setup.plan();
    let mut training = Training::new(&plan, &setup.matrices(), BTreeMap::new()).unwrap();
    for run in &plan.runs {
        training.restore(run.run, &start.to_bytes().unwrap()).unwrap();
    }
    let mut seen = Seen::default();
    training.train(&mut seen).unwrap();
    let (_, states) = &seen.checkpoints[0];
    let entries = start.leader_logits().len() + start.follower_logits().len();
    let mut sums = vec![(0.0, 0.0); entries];
    for (run, bytes) in states {
        let state = RunState::from_bytes(*run, bytes).unwrap();
        let after = state.leader_logits().iter().chain(state.follower_logits());
        let before = start.leader_logits().iter().chain(start.follower_logits());
        for ((sum, after), before) in sums.iter_mut().zip(after).zip(before) {
            let step = (after - before) / setup.schedule.learning_rate.at(1, 1);
            sum.0 += step;
            sum.1 += step * step;
        }
    }
    let count = runs as f64;
    sums.iter().map(|(sum, square)| (sum / count, ((square / count - (sum / count).powi(2)) / count).sqrt())).collect()
}

#[test]
fn sampled_gradients_are_exact_on_average_under_every_control_variate() {
    let variates = [
        ControlVariate::Constant { value: 0.5 },
        ControlVariate::LeaveOneOut,
        ControlVariate::MovingAverage { decay: 0.9 },
    ];
    let methods = [Name::Stackelberg, Name::NashMd(constant(0.25)), Name::Rlhf(slhf_plan::PairDistribution::Uniform)];
    for method in methods {
        let exact = Setup { method, ..lopsided() };
        let (_, _, leader, follower) = first_step(&exact);
        let expected: Vec<f64> = leader.into_iter().chain(follower).collect();
        for variate in &variates {
            let mut sampled = exact.clone();
            sampled.training.gradient = Gradient::Sampled;
            sampled.training.score_baseline = variate.clone();
            for ((mean, error), expected) in mean_sampled_step(&sampled, 20_000).into_iter().zip(&expected) {
                let distance = (mean - expected).abs();
                assert!(distance < 5.0 * error + 1e-12, "{variate:?}: {mean} ± {error} is not {expected}");
            }
        }
    }
}

#[test]
fn adam_steps_by_the_learning_rate_at_first() {
    let mut setup = lopsided();
    setup.training.optimizer = Optimizer::Adam;
    setup.schedule.kappa = Kappa::Constant { value: 2.0 };
    let (_, _, leader, follower) = first_step(&setup);
    assert!(leader.iter().all(|step| (step.abs() - 1.0).abs() < 1e-5), "{leader:?}");
    assert!(follower.iter().all(|step| (step.abs() - 2.0).abs() < 1e-4), "{follower:?}");
}
