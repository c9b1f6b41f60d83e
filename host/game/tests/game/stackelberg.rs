//! SLHF: the closed form against numerical optimisation, and the gaps against each other.

use proptest::prelude::*;
use slhf_game::{Game, StackelbergSolution};
use slhf_random::SplitMix64;

use crate::support::*;

/// `Σ p (c + τ log(p/ref))` minimised over p by plain gradient descent on softmax logits: what a
/// Follower would do who knows no closed form.
fn minimised(costs: &[f64], log_reference: &[f64], tau: f64) -> (Vec<f64>, f64) {
    let mut logits = vec![0.0; costs.len()];
    for _ in 0..60_000 {
        let p = softmax(&logits);
        let marginal: Vec<f64> = (0..p.len()).map(|j| costs[j] + tau * (p[j].ln() - log_reference[j])).collect();
        let mean = inner(&p, &marginal);
        for j in 0..p.len() {
            logits[j] -= p[j] * (marginal[j] - mean);
        }
    }
    let p = softmax(&logits);
    let value = (0..p.len()).map(|j| p[j] * (costs[j] + tau * (p[j].ln() - log_reference[j]))).sum();
    (p, value)
}

#[test]
fn the_closed_form_is_what_direct_optimisation_finds() {
    let mut numbers = SplitMix64::new(11);
    for actions in [2, 3, 4] {
        for tau in [0.3, 1.0] {
            let preferences = complementary(actions, |_, _| numbers.uniform() - 0.5);
            let mut logits = || (0..actions).map(|_| numbers.uniform()).collect::<Vec<_>>();
            let leader = reference(&logits());
            let follower = follower_reference(actions, &(0..actions).flat_map(|_| logits()).collect::<Vec<_>>());
            let game = Game::new(preferences, leader, follower, temperatures(tau, 0.8 * tau, tau, 1.0)).unwrap();
            let solution = StackelbergSolution::of(&game);
            let mut values = Vec::new();
            for (i, row) in game.preferences().rows().enumerate() {
                let (answer, value) = minimised(row, game.reference_follower().log_row(i), 0.8 * tau);
                let closed = &solution.follower()[i * actions..(i + 1) * actions];
                assert!(distance(&answer, closed) < 1e-9, "answer to {i} at {tau}");
                values.push(value);
            }
            assert!(largest_difference(&values, solution.leader_values()) < 1e-9);
            let losses: Vec<f64> = values.iter().map(|v| -v).collect();
            let (policy, value) = minimised(&losses, game.reference_leader().log_probabilities(), tau);
            assert!(distance(&policy, &solution.leader()) < 1e-9);
            assert!((-value - solution.objective()).abs() < 1e-9);
        }
    }
}

proptest! {
    #![proptest_config(seeded(300))]

    #[test]
    fn the_two_forms_of_the_gaps_agree((game, log_pi, log_omega) in with_learned_pair(any_matrices(6))) {
        let solution = StackelbergSolution::of(&game);
        let gaps = solution.gaps(&log_pi, &log_omega);
        let (leader_gap, follower_gap) = solution.gaps_by_definition(&log_pi, &log_omega);
        prop_assert!((gaps.leader_gap - leader_gap).abs() < 1e-9);
        prop_assert!((gaps.follower_gap - follower_gap).abs() < 1e-9);
        prop_assert!(leader_gap >= -1e-12 && follower_gap >= -1e-12);
        prop_assert!(gaps.leader_gap >= 0.0 && gaps.follower_gap >= 0.0);
        prop_assert!((gaps.stackelberg_gap - gaps.leader_gap - gaps.follower_gap).abs() < 1e-15);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&gaps.tv_leader));
        prop_assert!((0.0..=1.0 + 1e-12).contains(&gaps.tv_follower));
        // Pinsker: a small gap forces a small distance.
        prop_assert!(gaps.leader_gap >= 2.0 * game.temperatures().leader() * gaps.tv_leader.powi(2) - 1e-12);
    }

    #[test]
    fn the_equilibrium_has_no_gap(game in with_random_rest(any_matrices(6))) {
        let solution = StackelbergSolution::of(&game);
        let gaps = solution.gaps(solution.log_leader(), solution.log_follower());
        prop_assert_eq!(gaps.stackelberg_gap, 0.0);
        prop_assert_eq!((gaps.tv_leader, gaps.tv_follower), (0.0, 0.0));
        let (leader_gap, follower_gap) = solution.gaps_by_definition(solution.log_leader(), solution.log_follower());
        prop_assert!(leader_gap.abs() < 1e-12 && follower_gap.abs() < 1e-12);
    }

    /// The equilibrium in π of the objective with the Follower at its best, evaluated by its definition.
    #[test]
    fn no_learned_pair_beats_the_equilibrium((game, log_pi, log_omega) in with_learned_pair(any_matrices(5))) {
        let solution = StackelbergSolution::of(&game);
        let best_answered = objective(&game, &log_pi, solution.log_follower());
        prop_assert!(best_answered <= solution.objective() + 1e-12);
        prop_assert!(best_answered <= objective(&game, &log_pi, &log_omega) + 1e-12);
        let attained = objective(&game, solution.log_leader(), solution.log_follower());
        prop_assert!((attained - solution.objective()).abs() < 1e-12);
        // And both gaps are differences of that objective.
        let gaps = solution.gaps(&log_pi, &log_omega);
        prop_assert!((gaps.leader_gap - (solution.objective() - best_answered)).abs() < 1e-9);
        prop_assert!((gaps.follower_gap - (objective(&game, &log_pi, &log_omega) - best_answered)).abs() < 1e-9);
    }

    #[test]
    fn without_temperatures_gaps_are_lost_value((game, log_pi, log_omega) in with_learned_pair(any_matrices(5))) {
        let game = game.at(temperatures(0.0, 0.0, 0.0, 1.0));
        let solution = StackelbergSolution::of(&game);
        let gaps = solution.gaps(&log_pi, &log_omega);
        let (leader_gap, follower_gap) = solution.gaps_by_definition(&log_pi, &log_omega);
        prop_assert!((gaps.leader_gap - leader_gap).abs() < 1e-12);
        prop_assert!((gaps.follower_gap - follower_gap).abs() < 1e-12);
        prop_assert!(gaps.leader_gap >= 0.0 && gaps.follower_gap >= 0.0);
        let support = solution.leader_support();
        let outside: f64 = (0..game.actions()).filter(|i| !support.contains(i)).map(|i| log_pi[i].exp()).sum();
        prop_assert!((gaps.tv_leader - outside).abs() < 1e-12);
        prop_assert!((solution.objective() - game.preferences().committed_value(solution.log_leader())).abs() < 1e-12);
    }
}

/// `E[P] − τ_L KL + τ_F E KL`, by its definition.
fn objective(game: &Game, log_pi: &[f64], log_omega: &[f64]) -> f64 {
    let n = game.actions();
    let (tau_leader, tau_follower) = (game.temperatures().leader(), game.temperatures().follower());
    let log_reference = game.reference_leader().log_probabilities();
    let mut value = 0.0;
    for i in 0..n {
        let pi = log_pi[i].exp();
        value -= pi * tau_leader * (log_pi[i] - log_reference[i]);
        for j in 0..n {
            let log_answer = log_omega[i * n + j];
            let divergence = log_answer - game.reference_follower().log_row(i)[j];
            value += pi * log_answer.exp() * (game.preferences().get(i, j) + tau_follower * divergence);
        }
    }
    value
}

#[test]
fn ties_survive_the_rounding_of_complements() {
    // 1 − 0.8 is 0.19999999999999996, which ties with 0.2.
    let preferences = matrix(&[[0.5, 1.0 - 0.8, 0.2], [0.8, 0.5, 0.2], [0.8, 0.8, 0.5]]);
    let solution = StackelbergSolution::of(&uniform_game(preferences, 0.0));
    assert_eq!(&solution.follower()[..3], &[0.0, 0.5, 0.5]);
    assert_eq!(solution.tied_rows(), [0]);
    assert_eq!(solution.leader_support(), [2]);
    // Any mixture of best answers is a best answer: no gap and no distance.
    let omega = [0.0, 0.9, 0.1, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    let gaps = solution.gaps_of_probabilities(&[0.0, 0.0, 1.0], &omega);
    assert_eq!((gaps.leader_gap, gaps.follower_gap, gaps.tv_leader, gaps.tv_follower), (0.0, 0.0, 0.0, 0.0));
}

#[test]
fn at_no_temperature_ties_share_the_reference() {
    let preferences = matrix(&[[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]]);
    let logits = [0.2_f64.ln(), 0.3_f64.ln(), 0.5_f64.ln()];
    let game = Game::new(
        preferences,
        reference(&logits),
        slhf_game::FollowerReference::uniform(3),
        temperatures(0.0, 0.0, 0.0, 1.0),
    )
    .unwrap();
    let solution = StackelbergSolution::of(&game);
    assert!(distance(&solution.leader(), &[0.2, 0.3, 0.5]) < 1e-15);
    assert_eq!(solution.leader_support(), [0, 1, 2]);
}
