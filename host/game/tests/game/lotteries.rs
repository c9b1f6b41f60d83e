//! NLHF at τ = 0: maximal lotteries by the simplex method against formulas and enumeration.

use proptest::prelude::*;
use slhf_game::{NashGame, NashSolution, PreferenceMatrix, Uniqueness};
use slhf_random::SplitMix64;

use crate::support::*;

fn lottery(preferences: &PreferenceMatrix) -> NashSolution {
    NashGame::of(&uniform_game(preferences.clone(), 0.0)).solve()
}

/// The only distribution, if any, that the odd sub-game of these actions is indifferent to: a skew matrix
/// of odd order annihilates the alternating vector of its sub-Pfaffians.
fn equaliser(margins: &[f64], actions: usize, support: &[usize]) -> Option<Vec<f64>> {
    let a = |i: usize, j: usize| margins[i * actions + j];
    let pfaffian = |rest: &[usize]| match *rest {
        [] => 1.0,
        [i, j] => a(i, j),
        [i, j, k, l] => a(i, j) * a(k, l) - a(i, k) * a(j, l) + a(i, l) * a(j, k),
        _ => unreachable!("orders 1, 3 and 5"),
    };
    let mut policy = vec![0.0; actions];
    for (position, &action) in support.iter().enumerate() {
        let rest: Vec<usize> = support.iter().copied().filter(|&other| other != action).collect();
        policy[action] = pfaffian(&rest) * if position % 2 == 0 { 1.0 } else { -1.0 };
    }
    let sum: f64 = policy.iter().sum();
    for p in &mut policy {
        *p /= sum;
    }
    policy.iter().all(|p| *p >= 0.0).then_some(policy)
}

/// Every odd subset of five actions: one of them carries the lottery (Laffond, Laslier & Le Breton 1997).
fn enumerated(preferences: &PreferenceMatrix) -> Vec<f64> {
    let n = preferences.actions();
    let margins = preferences.margins();
    let supports = (1_usize..1 << n).filter(|set| set.count_ones() % 2 == 1);
    supports
        .filter_map(|set| {
            let support: Vec<usize> = (0..n).filter(|i| set >> i & 1 == 1).collect();
            equaliser(&margins, n, &support)
        })
        .min_by(|a, b| violation(&margins, a).total_cmp(&violation(&margins, b)))
        .expect("a single action always is an equaliser of itself")
}

/// `max_i (Aπ)_i`.
fn violation(margins: &[f64], policy: &[f64]) -> f64 {
    margins.chunks_exact(policy.len()).map(|row| inner(row, policy)).fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn a_cycle_of_three_plays_each_action_as_the_others_margin() {
    // A beats B by a, B beats C by b, C beats A by c: the lottery is (b, c, a) / (a + b + c).
    for (a, b, c) in [(0.4, 0.3, 0.3), (0.1, 0.2, 0.3), (0.5, 0.01, 0.25), (1e-6, 0.5, 0.5)] {
        let preferences = complementary(3, |i, j| match (i, j) {
            (0, 1) => a,
            (1, 2) => b,
            _ => -c,
        });
        let solution = lottery(&preferences);
        let sum = a + b + c;
        assert!(distance(&solution.policy, &[b / sum, c / sum, a / sum]) < 1e-12);
        assert_eq!(solution.uniqueness, Uniqueness::Unique);
        assert!(solution.duality_gap < 1e-15);
    }
}

#[test]
fn a_tiny_majority_still_decides() {
    for margin in [1e-3, 1e-6, 1e-9] {
        let preferences = complementary(4, |i, _| if i == 0 { margin } else { 0.5 });
        assert!(distance(&lottery(&preferences).policy, &[1.0, 0.0, 0.0, 0.0]) < 1e-12, "{margin}");
    }
}

#[test]
fn everybody_tied_is_a_lottery_and_not_the_only_one() {
    let solution = lottery(&complementary(4, |_, _| 0.0));
    assert_eq!(solution.duality_gap, 0.0);
    assert_eq!(solution.uniqueness, Uniqueness::MaybeNot);
}

#[test]
fn large_degenerate_games_are_solved() {
    let mut numbers = SplitMix64::new(3);
    for actions in [30, 61, 100] {
        // Clones: every action three times over. Blocks: a cycle of cycles. Tallies: few values.
        let clones =
            complementary(actions, |i, j| if i % 3 == j % 3 { 0.0 } else { sign((j % 3 + 3 - i % 3) % 3 == 1) * 0.3 });
        let blocks = complementary(actions, |i, j| {
            let (first, second) = if i % 3 == j % 3 { (i / 3 % 3, j / 3 % 3) } else { (i % 3, j % 3) };
            if first == second { 0.0 } else { sign((second + 3 - first) % 3 == 1) * 0.2 }
        });
        let tallies = complementary(actions, |_, _| (4.0 * numbers.uniform()).floor() / 8.0 - 0.25);
        let near_ties =
            complementary(actions, |i, j| if j - i == actions / 2 { 0.0 } else { sign(2 * (j - i) < actions) * 0.4 });
        for (name, game) in [("clones", clones), ("blocks", blocks), ("tallies", tallies), ("cycle", near_ties)] {
            let solution = lottery(&game);
            assert!(solution.duality_gap <= 1e-12, "{name} of {actions}: {}", solution.duality_gap);
            assert!(solution.residual <= 1e-12, "{name} of {actions}: {}", solution.residual);
        }
    }
}

/// Margins of very different sizes, exact ties among them.
#[test]
fn margins_of_mixed_sizes_are_solved() {
    let mut numbers = SplitMix64::new(78);
    for seed in 0..400 {
        let actions = 2 + (40.0 * numbers.uniform()) as usize;
        let small = 10.0_f64.powf(-10.0 * numbers.uniform());
        let game = complementary(actions, |i, j| match seed % 3 {
            0 => [0.0, small, -small, 0.5, -0.5][(5.0 * numbers.uniform()) as usize],
            1 => sign((j - i) % 2 == 1) * (0.3 + small * numbers.uniform()),
            _ => (if numbers.uniform() < 0.3 { small } else { 1.0 }) * (numbers.uniform() - 0.5),
        });
        let solution = lottery(&game);
        assert!(solution.duality_gap <= 1e-11, "game {seed}: {}", solution.duality_gap);
    }
}

fn sign(positive: bool) -> f64 {
    if positive { 1.0 } else { -1.0 }
}

proptest! {
    #![proptest_config(seeded(400))]

    #[test]
    fn the_simplex_method_and_enumeration_agree(
        margins in prop::collection::vec(-0.5..=0.5_f64, 25),
        actions in 2_usize..=5,
    ) {
        let preferences = complementary(actions, |i, j| margins[i * 5 + j]);
        let expected = enumerated(&preferences);
        prop_assert!(violation(&preferences.margins(), &expected) < 1e-12);
        prop_assert!(distance(&lottery(&preferences).policy, &expected) < 1e-9);
    }

    /// The regularised equilibrium at a tiny temperature is close to the (generically unique) lottery.
    #[test]
    fn the_lottery_is_the_limit_of_the_regularised_equilibria(preferences in complementary_matrices(9)) {
        let limit = NashGame::of(&uniform_game(preferences.clone(), 1e-9)).solve();
        let solution = lottery(&preferences);
        // Nearly degenerate games approach their limit later.
        prop_assume!(limit.policy.iter().all(|p| *p < 1e-12 || *p > 1e-3));
        prop_assert!(distance(&limit.policy, &solution.policy) < 1e-3);
        prop_assert!(NashGame::of(&uniform_game(preferences, 0.0)).duality_gap(&limit.log_policy) < 1e-7);
    }

    /// With ties there may be many lotteries; whichever is shown must be one.
    #[test]
    fn a_lottery_loses_to_nobody(preferences in coarse_matrices(9)) {
        let solution = lottery(&preferences);
        prop_assert!(solution.duality_gap <= 1e-12);
        prop_assert!(preferences.worst_case_win_rate(&solution.log_policy) >= 0.5 - 1e-12);
        prop_assert!((solution.value - 0.5).abs() < 1e-12);
        prop_assert!((solution.policy.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(solution.policy.iter().all(|p| *p >= 0.0));
    }
}
