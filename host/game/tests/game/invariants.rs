//! The invariants of the definitions, each on hundreds of random games.

use proptest::prelude::*;
use slhf_game::{Distribution, FollowerReference, Game, PreferenceMatrix, StackelbergSolution, solve};

use crate::support::*;

fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The game with action `order[k]` called `k`.
fn relabelled(game: &Game, order: &[usize]) -> Game {
    let pick = |values: &[f64]| order.iter().map(|&i| values[i].exp()).collect::<Vec<_>>();
    let rows = order.iter().map(|&i| pick(game.reference_follower().log_row(i)));
    Game::new(
        relabelled_matrix(game.preferences(), order),
        Distribution::new(&pick(game.reference_leader().log_probabilities())).expect("full support"),
        FollowerReference::from_rows(&rows.collect::<Vec<_>>()).expect("full support"),
        *game.temperatures(),
    )
    .expect("parts of one size")
}

fn relabelled_matrix(preferences: &PreferenceMatrix, order: &[usize]) -> PreferenceMatrix {
    let rows = order.iter().map(|&i| order.iter().map(|&j| preferences.get(i, j)).collect::<Vec<_>>());
    matrix(&rows.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(seeded(300))]

    #[test]
    fn leader_values_lie_between_the_worst_and_the_reference_answer(game in with_random_rest(any_matrices(7))) {
        let solution = StackelbergSolution::of(&game);
        for (i, row) in game.preferences().rows().enumerate() {
            let reference: Vec<f64> = game.reference_follower().log_row(i).iter().map(|l| l.exp()).collect();
            let value = solution.leader_values()[i];
            prop_assert!(minimum(row) <= value + 1e-12 && value <= inner(&reference, row) + 1e-12);
        }
    }

    #[test]
    fn leader_values_are_bounded_by_one_half_and_the_price_of_imitation(
        game in with_random_rest(complementary_matrices(7)),
    ) {
        let tau = game.temperatures().follower();
        let solution = StackelbergSolution::of(&game);
        for (i, value) in solution.leader_values().iter().enumerate() {
            let price = -game.reference_follower().log_row(i)[i];
            prop_assert!(*value <= 0.5 + tau * price + 1e-12);
        }
        let hard = StackelbergSolution::of(&game.at(temperatures(0.0, 0.0, 0.0, 1.0)));
        prop_assert!(hard.leader_values().iter().all(|value| *value <= 0.5));
    }

    /// Entries are exact eighths, so that equality can be tested as equality.
    #[test]
    fn the_leader_reaches_the_nash_value_exactly_with_a_weak_condorcet_winner(preferences in coarse_matrices(6)) {
        let solution = StackelbergSolution::of(&uniform_game(preferences.clone(), 0.0));
        let max_min = preferences.rows().map(minimum).fold(f64::NEG_INFINITY, f64::max);
        prop_assert_eq!(solution.objective(), max_min);
        prop_assert!(solution.objective() <= 0.5);
        let winners = preferences.weak_condorcet_winners();
        prop_assert_eq!(solution.objective() == 0.5, !winners.is_empty());
        if !winners.is_empty() {
            prop_assert_eq!(solution.leader_support(), winners);
        }
    }

    #[test]
    fn high_temperatures_return_the_references(game in with_random_rest(any_matrices(6))) {
        let tau = 1e10;
        let game = game.at(temperatures(tau, tau, tau, tau));
        let solutions = solve(&game);
        let leader = game.reference_leader().probabilities();
        let follower: Vec<f64> = game.reference_follower().log_probabilities().iter().map(|l| l.exp()).collect();
        prop_assert!(largest_difference(&solutions.stackelberg.leader(), leader) < 1e-9);
        prop_assert!(largest_difference(&solutions.stackelberg.follower(), &follower) < 1e-9);
        prop_assert!(largest_difference(&solutions.nash.policy, leader) < 1e-9);
        prop_assert!(largest_difference(&solutions.bradley_terry.policy, leader) < 1e-8);
        // The values approach the mean preferences, without losing their digits to the temperature.
        let values: Vec<f64> = game
            .preferences()
            .rows()
            .zip(follower.chunks_exact(game.actions()))
            .map(|(row, reference)| inner(row, reference))
            .collect();
        prop_assert!(largest_difference(solutions.stackelberg.leader_values(), &values) < 1e-9);
        prop_assert!((solutions.stackelberg.objective() - inner(leader, &values)).abs() < 1e-9);
    }

    #[test]
    fn a_strict_condorcet_winner_solves_both_games(
        preferences in complementary_matrices(6),
        margin in 0.001..0.5_f64,
    ) {
        let winner = preferences.actions() / 2;
        let preferences = complementary(preferences.actions(), |i, j| {
            let drawn = preferences.get(i, j) - 0.5;
            if i == winner { drawn.abs().max(margin) } else if j == winner { -drawn.abs().max(margin) } else { drawn }
        });
        let solutions = solve(&uniform_game(preferences, 0.0));
        prop_assert_eq!(solutions.condorcet_winner, Some(winner));
        prop_assert_eq!(solutions.stackelberg.leader_support(), [winner]);
        prop_assert_eq!(solutions.stackelberg.objective(), 0.5);
        prop_assert!((solutions.nash.policy[winner] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn relabelling_permutes_every_solution(
        (game, order) in with_random_rest(any_matrices(6)).prop_flat_map(|game| {
            let labels: Vec<usize> = (0..game.actions()).collect();
            (Just(game), Just(labels).prop_shuffle())
        }),
    ) {
        for game in [game.clone(), game.at(temperatures(0.0, 0.0, 0.0, 0.5))] {
            let (before, after) = (solve(&game), solve(&relabelled(&game, &order)));
            let permuted = |values: &[f64]| order.iter().map(|&i| values[i]).collect::<Vec<_>>();
            let n = game.actions();
            prop_assert!(distance(&permuted(&before.stackelberg.leader()), &after.stackelberg.leader()) < 1e-9);
            for (k, &i) in order.iter().enumerate() {
                let row = permuted(&before.stackelberg.follower()[i * n..(i + 1) * n]);
                prop_assert!(distance(&row, &after.stackelberg.follower()[k * n..(k + 1) * n]) < 1e-9);
            }
            prop_assert!((before.stackelberg.objective() - after.stackelberg.objective()).abs() < 1e-12);
            prop_assert!(distance(&permuted(&before.nash.policy), &after.nash.policy) < 1e-9);
            prop_assert!(
                largest_difference(&permuted(&before.bradley_terry.fit.scores), &after.bradley_terry.fit.scores) < 1e-9
            );
            prop_assert!(distance(&permuted(&before.bradley_terry.policy), &after.bradley_terry.policy) < 1e-9);
        }
    }

    #[test]
    fn scale_is_temperature(game in with_random_rest(any_matrices(6)), factor in 0.05..1.0_f64) {
        let entries = game.preferences().entries().iter().map(|p| 0.5 + factor * (p - 0.5)).collect();
        let t = game.temperatures();
        let scaled = Game::new(
            PreferenceMatrix::new(game.actions(), entries).unwrap(),
            game.reference_leader().clone(),
            game.reference_follower().clone(),
            temperatures(factor * t.leader(), factor * t.follower(), factor * t.nash(), t.rlhf()),
        )
        .unwrap();
        let (before, after) = (solve(&game), solve(&scaled));
        prop_assert!(distance(&before.stackelberg.leader(), &after.stackelberg.leader()) < 1e-9);
        prop_assert!(largest_difference(&before.stackelberg.follower(), &after.stackelberg.follower()) < 1e-9);
        prop_assert!(distance(&before.nash.policy, &after.nash.policy) < 1e-9);
    }

    #[test]
    fn whoever_sees_the_action_does_at_least_as_well((game, log_pi, log_omega) in with_learned_pair(any_matrices(6))) {
        let preferences = game.preferences();
        prop_assert!(preferences.committed_value(&log_pi) <= preferences.worst_case_win_rate(&log_pi) + 1e-12);
        let rate = preferences.follower_win_rate(&log_pi, &log_omega);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&rate));
        // On a complementary matrix what the Follower wins the Leader loses.
        let symmetrised = preferences.symmetrised();
        let mut leader = 0.0;
        for (i, (row, answer)) in symmetrised.rows().zip(log_omega.chunks_exact(game.actions())).enumerate() {
            let answer: Vec<f64> = answer.iter().map(|l| l.exp()).collect();
            leader += log_pi[i].exp() * inner(row, &answer);
        }
        prop_assert!((symmetrised.follower_win_rate(&log_pi, &log_omega) - (1.0 - leader)).abs() < 1e-12);
    }

    #[test]
    fn symmetrisation_is_complementary_and_idempotent(preferences in any_matrices(7)) {
        let symmetrised = preferences.symmetrised();
        prop_assert!(symmetrised.is_complementary(1e-15));
        prop_assert!(largest_difference(symmetrised.symmetrised().entries(), symmetrised.entries()) < 1e-15);
        let worst = preferences.worst_asymmetry();
        let there = (preferences.get(worst.row, worst.column) + preferences.get(worst.column, worst.row) - 1.0).abs();
        prop_assert_eq!(worst.amount, there);
        prop_assert!(!preferences.is_complementary(0.99 * worst.amount) || worst.amount == 0.0);
    }

    /// No temperature that is allowed makes a number that is none, nor a gap that is negative.
    #[test]
    fn every_temperature_gives_finite_solutions(
        (game, log_pi, log_omega) in with_learned_pair(any_matrices(5)),
        exponents in prop::array::uniform4(-324..=300_i32),
    ) {
        let [leader, follower, nash, rlhf] = exponents.map(|exponent| 10.0_f64.powi(exponent).max(f64::from_bits(1)));
        let game = game.at(temperatures(leader, follower, nash, rlhf));
        let solutions = solve(&game);
        let sums_to_one = |p: &[f64]| (p.iter().sum::<f64>() - 1.0).abs() < 1e-9;
        prop_assert!(sums_to_one(&solutions.stackelberg.leader()));
        prop_assert!(solutions.stackelberg.follower().chunks_exact(game.actions()).all(sums_to_one));
        prop_assert!(sums_to_one(&solutions.nash.policy) && sums_to_one(&solutions.bradley_terry.policy));
        prop_assert!((0.0..=1.0).contains(&solutions.stackelberg.objective()));
        prop_assert!((solutions.nash.value - 0.5).abs() < 1e-9);
        prop_assert!(solutions.nash.duality_gap <= 1e-9 || nash > 1e3, "{} at {}", solutions.nash.duality_gap, nash);
        let gaps = solutions.stackelberg.gaps(&log_pi, &log_omega);
        prop_assert!(gaps.leader_gap >= 0.0 && gaps.follower_gap >= 0.0);
        prop_assert!(gaps.stackelberg_gap.is_finite());
        prop_assert!(slhf_game::NashGame::of(&game).duality_gap(&log_pi) >= 0.0);
    }
}
