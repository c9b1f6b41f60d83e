//! Players who are held by the forward divergence, or by a mixture: conditions of stationarity, both forms of every gap, and who gains.

use proptest::prelude::*;
use slhf_game::{
    Distribution, Divergence, FollowerReference, Game, GameError, Held, NashGame, PreferenceMatrix,
    StackelbergSolution, divergence,
};

use crate::support::*;

fn of(forward: f64) -> Divergence {
    Divergence::new(forward).expect("a share in [0, 1]")
}

/// Shares of the forward divergence, 1 among them.
fn shares() -> impl Strategy<Value = Divergence> {
    prop_oneof![Just(1.0), 0.02..1.0_f64].prop_map(of)
}

/// `gains − τ D′(p)` of every action, which is the same everywhere at a best response.
fn spread(held: Divergence, gains: &[f64], (log_p, log_reference): (&[f64], &[f64]), tau: f64) -> f64 {
    let marginal = |((gain, p), reference): ((&f64, &f64), &f64)| gain - tau * held.slope(p - reference);
    let all: Vec<f64> = gains.iter().zip(log_p).zip(log_reference).map(marginal).collect();
    all.iter().copied().fold(f64::NEG_INFINITY, f64::max) - all.iter().copied().fold(f64::INFINITY, f64::min)
}

#[test]
fn shares_outside_of_the_unit_interval_are_refused() {
    for value in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(Divergence::new(value), Err(GameError::ForwardShare { .. })), "{value}");
    }
}

proptest! {
    #![proptest_config(seeded(300))]

    #[test]
    fn slope_and_share_are_of_the_divergence((game, log_pi, _) in with_learned_pair(any_matrices(6)), held in shares()) {
        let log_reference = game.reference_leader().log_probabilities();
        let both = held.forward();
        let expected = (1.0 - both) * divergence(&log_pi, log_reference) + both * divergence(log_reference, &log_pi);
        let found = held.between(&log_pi, log_reference);
        prop_assert!((found - expected).abs() < 1e-12 * (1.0 + expected));
        let pi: Vec<f64> = log_pi.iter().map(|l| l.exp()).collect();
        let mean = |of: &dyn Fn(f64) -> f64| -> f64 {
            pi.iter().zip(&log_pi).zip(log_reference).map(|((p, l), reference)| p * of(l - reference)).sum()
        };
        prop_assert!((mean(&|ratio| held.share(ratio)) - expected).abs() < 1e-10 * (1.0 + expected));
        // The gradient in the logits, by central differences.
        let centered = mean(&|ratio| held.slope(ratio));
        for action in 0..pi.len() {
            let at = |change: f64| {
                let mut logits = log_pi.clone();
                logits[action] += change;
                held.between(&logarithms(&softmax(&logits)), log_reference)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            let written = pi[action] * (held.slope(log_pi[action] - log_reference[action]) - centered);
            prop_assert!((slope - written).abs() < 1e-8 * (1.0 + expected), "{} is not {}", written, slope);
        }
    }

    #[test]
    fn the_held_equilibrium_satisfies_its_equation(game in with_random_rest(any_matrices(8)), held in shares()) {
        let nash = NashGame::of(&game).held_by(held);
        let found = nash.solve();
        prop_assert!(found.is_precise(), "{:?}", found);
        let gains = times(&game.preferences().symmetrised(), &found.policy);
        let policies = (found.log_policy.as_slice(), game.reference_leader().log_probabilities());
        let tau = game.temperatures().nash();
        prop_assert!(spread(held, &gains, policies, tau) < 1e-10);
        prop_assert!((found.policy.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        prop_assert!(found.duality_gap < 1e-13);
        if held.forward() == 1.0 {
            // Its own form: π = τ π_ref / (λ − Pπ), λ by one action.
            let reference = game.reference_leader().probabilities();
            let level = gains[0] + tau * reference[0] / found.policy[0];
            for ((p, gain), reference) in found.policy.iter().zip(&gains).zip(reference) {
                prop_assert!((p - tau * reference / (level - gain)).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn both_forms_of_the_held_gaps_agree(
        (game, log_pi, log_omega) in with_learned_pair(any_matrices(6)),
        (leader, follower) in (shares(), shares()),
    ) {
        let nash = NashGame::of(&game).held_by(leader);
        let (gap, defined) = (nash.duality_gap(&log_pi), nash.duality_gap_by_definition(&log_pi));
        prop_assert!(gap >= 0.0 && (gap - defined).abs() < 1e-9 * (1.0 + defined), "{} and {}", gap, defined);
        let solution = StackelbergSolution::held_by(&game, Held { leader, follower });
        let gaps = solution.gaps(&log_pi, &log_omega);
        let (of_leader, of_follower) = solution.gaps_by_definition(&log_pi, &log_omega);
        prop_assert!((gaps.leader_gap - of_leader).abs() < 1e-9 * (1.0 + of_leader));
        prop_assert!((gaps.follower_gap - of_follower).abs() < 1e-9 * (1.0 + of_follower));
        prop_assert!(gaps.leader_gap >= 0.0 && gaps.follower_gap >= 0.0);
        let at_the_solution = solution.gaps(solution.log_leader(), solution.log_follower());
        prop_assert!(at_the_solution.stackelberg_gap < 1e-13);
    }

    #[test]
    fn the_held_pair_satisfies_its_equations(
        game in with_random_rest(any_matrices(6)),
        (leader, follower) in (shares(), shares()),
    ) {
        let solution = StackelbergSolution::held_by(&game, Held { leader, follower });
        let n = game.actions();
        let taus = game.temperatures();
        for (action, row) in game.preferences().rows().enumerate() {
            let log_answer = &solution.log_follower()[action * n..(action + 1) * n];
            let log_reference = game.reference_follower().log_row(action);
            let losses: Vec<f64> = row.iter().map(|p| -p).collect();
            prop_assert!(spread(follower, &losses, (log_answer, log_reference), taus.follower()) < 1e-10);
            let answer: Vec<f64> = log_answer.iter().map(|l| l.exp()).collect();
            let value = inner(&answer, row) + taus.follower() * follower.between(log_answer, log_reference);
            prop_assert!((value - solution.leader_values()[action]).abs() < 1e-12);
        }
        let log_reference = game.reference_leader().log_probabilities();
        let policies = (solution.log_leader(), log_reference);
        prop_assert!(spread(leader, solution.leader_values(), policies, taus.leader()) < 1e-10);
        let value = inner(&solution.leader(), solution.leader_values())
            - taus.leader() * leader.between(solution.log_leader(), log_reference);
        prop_assert!((value - solution.objective()).abs() < 1e-12);
    }

    #[test]
    fn nobody_who_is_held_gains_by_deviating((game, log_pi, _) in with_learned_pair(complementary_matrices(6)), held in shares()) {
        let nash = NashGame::of(&game).held_by(held);
        let solution = nash.solve();
        let tau = game.temperatures().nash();
        let log_reference = game.reference_leader().log_probabilities();
        let payoff = |first: &[f64], second: &[f64]| {
            let penalty = |log_policy: &[f64]| tau * held.between(log_policy, log_reference);
            game.preferences().win_rate(first, second) - penalty(first) + penalty(second)
        };
        prop_assert!(payoff(&log_pi, &solution.log_policy) <= 0.5 + 1e-12);
        prop_assert!(nash.duality_gap(&log_pi) >= payoff(&solution.log_policy, &log_pi) - 0.5 - 1e-12);
    }
}

/// Without a forward share the bits are those of the closed forms; a small share moves the solution little.
#[test]
fn a_share_that_vanishes_is_the_reverse_divergence() {
    let preferences = matrix(&[[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]]);
    let game = Game::new(
        preferences,
        reference(&[0.3, -0.2, 0.1]),
        follower_reference(3, &[0.0, 0.4, 0.1, -0.3, 0.2, 0.0, 0.5, 0.1, 0.2]),
        temperatures(0.2, 0.3, 0.1, 1.0),
    )
    .unwrap();
    let (plain, pair) = (NashGame::of(&game).solve(), StackelbergSolution::of(&game));
    assert_eq!(NashGame::of(&game).held_by(of(0.0)).solve(), plain);
    let none = StackelbergSolution::held_by(&game, Held::default());
    assert_eq!((none.log_leader(), none.log_follower()), (pair.log_leader(), pair.log_follower()));
    let small = NashGame::of(&game).held_by(of(1e-5)).solve();
    assert!(largest_difference(&small.policy, &plain.policy) < 1e-4);
    let held = Held { leader: of(1e-5), follower: of(1e-5) };
    assert!(largest_difference(&StackelbergSolution::held_by(&game, held).leader(), &pair.leader()) < 1e-4);
}

/// Temperatures that runs have, on the smallest and on games of many actions.
#[test]
fn low_temperatures_and_many_actions_are_solved() {
    let mut numbers = slhf_random::SplitMix64::new(3);
    for actions in [2, 5, 40, 120] {
        for tau in [1.0, 0.1, 0.01, 1e-3] {
            let game = uniform_game(complementary(actions, |_, _| numbers.uniform() - 0.5), tau);
            for forward in [0.01, 0.5, 1.0] {
                let found = NashGame::of(&game).held_by(of(forward)).solve();
                assert!(found.is_precise(), "{actions} actions, τ = {tau}, w = {forward}: {found:?}");
                let gains = times(game.preferences(), &found.policy);
                let policies = (found.log_policy.as_slice(), game.reference_leader().log_probabilities());
                let spread = spread(of(forward), &gains, policies, tau);
                assert!(spread < 1e-9, "{actions} actions, τ = {tau}, w = {forward}: {spread:e}");
            }
        }
    }
}

/// References far from uniform, at low temperatures: the reviewer's case among them.
#[test]
fn skewed_references_at_low_temperatures_are_solved() {
    let mut numbers = slhf_random::SplitMix64::new(5);
    let mut games = vec![(vec![0.0, -1.228_7], vec![-0.002_416], 1e-3)];
    for _ in 0..60 {
        for tau in [0.1, 0.01, 3e-3] {
            let logits: Vec<f64> = (0..4).map(|_| 8.0 * (numbers.uniform() - 0.5)).collect();
            games.push((logits, (0..6).map(|_| numbers.uniform() - 0.5).collect(), tau));
        }
    }
    for (logits, margins, tau) in games {
        let actions = logits.len();
        let mut rest = margins.into_iter();
        let preferences = complementary(actions, |_, _| rest.next().expect("a margin a pair"));
        let game = Game::new(
            preferences,
            reference(&logits),
            FollowerReference::uniform(actions),
            temperatures(tau, tau, tau, 1.0),
        )
        .expect("a valid game");
        for forward in [0.01, 0.5, 1.0] {
            let found = NashGame::of(&game).held_by(of(forward)).solve();
            assert!(found.is_precise(), "{logits:?}, τ = {tau}, w = {forward}: {found:?}");
            let gains = times(game.preferences(), &found.policy);
            let policies = (found.log_policy.as_slice(), game.reference_leader().log_probabilities());
            let spread = spread(of(forward), &gains, policies, tau);
            assert!(spread < 1e-8, "{logits:?}, τ = {tau}, w = {forward}: {spread:e}");
        }
    }
}

/// The best action's reference may be next to nothing: it has most of the mass all the same.
#[test]
fn a_best_response_finds_an_action_that_its_reference_hardly_knows() {
    for (exponent, tau) in [(-80, 0.1), (-300, 1e-3)] {
        let rare = 10.0_f64.powi(exponent);
        let row = [rare, 0.5, 0.5];
        let game = Game::new(
            PreferenceMatrix::new(3, vec![0.5, 0.7, 1.0, 0.3, 0.5, 0.5, 0.0, 0.5, 0.5]).expect("a matrix"),
            Distribution::new(&row).expect("a reference"),
            FollowerReference::from_rows(&vec![row.to_vec(); 3]).expect("references"),
            temperatures(tau, tau, tau, 1.0),
        )
        .expect("a valid game");
        let solution = StackelbergSolution::held_by(&game, Held { leader: of(1.0), follower: of(1.0) });
        for log_row in solution.log_leader().chunks(3).chain(solution.log_follower().chunks(3)) {
            let sum: f64 = log_row.iter().map(|log| log.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{log_row:?}");
        }
        // After the third action the Follower does best with the first: P[2] = (0, ½, ½).
        assert!(solution.log_follower()[6].exp() > 0.5, "{:?}", &solution.log_follower()[6..]);
    }
}
