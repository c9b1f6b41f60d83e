//! NLHF at τ > 0: Newton's fixed point against other methods, its residual on hard games, Nash-MD.

use proptest::prelude::*;
use slhf_game::{FollowerReference, Game, MixtureCoefficient, NashGame, NashSolution, PreferenceMatrix};
use slhf_random::SplitMix64;

use crate::support::*;

/// The residual of `π ∝ π_ref exp(Pπ/τ)` in probability, computed from the definition.
fn fixed_point_residual(game: &Game, policy: &[f64]) -> f64 {
    let tau = game.temperatures().nash();
    let gains = times(&game.preferences().symmetrised(), policy);
    let log_reference = game.reference_leader().log_probabilities();
    let logits: Vec<f64> = gains.iter().zip(log_reference).map(|(gain, log_ref)| log_ref + gain / tau).collect();
    distance(&softmax(&logits), policy)
}

/// Damped iteration, the textbook method: slow, simple, and independent of Newton's.
fn damped(game: &Game) -> Vec<f64> {
    let tau = game.temperatures().nash();
    let step = tau * tau / (tau * tau + 0.11);
    let log_reference = game.reference_leader().log_probabilities();
    let mut logits = log_reference.to_vec();
    for _ in 0..20_000 {
        let gains = times(&game.preferences().symmetrised(), &softmax(&logits));
        for i in 0..logits.len() {
            logits[i] = (1.0 - step) * logits[i] + step * (log_reference[i] + gains[i] / tau);
        }
    }
    softmax(&logits)
}

fn with_reference(preferences: PreferenceMatrix, logits: &[f64], tau: f64) -> Game {
    let n = preferences.actions();
    Game::new(preferences, reference(logits), FollowerReference::uniform(n), temperatures(0.0, 0.0, tau, 1.0))
        .expect("parts of one size")
}

#[test]
fn newton_and_damped_iteration_agree() {
    let mut numbers = SplitMix64::new(5);
    for actions in 2..=7 {
        for tau in [0.15, 0.4, 1.0] {
            let preferences = complementary(actions, |_, _| numbers.uniform() - 0.5);
            let logits: Vec<f64> = (0..actions).map(|_| 2.0 * numbers.uniform()).collect();
            let game = with_reference(preferences, &logits, tau);
            let solution = NashGame::of(&game).solve();
            assert!(distance(&solution.policy, &damped(&game)) < 1e-9, "{actions} actions at {tau}");
        }
    }
}

/// The kinds of games on which methods fail: long cycles, coin-flip tournaments, nearly tied games, tallies
/// with many exact ties, and cycles with a degenerate direction.
fn hard_margin(kind: usize, actions: usize, first: usize, second: usize, numbers: &mut SplitMix64) -> f64 {
    let twice_ahead = 2 * (second - first);
    let cyclic = match twice_ahead.cmp(&actions) {
        std::cmp::Ordering::Less => 0.4,
        std::cmp::Ordering::Equal => 0.0,
        std::cmp::Ordering::Greater => -0.4,
    };
    let number = numbers.uniform();
    match kind {
        0 => number - 0.5,
        1 => cyclic + 0.2 * (number - 0.5),
        2 => {
            if number < 0.5 {
                0.5
            } else {
                -0.5
            }
        }
        3 => 1e-4 * (number - 0.5),
        4 => (10.0 * (number - 0.5)).round() / 10.0,
        _ => cyclic + 1e-9 * number,
    }
}

fn hard_games(check: impl Fn(&Game, &str)) {
    for kind in 0..6 {
        for (actions, games) in [(3, 12), (8, 12), (25, 6), (100, 1)] {
            let mut numbers = SplitMix64::new(100 * kind as u64 + actions as u64);
            for seed in 0..games {
                let preferences = complementary(actions, |i, j| hard_margin(kind, actions, i, j, &mut numbers));
                let logits: Vec<f64> = (0..actions).map(|_| 3.0 * numbers.uniform()).collect();
                let game = with_reference(preferences, &logits, 1.0);
                check(&game, &format!("kind {kind}, {actions} actions, game {seed}"));
            }
        }
    }
}

fn assert_equilibrium(game: &Game, solution: &NashSolution, what: &str) {
    assert!(solution.residual <= 1e-10, "{what}: residual {}", solution.residual);
    assert!((0.0..=1e-9).contains(&solution.duality_gap), "{what}: gap {}", solution.duality_gap);
    assert!((solution.policy.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{what}");
    assert!((solution.value - 0.5).abs() < 1e-12, "{what}: value {}", solution.value);
    assert!(fixed_point_residual(game, &solution.policy) < 1e-10, "{what}");
}

#[test]
fn the_fixed_point_is_reached_on_hundreds_of_hard_games() {
    hard_games(|game, what| {
        for tau in [1.0, 0.1, 0.02, 0.001] {
            let game = game.at(temperatures(0.0, 0.0, tau, 1.0));
            assert_equilibrium(&game, &NashGame::of(&game).solve(), &format!("{what} at {tau}"));
        }
    });
}

/// An action that starts with a mass of 1e-300 may carry the equilibrium: it appears late, and within a
/// sliver of the path.
#[test]
fn references_of_vanishing_mass_are_followed() {
    let mut numbers = SplitMix64::new(77);
    for seed in 0..150 {
        let actions = 2 + (30.0 * numbers.uniform()) as usize;
        let small = 10.0_f64.powf(-10.0 * numbers.uniform());
        let preferences = complementary(actions, |_, _| {
            let scale = if numbers.uniform() < 0.3 { small } else { 1.0 };
            scale * (numbers.uniform() - 0.5)
        });
        let logits: Vec<f64> = (0..actions).map(|_| -690.0 * numbers.uniform().powi(3)).collect();
        for tau in [0.1, 0.02, 1e-4, 1e-6] {
            let solution = NashGame::of(&with_reference(preferences.clone(), &logits, tau)).solve();
            assert!(solution.is_precise(), "game {seed} at {tau}: {} {}", solution.residual, solution.duality_gap);
        }
    }
}

/// The limit τ → 0 is a maximal lottery, and the solver follows the path all the way.
#[test]
fn tiny_temperatures_approach_maximal_lotteries() {
    hard_games(|game, what| {
        for tau in [1e-6, 1e-10, 1e-30, f64::from_bits(1)] {
            let solution = NashGame::of(&game.at(temperatures(0.0, 0.0, tau, 1.0))).solve();
            let gap = NashGame::of(game).unregularised_gap(&solution.log_policy);
            // The regularised optimum loses at most τ KL, and KL is at most log(1/min π_ref) < 9.
            assert!(gap <= 9.0 * tau + 1e-9, "{what} at {tau}: unregularised gap {gap}");
            assert!(solution.duality_gap <= 1e-9, "{what} at {tau}: gap {}", solution.duality_gap);
        }
    });
}

#[test]
fn a_thousand_actions_are_solved() {
    let mut numbers = SplitMix64::new(9);
    let preferences = complementary(1000, |i, j| hard_margin(1, 1000, i, j, &mut numbers));
    for tau in [0.02, 0.0] {
        let solution = NashGame::of(&uniform_game(preferences.clone(), tau)).solve();
        assert!(solution.duality_gap <= 1e-12 && solution.residual <= 1e-10, "at {tau}");
    }
}

proptest! {
    #![proptest_config(seeded(300))]

    #[test]
    fn the_equilibrium_satisfies_its_equation(game in with_random_rest(complementary_matrices(8))) {
        assert_equilibrium(&game, &NashGame::of(&game).solve(), "a random game");
    }

    #[test]
    fn the_two_forms_of_the_gap_agree((game, log_pi, _) in with_learned_pair(any_matrices(6))) {
        let nash = NashGame::of(&game);
        let gap = nash.duality_gap(&log_pi);
        prop_assert!(gap >= 0.0);
        let by_definition = nash.duality_gap_by_definition(&log_pi);
        prop_assert!(by_definition >= -1e-12);
        prop_assert!((gap - by_definition).abs() < 1e-9);
        // And once more, written out on the complementary matrix.
        let tau = game.temperatures().nash();
        let policy: Vec<f64> = log_pi.iter().map(|l| l.exp()).collect();
        let gains = times(&game.preferences().symmetrised(), &policy);
        let reference = game.reference_leader().probabilities();
        let best: f64 = tau * gains.iter().zip(reference).map(|(g, r)| r * (g / tau).exp()).sum::<f64>().ln();
        let divergence: f64 = policy.iter().zip(reference).map(|(p, r)| p * (p / r).ln()).sum();
        prop_assert!((gap - (best + tau * divergence - inner(&policy, &gains))).abs() < 1e-9);
    }

    /// The regularised gap is the sum of what either side of the saddle could still win: half of
    /// the two-sided gap.
    #[test]
    fn nobody_gains_by_deviating((game, log_pi, _) in with_learned_pair(complementary_matrices(6))) {
        let nash = NashGame::of(&game);
        let solution = nash.solve();
        let tau = game.temperatures().nash();
        let log_reference = game.reference_leader().log_probabilities();
        let payoff = |first: &[f64], second: &[f64]| {
            let penalty = |log_policy: &[f64]| slhf_game::divergence(log_policy, log_reference);
            game.preferences().win_rate(first, second) - tau * penalty(first) + tau * penalty(second)
        };
        let deviation = payoff(&log_pi, &solution.log_policy);
        prop_assert!(deviation <= 0.5 + 1e-12, "{}", deviation);
        // What the best deviation against π wins is at least what the equilibrium wins.
        prop_assert!(nash.duality_gap(&log_pi) >= payoff(&solution.log_policy, &log_pi) - 0.5 - 1e-12);
    }

    #[test]
    fn nash_md_s_fixed_point_satisfies_both_its_equations(
        game in with_random_rest(any_matrices(6)),
        m in 0.0..=1.0_f64,
    ) {
        let tau = game.temperatures().nash();
        let nash = NashGame::of(&game);
        let point = nash.mixture_fixed_point(MixtureCoefficient::new(m).unwrap()).unwrap();
        let log_reference = game.reference_leader().log_probabilities();
        let mixture: Vec<f64> = point.log_mixture.iter().map(|l| l.exp()).collect();
        let gains = times(&game.preferences().symmetrised(), &mixture);
        let policy: Vec<f64> = gains.iter().zip(log_reference).map(|(g, l)| l + g / tau).collect();
        let mixed: Vec<f64> = point.log_policy.iter().zip(log_reference).map(|(p, l)| (1.0 - m) * p + m * l).collect();
        let found: Vec<f64> = point.log_policy.iter().map(|l| l.exp()).collect();
        prop_assert!(distance(&softmax(&policy), &found) < 1e-10);
        prop_assert!(distance(&softmax(&mixed), &mixture) < 1e-10);
    }
}

/// The asymmetric Condorcet cycle of the quick start.
fn asymmetric_cycle() -> PreferenceMatrix {
    matrix(&[[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])
}

#[test]
fn nash_md_is_biased_towards_its_reference_and_says_by_how_much() {
    let game = with_reference(asymmetric_cycle(), &[1.0, 0.0, -0.5], 0.1);
    let nash = NashGame::of(&game);
    let gap = |m: f64| nash.mixture_fixed_point(MixtureCoefficient::new(m).unwrap()).unwrap().duality_gap;
    assert!(gap(0.0) < 1e-15);
    assert!(gap(0.125) > 1e-6);
    assert!(gap(0.5) > gap(0.125) && gap(1.0) > gap(0.5));
    let unmixed = nash.mixture_fixed_point(MixtureCoefficient::new(0.0).unwrap()).unwrap();
    assert!(largest_difference(&unmixed.log_policy, &nash.solve().log_policy) < 1e-9);
    // Nash-MD itself, run with small steps, ends there.
    let m = 0.5;
    let log_reference = game.reference_leader().log_probabilities();
    let mut logits = log_reference.to_vec();
    for _ in 0..100_000 {
        let mixed: Vec<f64> = logits.iter().zip(log_reference).map(|(z, l)| (1.0 - m) * z + m * l).collect();
        let gains = times(game.preferences(), &softmax(&mixed));
        for i in 0..3 {
            logits[i] += 0.02 * (log_reference[i] + gains[i] / 0.1 - logits[i]);
        }
    }
    let point = nash.mixture_fixed_point(MixtureCoefficient::new(m).unwrap()).unwrap();
    let found: Vec<f64> = point.log_policy.iter().map(|l| l.exp()).collect();
    assert!(distance(&softmax(&logits), &found) < 1e-9);
}

#[test]
fn nash_md_has_no_fixed_point_without_temperature() {
    let nash = NashGame::of(&with_reference(asymmetric_cycle(), &[0.0; 3], 0.0));
    assert_eq!(nash.mixture_fixed_point(MixtureCoefficient::new(0.5).unwrap()), None);
}
