//! RLHF: maximum likelihood against closed forms and against minorisation–maximisation.

use proptest::prelude::*;
use slhf_game::{
    BradleyTerryFit, BradleyTerrySolution, Existence, GameError, PairWeights, Part, PreferenceMatrix, VIRTUAL_WINS,
};

use crate::support::*;

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Zermelo's algorithm (minorisation–maximisation) on a matrix of wins; no derivative anywhere.
fn zermelo(wins: &[Vec<f64>]) -> Vec<f64> {
    let n = wins.len();
    let mut strengths = vec![1.0; n];
    for _ in 0..200_000 {
        let before = strengths.clone();
        for i in 0..n {
            let others = (0..n).filter(|&j| j != i);
            let (won, expected) = others.fold((0.0, 0.0), |(won, expected), j| {
                let comparisons = wins[i][j] + wins[j][i];
                (won + wins[i][j], expected + comparisons / (strengths[i] + strengths[j]))
            });
            strengths[i] = won / expected;
        }
        let mean = strengths.iter().map(|s: &f64| s.ln()).sum::<f64>() / n as f64;
        for strength in &mut strengths {
            *strength /= mean.exp();
        }
        if largest_difference(&before, &strengths) < 1e-16 {
            break;
        }
    }
    strengths.iter().map(|s| s.ln()).collect()
}

fn wins_of(preferences: &PreferenceMatrix, virtual_wins: f64) -> Vec<Vec<f64>> {
    let symmetrised = preferences.symmetrised();
    symmetrised.rows().map(|row| row.iter().map(|p| p + virtual_wins).collect()).collect()
}

#[test]
fn two_actions_differ_by_their_log_odds() {
    for p in [0.5, 0.6, 0.9, 0.999, 1e-6] {
        let fit = BradleyTerryFit::with_uniform_weights(&matrix(&[[0.5, p], [1.0 - p, 0.5]]));
        let expected = (p / (1.0 - p)).ln();
        assert!((fit.scores[0] - fit.scores[1] - expected).abs() < 1e-9, "{p}");
        assert!((fit.scores[0] + fit.scores[1]).abs() < 1e-12);
        assert_eq!(fit.existence, Existence::Finite);
    }
}

#[test]
fn a_condorcet_cycle_cannot_be_represented() {
    let cycle = matrix(&[[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]]);
    let solution = BradleyTerrySolution::of(&uniform_game(cycle, 0.0));
    assert!(largest_difference(&solution.fit.scores, &[0.0; 3]) < 1e-15);
    assert!(largest_difference(&solution.policy, &[1.0 / 3.0; 3]) < 1e-15);
}

/// game.md: a strict Condorcet winner need not be Bradley–Terry's.
#[test]
fn the_condorcet_winner_may_have_a_lower_score() {
    let preferences = matrix(&[[0.5, 0.55, 0.55], [0.45, 0.5, 0.95], [0.45, 0.05, 0.5]]);
    let fit = BradleyTerryFit::with_uniform_weights(&preferences);
    assert_eq!(preferences.condorcet_winner(), Some(0));
    assert!(fit.scores[1] > fit.scores[0] + 0.1, "{:?}", fit.scores);
}

#[test]
fn which_pairs_are_compared_changes_the_answer() {
    let preferences = matrix(&[[0.5, 0.9, 0.3], [0.1, 0.5, 0.6], [0.7, 0.4, 0.5]]);
    let uniform = BradleyTerryFit::with_uniform_weights(&preferences);
    let weights = PairWeights::from_rows(&[[0.0, 1.0, 9.0], [1.0, 0.0, 1.0], [9.0, 1.0, 0.0]]).unwrap();
    let skewed = BradleyTerryFit::of(&preferences, &weights).unwrap();
    assert!(uniform.scores[0] > uniform.scores[2]);
    assert!(skewed.scores[0] < skewed.scores[2]);
    // A chain of comparisons is met exactly: r_0 − r_1 and r_1 − r_2 are their log-odds.
    let chain = PairWeights::from_rows(&[[0.0, 1.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]).unwrap();
    let fit = BradleyTerryFit::of(&preferences, &chain).unwrap();
    assert!((fit.scores[0] - fit.scores[1] - 9.0_f64.ln()).abs() < 1e-12);
    assert!((fit.scores[1] - fit.scores[2] - 1.5_f64.ln()).abs() < 1e-12);
}

/// Only the upset of each neighbouring pair is sampled, with probability p: every step of the chain is the log-odds.
#[test]
fn rare_upsets_give_large_exact_scores() {
    for p in [1e-3, 1e-9, 1e-100, 1e-300] {
        let n = 6;
        let mut entries = vec![0.5; n * n];
        let mut weights = vec![vec![0.0; n]; n];
        for i in 1..n {
            entries[i * n + i - 1] = p;
            weights[i][i - 1] = 1.0;
        }
        let preferences = PreferenceMatrix::new(n, entries).unwrap();
        let fit = BradleyTerryFit::of(&preferences, &PairWeights::from_rows(&weights).unwrap()).unwrap();
        let expected = (-p).ln_1p() - p.ln();
        for pair in fit.scores.windows(2) {
            assert!((pair[0] - pair[1] - expected).abs() < 1e-9, "{p}: {} for {expected}", pair[0] - pair[1]);
        }
    }
}

#[test]
fn without_a_finite_maximum_virtual_wins_are_added() {
    // 0 never loses to 1 or 2; nobody beats it even through others.
    let preferences = matrix(&[[0.5, 1.0, 1.0], [0.0, 0.5, 0.7], [0.0, 0.3, 0.5]]);
    let fit = BradleyTerryFit::with_uniform_weights(&preferences);
    assert_eq!(fit.existence, Existence::Regularised);
    let expected = zermelo(&wins_of(&preferences, VIRTUAL_WINS));
    assert!(largest_difference(&fit.scores, &expected) < 1e-9);
    // A cycle of certainties is strongly connected.
    let cycle = matrix(&[[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]]);
    assert_eq!(BradleyTerryFit::with_uniform_weights(&cycle).existence, Existence::Finite);
}

#[test]
fn only_pairs_that_are_compared_connect() {
    // All preferences are moderate, but 0–1 and 2–3 are the only pairs anybody compared.
    let preferences = complementary(4, |_, _| 0.1);
    let mut rows = [[0.0; 4]; 4];
    rows[0][1] = 1.0;
    rows[3][2] = 1.0;
    let fit = BradleyTerryFit::of(&preferences, &PairWeights::from_rows(&rows).unwrap()).unwrap();
    assert_eq!(fit.existence, Existence::Regularised);
    rows[1][2] = 1.0;
    let fit = BradleyTerryFit::of(&preferences, &PairWeights::from_rows(&rows).unwrap()).unwrap();
    assert_eq!(fit.existence, Existence::Finite);
}

#[test]
fn weights_are_checked() {
    let check = |rows: &[[f64; 2]], expected: &str| {
        assert_eq!(PairWeights::from_rows(rows).unwrap_err().to_string(), expected);
    };
    check(
        &[[0.0, -1.0], [1.0, 0.0]],
        "the pair weights: row 1, column 2 is -1; expected a finite number that is not negative",
    );
    check(
        &[[5.0, 0.0], [0.0, 5.0]],
        "the pair weights are zero for every pair of different actions; expected at least one pair that is compared",
    );
    let wrong_size = BradleyTerryFit::of(&complementary(3, |_, _| 0.1), &PairWeights::uniform(2));
    assert_eq!(wrong_size.unwrap_err(), GameError::ReferenceLength { what: Part::PairWeights, expected: 3, found: 2 });
}

proptest! {
    #![proptest_config(seeded(150))]

    #[test]
    fn newton_and_zermelo_agree(preferences in any_matrices(6)) {
        // Where wins are many; Zermelo's algorithm takes forever otherwise.
        prop_assume!(preferences.symmetrised().entries().iter().all(|p| *p > 0.02));
        let fit = BradleyTerryFit::with_uniform_weights(&preferences);
        prop_assert_eq!(fit.existence, Existence::Finite);
        prop_assert!(fit.gradient < 1e-13);
        prop_assert!(fit.scores.iter().sum::<f64>().abs() < 1e-12);
        prop_assert!(largest_difference(&fit.scores, &zermelo(&wins_of(&preferences, 0.0))) < 1e-9);
    }

    /// A matrix that is Bradley–Terry is recovered, whatever the pairs' weights.
    #[test]
    fn true_scores_are_recovered(
        scores in prop::collection::vec(-4.0..4.0_f64, 2..8),
        weights in prop::collection::vec(0.01..1.0_f64, 64),
    ) {
        let n = scores.len();
        let mean = scores.iter().sum::<f64>() / n as f64;
        let centred: Vec<f64> = scores.iter().map(|s| s - mean).collect();
        let rows: Vec<Vec<f64>> =
            centred.iter().map(|a| centred.iter().map(|b| logistic(a - b)).collect()).collect();
        let weights: Vec<Vec<f64>> = (0..n).map(|i| weights[8 * i..8 * i + n].to_vec()).collect();
        let weights = PairWeights::from_rows(&weights).unwrap();
        let fit = BradleyTerryFit::of(&matrix(&rows), &weights).unwrap();
        prop_assert!(largest_difference(&fit.scores, &centred) < 1e-9);
    }

    #[test]
    fn the_policy_follows_the_scores(game in with_random_rest(any_matrices(6))) {
        let solution = BradleyTerrySolution::of(&game);
        let log_reference = game.reference_leader().log_probabilities();
        let tau = game.temperatures().rlhf();
        let logits: Vec<f64> = solution.fit.scores.iter().zip(log_reference).map(|(r, l)| l + r / tau).collect();
        prop_assert!(distance(&softmax(&logits), &solution.policy) < 1e-12);
    }
}
