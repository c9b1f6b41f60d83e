//! How long exact solutions take: `cargo bench --profile dev -p slhf-game --bench solve`.
//!
//! Games: random margins, uniform in [−1/2, 1/2] (7 and 1,000 actions), and a long cycle with noise
//! (100 actions), where about every action has mass.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use slhf_game::{Game, NashGame, PreferenceMatrix, StackelbergSolution, TemperatureValues, Temperatures, solve};
use slhf_random::SplitMix64;

/// A complementary game whose margins above the diagonal are given.
fn game(actions: usize, tau: f64, mut margin: impl FnMut(usize, usize) -> f64) -> Game {
    let mut entries = vec![0.5; actions * actions];
    for first in 0..actions {
        for second in first + 1..actions {
            let margin = margin(first, second).clamp(-0.5, 0.5);
            entries[first * actions + second] = 0.5 + margin;
            entries[second * actions + first] = 0.5 - margin;
        }
    }
    let values = TemperatureValues { leader: tau, follower: tau, nash: tau, rlhf: 1.0 };
    let temperatures = Temperatures::new(values).expect("valid temperatures");
    Game::with_uniform_references(PreferenceMatrix::new(actions, entries).expect("a valid matrix"), temperatures)
}

fn random(actions: usize, tau: f64) -> Game {
    let mut numbers = SplitMix64::new(1);
    game(actions, tau, |_, _| numbers.uniform() - 0.5)
}

fn cyclic(actions: usize, tau: f64) -> Game {
    let mut numbers = SplitMix64::new(2);
    game(actions, tau, |first, second| {
        let ahead = 2 * (second - first) < actions;
        (if ahead { 0.4 } else { -0.4 }) + 0.2 * (numbers.uniform() - 0.5)
    })
}

fn small(criterion: &mut Criterion) {
    for tau in [0.0, 0.1, 0.02] {
        let game = random(7, tau);
        criterion.bench_function(&format!("all solutions, 7 actions, tau {tau}"), |b| {
            b.iter(|| solve(black_box(&game)));
        });
    }
    let game = random(10, 0.1);
    let solution = StackelbergSolution::of(&game);
    let nash = NashGame::of(&game);
    let log_pi = game.reference_leader().log_probabilities().to_vec();
    let log_omega = game.reference_follower().log_probabilities().to_vec();
    criterion.bench_function("Stackelberg gaps, 10 actions", |b| {
        b.iter(|| solution.gaps(black_box(&log_pi), black_box(&log_omega)));
    });
    criterion.bench_function("duality gap, 10 actions", |b| b.iter(|| nash.duality_gap(black_box(&log_pi))));
}

fn medium(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100 actions");
    group.sample_size(20);
    for tau in [0.0, 0.1, 0.02] {
        let game = cyclic(100, tau);
        group.bench_function(format!("all solutions, cyclic, tau {tau}"), |b| b.iter(|| solve(black_box(&game))));
    }
    group.finish();
}

fn large(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1000 actions");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    for tau in [0.0, 0.1, 0.02] {
        for (kind, game) in [("random", random(1000, tau)), ("cyclic", cyclic(1000, tau))] {
            let nash = NashGame::of(&game);
            group.bench_function(format!("Nash, {kind}, tau {tau}"), |b| b.iter(|| black_box(&nash).solve()));
        }
    }
    let game = random(1000, 0.1);
    group.bench_function("all solutions, random, tau 0.1", |b| b.iter(|| solve(black_box(&game))));
    group.finish();
}

criterion_group!(benches, small, medium, large);
criterion_main!(benches);
