//! Rules of social choice against enumeration, what theory promises of them, and published examples.

use proptest::prelude::*;
use slhf_game::{Kemeny, PreferenceMatrix, SocialChoice, TIE_TOLERANCE, TooManyActions, maximal_lottery};
use slhf_random::SplitMix64;

use crate::support::*;

/// Who beats whom, written down once more.
fn beats(preferences: &PreferenceMatrix, i: usize, j: usize) -> bool {
    preferences.get(i, j) - preferences.get(j, i) > 2.0 * TIE_TOLERANCE
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |place: usize| {
        let rest: Vec<usize> = of.iter().copied().filter(|action| *action != of[place]).collect();
        permutations(&rest).into_iter().map(move |tail| [&[of[place]][..], &tail].concat())
    };
    (0..of.len()).flat_map(with_first).collect()
}

fn disagreement(preferences: &PreferenceMatrix, ranking: &[usize]) -> f64 {
    let complementary = preferences.symmetrised();
    let pairs = ranking.iter().enumerate().flat_map(|(place, i)| ranking[place + 1..].iter().map(move |j| (*i, *j)));
    pairs.map(|(i, j)| complementary.get(j, i)).sum()
}

/// The strongest path by walking all paths that visit nothing twice.
fn strongest_path(preferences: &PreferenceMatrix, from: usize, to: usize, seen: u32) -> f64 {
    let n = preferences.actions();
    let mut best = 0.0_f64;
    for next in (0..n).filter(|next| seen >> next & 1 == 0 && beats(preferences, from, *next)) {
        let link = preferences.symmetrised().get(from, next);
        let rest = if next == to { 1.0 } else { strongest_path(preferences, next, to, seen | 1 << next) };
        best = best.max(link.min(rest));
    }
    best
}

fn members(set: usize, actions: usize) -> Vec<usize> {
    (0..actions).filter(|action| set >> action & 1 == 1).collect()
}

/// The smallest of all sets whose members beat everything outside.
fn smallest_dominating_set(preferences: &PreferenceMatrix) -> Vec<usize> {
    let n = preferences.actions();
    let dominates = |set: &usize| {
        let (inside, outside) = (members(*set, n), members(!set, n));
        inside.iter().all(|i| outside.iter().all(|j| beats(preferences, *i, *j)))
    };
    let smallest = (1_usize..1 << n).filter(dominates).min_by_key(|set| set.count_ones());
    members(smallest.expect("all actions dominate nobody"), n)
}

/// By the definition, with sets instead of bits.
fn uncovered(preferences: &PreferenceMatrix) -> Vec<usize> {
    let n = preferences.actions();
    let covers = |i: usize, j: usize| {
        beats(preferences, i, j)
            && (0..n).all(|k| !beats(preferences, k, i) || beats(preferences, k, j))
            && (0..n).all(|k| !beats(preferences, j, k) || beats(preferences, i, k))
    };
    (0..n).filter(|j| (0..n).all(|i| !covers(i, *j))).collect()
}

fn is_within(inner: &[usize], outer: &[usize]) -> bool {
    inner.iter().all(|action| outer.contains(action))
}

/// Actions that a policy plays beyond rounding.
fn support(policy: &[f64]) -> Vec<usize> {
    (0..policy.len()).filter(|action| policy[*action] > 1e-9).collect()
}

/// Only who beats whom is left of it.
fn majorities(preferences: &PreferenceMatrix) -> PreferenceMatrix {
    complementary(preferences.actions(), |i, j| match (beats(preferences, i, j), beats(preferences, j, i)) {
        (true, _) => 0.5,
        (_, true) => -0.5,
        _ => 0.0,
    })
}

fn relabelled(preferences: &PreferenceMatrix, order: &[usize]) -> PreferenceMatrix {
    let entries = order.iter().flat_map(|i| order.iter().map(move |j| preferences.get(*i, *j)));
    PreferenceMatrix::new(order.len(), entries.collect()).expect("the same entries")
}

fn shuffled(actions: usize, seed: u64) -> Vec<usize> {
    let mut numbers = SplitMix64::new(seed);
    let mut order: Vec<usize> = (0..actions).collect();
    for place in (1..actions).rev() {
        order.swap(place, numbers.below(place + 1));
    }
    order
}

/// Of complete strict ballots: voters and their orders.
fn profile(actions: usize, ballots: &[(u32, &[usize])]) -> PreferenceMatrix {
    let voters: u32 = ballots.iter().map(|(voters, _)| voters).sum();
    let prefers = |order: &[usize], i: usize, j: usize| order.iter().find(|k| **k == i || **k == j) == Some(&i);
    let won = |i, j| ballots.iter().filter(|(_, order)| prefers(order, i, j)).map(|(voters, _)| voters).sum::<u32>();
    let entry = |i, j| if i == j { 0.5 } else { f64::from(won(i, j)) / f64::from(voters) };
    PreferenceMatrix::new(actions, (0..actions * actions).map(|at| entry(at / actions, at % actions)).collect())
        .expect("probabilities")
}

/// Schulze 2011, section 3.1: 45 voters, the strengths of all paths, E > A > C > B > D.
#[test]
fn schulzes_first_example() {
    let [a, b, c, d, e] = [0, 1, 2, 3, 4];
    let preferences = profile(
        5,
        &[
            (5, &[a, c, b, e, d]),
            (5, &[a, d, e, c, b]),
            (8, &[b, e, d, a, c]),
            (3, &[c, a, b, e, d]),
            (7, &[c, a, e, b, d]),
            (2, &[c, b, a, d, e]),
            (7, &[d, c, e, b, a]),
            (8, &[e, b, a, d, c]),
        ],
    );
    let published =
        [[0, 28, 28, 30, 24], [25, 0, 28, 33, 24], [25, 29, 0, 29, 24], [25, 28, 28, 0, 24], [25, 28, 28, 31, 0]];
    let rules = SocialChoice::of(&preferences);
    for (action, row) in published.iter().enumerate() {
        let found: Vec<f64> = rules.schulze.strengths_from(action).iter().map(|strength| strength * 45.0).collect();
        assert!(largest_difference(&found, &row.map(f64::from)) < 1e-12, "{found:?}");
    }
    assert_eq!(rules.schulze.winners, [e]);
    assert_eq!(rules.schulze.ranks, [2, 4, 3, 5, 1]);
    assert_eq!(rules.smith, [a, b, c, d, e]);
}

/// The capital of Tennessee (Moulton): Memphis has the most first places, Nashville beats everybody.
#[test]
fn a_condorcet_winner_among_four_cities() {
    let [memphis, nashville, chattanooga, knoxville] = [0, 1, 2, 3];
    let preferences = profile(
        4,
        &[
            (42, &[memphis, nashville, chattanooga, knoxville]),
            (26, &[nashville, chattanooga, knoxville, memphis]),
            (15, &[chattanooga, knoxville, nashville, memphis]),
            (17, &[knoxville, chattanooga, nashville, memphis]),
        ],
    );
    let rules = SocialChoice::of(&preferences);
    let points: Vec<f64> = rules.borda.scores.iter().map(|score| score * 300.0).collect();
    assert!(largest_difference(&points, &[126.0, 194.0, 173.0, 107.0]) < 1e-12, "{points:?}");
    assert_eq!(rules.copeland.scores, [0.0, 3.0, 2.0, 1.0]);
    let kemeny = rules.kemeny.expect("four actions");
    assert_eq!(kemeny.rankings, [[nashville, chattanooga, knoxville, memphis]]);
    assert_eq!(kemeny.optimal_rankings, 1);
    // 393 of 600 pairwise votes agree.
    assert!((kemeny.disagreement - 2.07).abs() < 1e-12);
    assert_eq!((rules.smith, rules.uncovered), (vec![nashville], vec![nashville]));
    assert_eq!(support(&rules.lottery.policy), [nashville]);
}

/// Three of five rank a first, so it beats both; Borda elects b, whom nobody ranks last.
#[test]
fn borda_may_leave_the_condorcet_winner() {
    let [a, b, c] = [0, 1, 2];
    let rules = SocialChoice::of(&profile(3, &[(3, &[a, b, c]), (2, &[b, c, a])]));
    assert_eq!(rules.borda.winners, [b]);
    assert_eq!((rules.copeland.winners, rules.smith), (vec![a], vec![a]));
}

/// a beats b and d, b beats c, c beats a and d, d beats b: a covers d, which is in the cycle nevertheless.
#[test]
fn a_covered_action_may_be_in_the_smith_set() {
    let wins = [(0, 1), (0, 3), (1, 2), (2, 0), (2, 3), (3, 1)];
    let preferences = complementary(4, |i, j| if wins.contains(&(i, j)) { 0.25 } else { -0.25 });
    let rules = SocialChoice::of(&preferences);
    assert_eq!(rules.smith, [0, 1, 2, 3]);
    assert_eq!(rules.uncovered, [0, 1, 2]);
    assert_eq!(rules.copeland.winners, [0, 2]);
}

/// The same majorities with other margins: a covers d, and the lottery plays d and not a.
#[test]
fn a_lottery_may_play_a_covered_action() {
    let [a, b, c, d] = [0, 1, 2, 3];
    let wins = [(a, b, 0.01), (a, d, 0.01), (c, a, 0.5), (b, c, 0.5), (d, b, 0.5), (c, d, 0.01)];
    let margin = |i, j| wins.iter().find(|(first, second, _)| (*first, *second) == (i, j)).map_or(0.0, |win| win.2);
    let rules = SocialChoice::of(&complementary(4, |i, j| margin(i, j) - margin(j, i)));
    assert_eq!(rules.uncovered, [a, b, c]);
    let expected = [0.0, 0.01, 0.5, 0.5].map(|weight| weight / 1.01);
    assert!(distance(&rules.lottery.policy, &expected) < 1e-12, "{:?}", rules.lottery.policy);
}

/// On the symmetric cycle nobody is better, and three rankings of six are the best.
#[test]
fn the_symmetric_cycle_ties_everywhere() {
    let rules = SocialChoice::of(&matrix(&[[0.5, 0.1, 0.9], [0.9, 0.5, 0.1], [0.1, 0.9, 0.5]]));
    let all = [0, 1, 2];
    assert_eq!((&rules.borda.winners[..], &rules.copeland.winners[..]), (&all[..], &all[..]));
    assert_eq!((&rules.schulze.winners[..], &rules.smith[..], &rules.uncovered[..]), (&all[..], &all[..], &all[..]));
    let kemeny = rules.kemeny.expect("three actions");
    assert_eq!(kemeny.rankings, [[0, 2, 1], [1, 0, 2], [2, 1, 0]]);
    assert!((kemeny.disagreement - 1.1).abs() < 1e-12);
}

#[test]
fn kemeny_is_exact_to_ten_actions_and_refused_above() {
    let order = shuffled(10, 4);
    let place = |action: usize| order.iter().position(|other| *other == action);
    let rules = |actions: usize| {
        SocialChoice::of(&complementary(actions, |i, j| if place(i) < place(j) { 0.01 } else { -0.01 })).kemeny
    };
    let kemeny = rules(10).expect("ten actions");
    assert_eq!((kemeny.rankings, kemeny.optimal_rankings), (vec![order.clone()], 1));
    let refused = rules(11).expect_err("eleven actions");
    assert_eq!(refused, TooManyActions { actions: 11 });
    assert_eq!(refused.to_string(), "not computed above 10 actions");
    // Everybody ties: all 10! rankings are counted, some are kept.
    let tied = SocialChoice::of(&complementary(10, |_, _| 0.0)).kemeny.expect("ten actions");
    assert_eq!((tied.optimal_rankings, tied.rankings.len()), (3_628_800, Kemeny::RANKINGS_MAX));
    assert_eq!(tied.winners, (0..10).collect::<Vec<_>>());
}

/// 1 − 0.8 is not 0.2 in `f64`: a tie all the same.
#[test]
fn rounding_is_a_tie() {
    let rounded = 1.0 - (0.1 + 0.2 + 0.2);
    let rules = SocialChoice::of(&matrix(&[[0.5, rounded], [0.1 + 0.2 + 0.2 + 1e-13, 0.5]]));
    assert_eq!(rules.copeland.scores, [0.5, 0.5]);
    assert_eq!((rules.smith, rules.uncovered, rules.schulze.winners), (vec![0, 1], vec![0, 1], vec![0, 1]));
    assert_eq!(rules.kemeny.expect("two actions").optimal_rankings, 2);
}

/// Against enumeration.
fn check_by_enumeration(preferences: &PreferenceMatrix) -> Result<(), TestCaseError> {
    let n = preferences.actions();
    let rules = SocialChoice::of(preferences);
    prop_assert_eq!(&rules.smith, &smallest_dominating_set(preferences));
    prop_assert_eq!(&rules.uncovered, &uncovered(preferences));
    for (from, to) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| i != j) {
        let expected = strongest_path(preferences, from, to, 1 << from);
        prop_assert!((rules.schulze.strengths_from(from)[to] - expected).abs() < 1e-15);
    }
    let all = permutations(&(0..n).collect::<Vec<_>>());
    let costs: Vec<f64> = all.iter().map(|ranking| disagreement(preferences, ranking)).collect();
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let optimal = || all.iter().zip(&costs).filter(|(_, cost)| **cost <= least + 1e-11).map(|(ranking, _)| ranking);
    let kemeny = rules.kemeny.expect("few actions");
    prop_assert!((kemeny.disagreement - least).abs() < 1e-12);
    prop_assert_eq!(kemeny.optimal_rankings, optimal().count() as u64);
    let kept: Vec<&Vec<usize>> = optimal().take(Kemeny::RANKINGS_MAX).collect();
    prop_assert_eq!(kemeny.rankings.iter().collect::<Vec<_>>(), kept);
    let mut winners: Vec<usize> = optimal().map(|ranking| ranking[0]).collect();
    winners.sort_unstable();
    winners.dedup();
    prop_assert_eq!(kemeny.winners, winners);
    Ok(())
}

/// Copeland's winners are uncovered; uncovered actions, winners of Schulze and Kemeny and the lottery's support are in the Smith
/// set; the lottery of the majorities alone plays uncovered actions (Dutta & Laslier 1999). A Condorcet winner is everybody's.
fn check_inclusions(preferences: &PreferenceMatrix) -> Result<(), TestCaseError> {
    let rules = SocialChoice::of(preferences);
    prop_assert!(!rules.smith.is_empty() && !rules.uncovered.is_empty() && !rules.schulze.winners.is_empty());
    prop_assert!(is_within(&rules.copeland.winners, &rules.uncovered));
    prop_assert!(is_within(&rules.uncovered, &rules.smith));
    prop_assert!(is_within(&rules.schulze.winners, &rules.smith));
    prop_assert!(is_within(&support(&rules.lottery.policy), &rules.smith));
    prop_assert!(is_within(&support(&maximal_lottery(&majorities(preferences)).policy), &rules.uncovered));
    let kemeny = rules.kemeny.expect("few actions");
    prop_assert!(is_within(&kemeny.winners, &rules.smith));
    // Nobody outside the Smith set stands above a member, in any optimal ranking.
    for ranking in &kemeny.rankings {
        prop_assert!(is_within(&ranking[..rules.smith.len()], &rules.smith));
    }
    let points: f64 = rules.copeland.scores.iter().sum();
    let n = preferences.actions() as f64;
    prop_assert!((points - n * (n - 1.0) / 2.0).abs() < 1e-12);
    prop_assert!((rules.borda.scores.iter().sum::<f64>() - n / 2.0).abs() < 1e-12);
    let winner =
        (0..preferences.actions()).find(|i| (0..preferences.actions()).all(|j| *i == j || beats(preferences, *i, j)));
    prop_assert_eq!(winner.is_some(), rules.smith.len() == 1);
    if let Some(winner) = winner {
        let only = vec![winner];
        prop_assert_eq!(&rules.copeland.winners, &only);
        prop_assert_eq!(&rules.schulze.winners, &only);
        prop_assert_eq!(&kemeny.winners, &only);
        prop_assert_eq!(&rules.uncovered, &only);
        prop_assert_eq!(support(&rules.lottery.policy), only);
        // Never last by Borda.
        prop_assert!(rules.borda.scores[winner] > 0.5);
    }
    Ok(())
}

/// New names for the actions are new names in every result.
fn check_relabelling(preferences: &PreferenceMatrix, seed: u64) -> Result<(), TestCaseError> {
    let order = shuffled(preferences.actions(), seed);
    let (here, there) = (SocialChoice::of(preferences), SocialChoice::of(&relabelled(preferences, &order)));
    let named = |actions: &[usize]| {
        let mut named: Vec<usize> = actions.iter().map(|action| order[*action]).collect();
        named.sort_unstable();
        named
    };
    let moved = |scores: &[f64]| order.iter().map(|action| scores[*action]).collect::<Vec<_>>();
    prop_assert!(largest_difference(&there.borda.scores, &moved(&here.borda.scores)) < 1e-14);
    prop_assert_eq!(named(&there.borda.winners), here.borda.winners);
    prop_assert_eq!(&there.copeland.scores, &moved(&here.copeland.scores));
    prop_assert_eq!(named(&there.schulze.winners), here.schulze.winners);
    prop_assert_eq!(named(&there.smith), here.smith);
    prop_assert_eq!(named(&there.uncovered), here.uncovered);
    let (here, there) = (here.kemeny.expect("few actions"), there.kemeny.expect("few actions"));
    prop_assert_eq!(there.optimal_rankings, here.optimal_rankings);
    prop_assert_eq!(named(&there.winners), here.winners);
    if here.rankings.len() < Kemeny::RANKINGS_MAX {
        let mut renamed: Vec<Vec<usize>> =
            there.rankings.iter().map(|ranking| ranking.iter().map(|action| order[*action]).collect()).collect();
        renamed.sort_unstable();
        prop_assert_eq!(renamed, here.rankings);
    }
    Ok(())
}

proptest! {
    #![proptest_config(seeded(200))]

    #[test]
    fn enumeration_agrees(preferences in complementary_matrices(6)) {
        check_by_enumeration(&preferences)?;
    }

    #[test]
    fn enumeration_agrees_where_many_tie(preferences in coarse_matrices(6)) {
        check_by_enumeration(&preferences)?;
    }

    #[test]
    fn enumeration_agrees_on_matrices_that_are_not_complementary(preferences in any_matrices(5)) {
        check_by_enumeration(&preferences)?;
    }

    #[test]
    fn what_theory_promises_holds(preferences in complementary_matrices(8)) {
        check_inclusions(&preferences)?;
    }

    #[test]
    fn what_theory_promises_holds_where_many_tie(preferences in coarse_matrices(8)) {
        check_inclusions(&preferences)?;
    }

    #[test]
    fn relabelling_permutes_every_result(preferences in complementary_matrices(7), seed in any::<u64>()) {
        check_relabelling(&preferences, seed)?;
    }

    #[test]
    fn relabelling_permutes_every_result_where_many_tie(preferences in coarse_matrices(7), seed in any::<u64>()) {
        check_relabelling(&preferences, seed)?;
    }
}
