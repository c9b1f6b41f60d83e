//! MNPO on games: its steps against the paper's update, its gradient against its loss, where it ends, and when.

use std::collections::BTreeMap;

use slhf_learn::{RunState, Training};
use slhf_plan::{ComputePath, Gradient, Inpo, Labels, Method, Mnpo, MnpoOnGames, Preconditioner};

use crate::finite::{check, natural};
use crate::gradients::{central_difference, lopsided, softmax};
use crate::support::{Name, Seen, Setup, own};

const PATHS: [ComputePath; 2] = [ComputePath::Scalar, ComputePath::Tensor];
const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];

pub(crate) fn mnpo(eta: f64, opponents: &[f64]) -> Name {
    let opponents = opponents.to_vec();
    own(move |training| Method::Mnpo(Mnpo { eta, opponents: opponents.clone(), own: MnpoOnGames {}, training }))
}

fn inpo(eta: f64) -> Name {
    own(move |training| Method::Inpo(Inpo { eta, num_iterations: 1, labels: Labels::Soft, training }))
}

fn policies(setup: &Setup, steps: u64) -> Vec<Vec<f64>> {
    (0..=steps).map(|steps| softmax(setup.after(steps).leader_logits())).collect()
}

/// λ of those of three opponents that are there at a step, the policy of the step first.
fn weights(step: usize) -> Vec<f64> {
    let there = &WEIGHTS[..WEIGHTS.len().min(step + 1)];
    there.iter().map(|weight| weight / there.iter().sum::<f64>()).collect()
}

#[test]
fn a_natural_step_is_its_papers_update_against_the_policies_that_were_played() {
    let (eta, steps) = (2.0, 5);
    for path in PATHS {
        let setup = Setup { seeds: vec![1], path, ..natural(mnpo(eta, &WEIGHTS), 1.0 / eta, steps) };
        let played = policies(&setup, steps);
        let reference = setup.reference_leader.clone().unwrap();
        let share = setup.tau / eta;
        for step in 0..steps as usize {
            let logit = |y: usize| {
                let of = |(j, weight): (usize, f64)| {
                    let past = &played[step - j];
                    let won: f64 = (0..3).map(|z| setup.matrix[y][z] * past[z]).sum();
                    weight * ((1.0 - share) * past[y].ln() + won / eta)
                };
                share * reference[y].ln() + weights(step).into_iter().enumerate().map(of).sum::<f64>()
            };
            let expected = softmax(&[logit(0), logit(1), logit(2)]);
            let found = &played[step + 1];
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-13), "{found:?} is not {expected:?}");
        }
    }
}

#[test]
fn it_ends_at_the_regularised_nash_policy_whatever_the_weights() {
    for opponents in [&[1.0, 1.0, 1.0][..], &WEIGHTS, &[0.0, 1.0], &[3.0, 0.0, 0.0, 1.0]] {
        let _ = check(&natural(mnpo(2.0, opponents), 0.5, 2000), "duality_gap", 1e-13);
        let _ = check(&natural(mnpo(2.0, opponents), 0.5, 2000), "tv_nash", 1e-9);
    }
    let mut plain = natural(mnpo(2.0, &WEIGHTS), 4.0, 8000);
    plain.training.preconditioner = Preconditioner::None;
    let _ = check(&plain, "duality_gap", 1e-9);
}

#[test]
fn one_opponent_is_inpo() {
    for path in PATHS {
        let setup = |method| Setup { seeds: vec![1], path, ..natural(method, 0.4, 30) };
        let (one, other) = (policies(&setup(mnpo(2.0, &[7.0])), 30), policies(&setup(inpo(2.0)), 30));
        for (a, b) in one.iter().flatten().zip(other.iter().flatten()) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
    }
}

/// Of a step with a past, before the policy is near its target.
#[test]
fn a_plain_step_is_the_gradient_of_the_published_loss() {
    let (eta, rate) = (1.5, 0.1);
    for path in PATHS {
        let mut setup = Setup { method: mnpo(eta, &WEIGHTS), path, ..lopsided() };
        setup.schedule.learning_rate = slhf_plan::Curve::Constant { value: rate };
        let played = policies(&setup, 2);
        let (before, after) = (setup.after(2), setup.after(3));
        let reference = setup.reference_leader.clone().unwrap();
        let label = |y: usize, z: usize| 0.5 * (setup.matrix[y][z] + 1.0 - setup.matrix[z][y]);
        let over = |of: &dyn Fn(&[f64]) -> f64| -> f64 {
            weights(2).iter().enumerate().map(|(j, weight)| weight * of(&played[2 - j])).sum()
        };
        let share = setup.tau / eta;
        let won = |y: usize| over(&|past| (0..3).map(|z| past[z] * label(y, z)).sum());
        let loss = |logits: &[f64]| {
            let pi = softmax(logits);
            let h = |y: usize| pi[y].ln() - share * reference[y].ln() - (1.0 - share) * over(&|past| past[y].ln());
            let pairs = (0..3).flat_map(|y| (0..3).map(move |z| (y, z)));
            let of = |(y, z): (usize, usize)| {
                played[2][y] * played[2][z] * 0.25 * eta * (h(y) - h(z) - (won(y) - won(z)) / eta).powi(2)
            };
            pairs.map(of).sum()
        };
        let (before, after) = (before.leader_logits(), after.leader_logits());
        let mut largest = 0.0_f64;
        for index in 0..3 {
            let step = (after[index] - before[index]) / rate;
            let derivative = -central_difference(before, index, loss);
            assert!((step - derivative).abs() < 1e-8, "{path:?}: {step} is not {derivative}");
            largest = largest.max(derivative.abs());
        }
        assert!(largest > 1e-2, "{largest}");
    }
}

/// From a state with a past, so that opponents are drawn from the mixture.
#[test]
fn a_sampled_step_is_the_exact_one_on_average() {
    const RUNS: u64 = 20_000;
    let exact = Setup { method: mnpo(2.0, &WEIGHTS), ..lopsided() };
    let (before, after) = (exact.after(2), exact.after(3));
    let mut sampled = exact;
    sampled.training.gradient = Gradient::Sampled;
    sampled.training.num_generations = 3;
    sampled.training.steps = 3;
    sampled.seeds = (0..RUNS).collect();
    let plan = sampled.plan();
    let mut training = Training::new(&plan, &sampled.matrices(), BTreeMap::new()).unwrap();
    for run in &plan.runs {
        training.restore(run.run, &before.to_bytes().unwrap()).unwrap();
    }
    let mut seen = Seen::default();
    training.train(&mut seen).unwrap();
    let states: Vec<RunState> =
        seen.checkpoints[0].1.iter().map(|(run, bytes)| RunState::from_bytes(*run, bytes).unwrap()).collect();
    assert_eq!(states.len() as u64, RUNS);
    for index in 0..3 {
        let moved = |state: &RunState| state.leader_logits()[index] - before.leader_logits()[index];
        let steps: Vec<f64> = states.iter().map(moved).collect();
        let mean = steps.iter().sum::<f64>() / RUNS as f64;
        let variance = steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / RUNS as f64;
        let (error, expected) = ((variance / RUNS as f64).sqrt(), moved(&after));
        assert!((mean - expected).abs() < 5.0 * error + 1e-12, "{mean} ± {error} is not {expected}");
        assert!(error > 0.0 && error < 0.2 * expected.abs().max(0.02), "{error} {expected}");
    }
}

/// η = 0.2 at τ = 0.1: with the last iterate alone an error of the cycle grows by 1.07 a step, against three past policies it shrinks.
#[test]
fn past_opponents_hold_where_the_last_iterate_alone_circles() {
    let last = |method: Name| natural(method, 5.0, 2000).train().last(10, "duality_gap");
    assert!(last(inpo(0.2)) > 1e-2);
    assert!(last(mnpo(0.2, &WEIGHTS)) < 1e-12);
    assert!(last(mnpo(0.2, &[1.0, 1.0, 1.0])) < 1e-9);
}

#[test]
fn what_it_cannot_be_is_refused() {
    let refused = |method: Name| {
        let setup = natural(method, 0.5, 1);
        Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap_err().to_string()
    };
    for (opponents, sentence) in [
        (&[][..], "method.opponents: 0 weights; expected 1 to 64, that of the policy as it is first"),
        (&[1.0; 65], "method.opponents: 65 weights; expected 1 to 64"),
        (&[1.0, -0.5], "method.opponents: -0.5; expected finite numbers, not negative"),
        (&[0.0, 0.0], "method.opponents: weights that sum to 0; expected a finite sum above 0"),
    ] {
        let found = refused(mnpo(2.0, opponents));
        assert!(found.contains(sentence), "{found}");
    }
    assert!(
        refused(mnpo(0.05, &[1.0]))
            .contains("method.eta: 0.05; expected a finite number above 0 and at least game.tau_nash")
    );
}
