//! Games whose solutions are known by hand.

use slhf_game::{NashGame, Note, StackelbergSolution, solve};

use crate::support::*;

/// Each action beats the next nine times of ten, all the way round.
fn cycle() -> slhf_game::PreferenceMatrix {
    matrix(&[[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
}

/// On a symmetric cycle all Leader's policies tie; the Follower answers with what beats.
#[test]
fn the_symmetric_condorcet_cycle() {
    let tau: f64 = 0.1;
    let solutions = solve(&uniform_game(cycle(), tau));
    let weights = [(-0.5 / tau).exp(), (-0.9 / tau).exp(), (-0.1 / tau).exp()];
    let sum: f64 = weights.iter().sum();
    let value = -tau * (sum / 3.0).ln();
    let answer = weights.map(|w| w / sum);
    assert!(largest_difference(solutions.stackelberg.leader_values(), &[value; 3]) < 1e-15);
    assert!((solutions.stackelberg.objective() - value).abs() < 1e-15);
    assert!(largest_difference(&solutions.stackelberg.leader(), &[1.0 / 3.0; 3]) < 1e-15);
    assert!(largest_difference(&solutions.stackelberg.follower()[..3], &answer) < 1e-15);
    assert!(largest_difference(&solutions.nash.policy, &[1.0 / 3.0; 3]) < 1e-15);
    assert_eq!(solutions.condorcet_winner, None);
    assert_eq!(solutions.notes, []);
    assert_eq!(cycle().intransitive_share(), 1.0);
    // Without temperatures the Follower plays the action that beats, and only that.
    let hard = StackelbergSolution::of(&uniform_game(cycle(), 0.0));
    assert_eq!(hard.follower(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(hard.objective(), 0.1);
}

/// game.md: a matrix that is not complementary can have three fixed points; its symmetrisation has one.
#[test]
fn symmetrisation_removes_two_of_three_fixed_points() {
    let preferences = matrix(&[[0.9, 0.2], [0.2, 0.8]]);
    let tau = 0.1;
    // Of π = (q, 1 − q) the fixed points are the zeros of q − logistic of the advantage of action 1.
    let excess = |q: f64| {
        let gains = times(&preferences, &[q, 1.0 - q]);
        q - softmax(&[gains[0] / tau, gains[1] / tau])[0]
    };
    let grid: Vec<f64> = (1..10_000).map(|k| excess(f64::from(k) / 10_000.0 + 1e-7)).collect();
    let crossings = grid.windows(2).filter(|pair| pair[0].signum() * pair[1].signum() < 0.0).count();
    assert_eq!(crossings, 3);
    let solutions = solve(&uniform_game(preferences, tau));
    // (P + 1 − Pᵀ)/2 is 1/2 everywhere: the reference.
    assert!(largest_difference(&solutions.nash.policy, &[0.5, 0.5]) < 1e-15);
    assert!((solutions.nash.value - 0.5).abs() < 1e-15);
    assert!(matches!(solutions.notes[0], Note::Symmetrised(worst) if (worst.amount - 0.8).abs() < 1e-15));
}

/// Two actions: π is the solution of one scalar equation, found by bisection.
#[test]
fn two_actions_by_bisection() {
    for (p, tau) in [(0.7, 0.1), (0.99, 0.02), (0.5001, 0.5), (1.0, 0.3)] {
        let game = uniform_game(matrix(&[[0.5, p], [1.0 - p, 0.5]]), tau);
        // log(q/(1−q)) τ = (Aπ)_1 − (Aπ)_2 = a (1 − q) + a q = a, whatever q is.
        let a: f64 = p - 0.5;
        let expected = 1.0 / (1.0 + (-a / tau).exp());
        let solution = NashGame::of(&game).solve();
        assert!((solution.policy[0] - expected).abs() < 1e-14, "{p} at {tau}");
    }
}

#[test]
fn a_condorcet_winner_must_win_both_ways_round() {
    let check = |rows: &[[f64; 3]], strict: Option<usize>, weak: &[usize]| {
        let preferences = matrix(rows);
        assert_eq!(preferences.condorcet_winner(), strict, "{rows:?}");
        assert_eq!(preferences.weak_condorcet_winners(), weak, "{rows:?}");
    };
    check(&[[0.5, 0.6, 0.7], [0.4, 0.5, 0.9], [0.3, 0.1, 0.5]], Some(0), &[0]);
    check(&[[0.5, 0.5, 0.7], [0.5, 0.5, 0.9], [0.3, 0.1, 0.5]], None, &[0, 1]);
    // 0 wins when shown first, but 1 wins when it is shown first.
    check(&[[0.5, 0.6, 0.7], [0.6, 0.5, 0.9], [0.3, 0.1, 0.5]], None, &[]);
    // Exactly even when 1 is shown first: not strict, but nobody beats 0.
    check(&[[0.5, 0.6, 0.7], [0.5, 0.5, 0.9], [0.3, 0.1, 0.5]], None, &[0]);
    check(&[[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]], None, &[]);
}

#[test]
fn intransitive_triples_are_counted() {
    // 0 → 1 → 2 → 0, and 3 loses to all: one cycle in four triples.
    let preferences = complementary(4, |i, j| match (i, j) {
        (0, 2) => -0.2,
        _ => 0.2,
    });
    assert_eq!(preferences.intransitive_share(), 0.25);
    assert_eq!(complementary(5, |_, _| 0.1).intransitive_share(), 0.0);
    assert_eq!(complementary(2, |_, _| 0.1).intransitive_share(), 0.0);
}

#[test]
fn win_rates_by_hand() {
    let preferences = matrix(&[[0.5, 0.9], [0.2, 0.6]]);
    let policy = logarithms(&[0.25, 0.75]);
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-15, "{found} for {expected}");
    close(preferences.worst_case_win_rate(&policy), 0.25 * 0.5 + 0.75 * 0.2);
    close(preferences.committed_value(&policy), 0.25 * 0.5 + 0.75 * 0.2);
    close(preferences.win_rate(&policy, &logarithms(&[1.0, 0.0])), 0.275);
    // The Follower answers 0 with 1 (which wins 0.2) and 1 with 0 (which wins 0.9).
    let omega = logarithms(&[0.0, 1.0, 1.0, 0.0]);
    close(preferences.follower_win_rate(&policy, &omega), 0.25 * 0.2 + 0.75 * 0.9);
}

/// Scaling preferences about 1/2 together with the temperatures changes no policy but RLHF's.
#[test]
fn rlhf_is_not_invariant_to_scale() {
    let rows = [[0.5, 0.9, 0.3], [0.1, 0.5, 0.6], [0.7, 0.4, 0.5]];
    let scaled = rows.map(|row| row.map(|p| 0.5 + 0.5 * (p - 0.5)));
    let original = solve(&uniform_game(matrix(&rows), 0.2).at(temperatures(0.2, 0.2, 0.2, 0.2)));
    let halved = solve(&uniform_game(matrix(&scaled), 0.1).at(temperatures(0.1, 0.1, 0.1, 0.1)));
    assert!(distance(&original.bradley_terry.policy, &halved.bradley_terry.policy) > 1e-3);
    assert!(distance(&original.nash.policy, &halved.nash.policy) < 1e-12);
}

#[test]
fn notes_are_sentences_with_the_actions_names() {
    let preferences = matrix(&[[0.5, 1.0, 1.0], [0.0, 0.5, 0.5], [0.1, 0.5, 0.5]]);
    let solutions = solve(&uniform_game(preferences, 0.0));
    let names = ["anna", "ben", "cleo"];
    let sentences: Vec<String> = solutions.notes.iter().map(|note| note.sentence(&names)).collect();
    assert_eq!(
        sentences,
        [
            "the preferences are not complementary (worst: anna against cleo and cleo against anna miss a sum of 1 by 1.000e-1); \
             Nash, Bradley-Terry and rules of social choice are of (P + 1 - P^T)/2, Stackelberg of P as given",
        ]
    );
    let tied = solve(&uniform_game(complementary(2, |_, _| 0.0), 0.0));
    let sentences: Vec<String> = tied.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "tau_leader is 0 and action 1, action 2 are equally good for the Leader; the policy is its reference restricted to them",
            "tau_follower is 0 and the Follower has several best responses to action 1, action 2; it plays its reference restricted to them",
            "tau_nash is 0 and there may be several maximal lotteries; one is shown",
        ]
    );
    let certain = solve(&uniform_game(matrix(&[[0.5, 1.0], [0.0, 0.5]]), 0.1));
    assert_eq!(certain.notes, [Note::VirtualWins]);
}
