//! Linear Bradley–Terry fits whose minimum is known, and what holds of every one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use slhf_statistics::{
    CrossValidated, FeatureComparisons, Folds, GRADIENT_TOLERANCE, LinearBradleyTerry, Penalty, RELATIVE_PENALTIES,
};

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn penalty(value: f64) -> Penalty {
    Penalty::new(value).unwrap()
}

fn comparisons(rows: &[(Vec<f64>, f64)]) -> FeatureComparisons {
    let differences = rows.iter().flat_map(|(difference, _)| difference.clone()).collect();
    FeatureComparisons::new(rows[0].0.len(), differences, rows.iter().map(|(_, label)| *label).collect()).unwrap()
}

/// Reproducible noise in [−0.5, 0.5].
fn noise(a: usize, b: usize) -> f64 {
    let mut state = [a, b].iter().fold(0x9E37_79B9_7F4A_7C15_u64, |state, part| {
        (state ^ *part as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(29)
    });
    state ^= state >> 31;
    (state.wrapping_mul(0x94D0_49BB_1331_11EB) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// The loss by its definition.
fn loss(rows: &[(Vec<f64>, f64)], lambda: f64, weights: &[f64]) -> f64 {
    let dot = |difference: &[f64]| difference.iter().zip(weights).map(|(d, w)| d * w).sum::<f64>();
    let entropy = |z: f64, label: f64| -label * sigmoid(z).ln() - (1.0 - label) * sigmoid(-z).ln();
    let mean = rows.iter().map(|(difference, label)| entropy(dot(difference), *label)).sum::<f64>() / rows.len() as f64;
    mean + 0.5 * lambda * weights.iter().map(|w| w * w).sum::<f64>()
}

/// At the optimum σ(w d) d − t d + λ w = 0: a label that makes a chosen w the optimum.
#[test]
fn one_feature_has_its_closed_form() {
    for (w, d, lambda) in [(0.8, 1.0, 0.05), (-1.5, 2.0, 0.01), (3.0, 0.25, 1e-6), (0.0, 1.0, 1.0)] {
        let label = sigmoid(w * d) + lambda * w / d;
        let fit = LinearBradleyTerry::fit(&comparisons(&[(vec![d], label)]), penalty(lambda));
        assert!((fit.weights[0] - w).abs() < 1e-7, "{fit:?} {w}");
    }
    let without = LinearBradleyTerry::fit(&comparisons(&[(vec![1.0], 0.8)]), penalty(1e-12));
    assert!((without.weights[0] - 4.0_f64.ln()).abs() < 1e-8, "{without:?}");
}

/// Bradley–Terry strengths by Hunter's minorisation (Ann. Statist. 32, 2004), in the place of Newton's method.
fn strengths(wins: &[[f64; 3]; 3]) -> [f64; 3] {
    let mut strengths = [1.0_f64; 3];
    for _ in 0..20_000 {
        let before = strengths;
        for i in 0..3 {
            let won: f64 = wins[i].iter().sum();
            let met: f64 =
                (0..3).filter(|&j| j != i).map(|j| (wins[i][j] + wins[j][i]) / (before[i] + before[j])).sum();
            strengths[i] = won / met;
        }
        let product: f64 = strengths.iter().product();
        strengths = strengths.map(|strength| strength / product.cbrt());
    }
    strengths
}

#[test]
fn one_hot_features_are_bradley_terry_scores() {
    // (i, j, label), a cycle among them, and pairs that were met more than once.
    let met = [(0, 1, 0.9), (1, 2, 0.6), (2, 0, 0.55), (0, 1, 0.7), (1, 0, 0.2), (2, 1, 0.5)];
    let mut wins = [[0.0; 3]; 3];
    let mut rows = Vec::new();
    for (i, j, label) in met {
        wins[i][j] += label;
        wins[j][i] += 1.0 - label;
        let mut difference = vec![0.0; 3];
        (difference[i], difference[j]) = (1.0, -1.0);
        rows.push((difference, label));
    }
    let fit = LinearBradleyTerry::fit(&comparisons(&rows), penalty(1e-9));
    for (found, strength) in fit.weights.iter().zip(strengths(&wins)) {
        assert!((found - strength.ln()).abs() < 1e-6, "{fit:?} {}", strength.ln());
    }
}

#[test]
fn complete_separation_stays_finite() {
    let rows: Vec<_> = (0..40).map(|i| (vec![1.0 + noise(i, 0), noise(i, 1)], 1.0)).collect();
    let data = comparisons(&rows);
    let mut before = 0.0;
    for lambda in [1.0, 1e-2, 1e-4, 1e-8] {
        let fit = LinearBradleyTerry::fit(&data, penalty(lambda));
        assert!(fit.weights.iter().all(|w| w.is_finite()) && fit.gradient <= GRADIENT_TOLERANCE * 2.0, "{fit:?}");
        assert!(fit.weights[0] > before, "a weaker penalty lets it grow: {fit:?}");
        before = fit.weights[0];
    }
}

#[test]
fn more_features_than_pairs_are_the_same_problem_in_other_words() {
    // Every feature 16 times, at a quarter: the same inner products, so the same log-odds.
    let rows: Vec<_> = (0..24).map(|i| (vec![noise(i, 0), noise(i, 1), noise(i, 2)], 0.5 + noise(i, 3))).collect();
    let many: Vec<_> = rows.iter().map(|(d, t)| (d.iter().map(|x| x / 4.0).cycle().take(48).collect(), *t)).collect();
    let few = LinearBradleyTerry::fit(&comparisons(&rows), penalty(1e-3));
    let repeated = LinearBradleyTerry::fit(&comparisons(&many), penalty(1e-3));
    for (index, weight) in repeated.weights.iter().enumerate() {
        assert!((4.0 * weight - few.weights[index % 3]).abs() < 1e-6, "{index}");
    }
    assert_eq!(few, LinearBradleyTerry::fit(&comparisons(&rows), penalty(1e-3)), "the same bits every time");
}

proptest! {
    #[test]
    fn every_fit_is_a_minimum(
        rows in (1..6_usize).prop_flat_map(|dimension| {
            prop::collection::vec((prop::collection::vec(-3.0..3.0_f64, dimension), 0.0..=1.0_f64), 1..20)
        }),
        exponent in -6.0..1.0_f64,
    ) {
        let data = comparisons(&rows);
        let lambda = 10.0_f64.powf(exponent);
        let fit = LinearBradleyTerry::fit(&data, penalty(lambda));
        prop_assert!(fit.gradient <= GRADIENT_TOLERANCE * data.mean_square().sqrt(), "{:?}", fit);
        let least = loss(&rows, lambda, &fit.weights);
        for (index, by) in (0..fit.weights.len()).flat_map(|index| [(index, 1e-3), (index, -1e-3)]) {
            let mut other = fit.weights.clone();
            other[index] += by;
            prop_assert!(loss(&rows, lambda, &other) > least);
        }
    }

    #[test]
    fn a_turned_pair_with_the_turned_label_is_the_same_pair(
        rows in prop::collection::vec((prop::collection::vec(-3.0..3.0_f64, 3), 0.0..=1.0_f64), 1..20),
    ) {
        let turned: Vec<_> = rows.iter().map(|(d, t)| (d.iter().map(|x| -x).collect(), 1.0 - t)).collect();
        let [one, other] = [&rows, &turned].map(|rows| LinearBradleyTerry::fit(&comparisons(rows), penalty(0.01)));
        for (a, b) in one.weights.iter().zip(&other.weights) {
            prop_assert!((a - b).abs() < 1e-6);
        }
    }
}

/// 120 pairs in groups of two: the first feature decides, 30 others do not.
fn informative(strength: f64) -> (Vec<(Vec<f64>, f64)>, Vec<u64>) {
    let row = |i: usize| {
        let difference: Vec<f64> = (0..31).map(|feature| 2.0 * noise(i, feature)).collect();
        let label = sigmoid(strength * difference[0]);
        (difference, label)
    };
    ((0..120).map(row).collect(), (0..120).map(|i| i / 2).collect())
}

#[test]
fn what_is_predicted_out_of_fold_decides_the_penalty() {
    let (rows, groups) = informative(4.0);
    let data = comparisons(&rows);
    let folds = Folds::grouped(&groups, 5).unwrap();
    let weakest = RELATIVE_PENALTIES[RELATIVE_PENALTIES.len() - 1] * data.mean_square();
    let found = CrossValidated::choose(&data, &folds).unwrap();
    assert_eq!(found.penalty.get(), weakest, "exact labels need no penalty");
    assert!(found.accuracy(&data).is_some_and(|(share, pairs)| share > 0.95 && pairs == 120));

    // Labels that say nothing of what is to come: a strong penalty predicts best, and hardly anything.
    let random: Vec<_> = rows.iter().enumerate().map(|(i, (d, _))| (d.clone(), 0.5 + noise(i, 99))).collect();
    let data = comparisons(&random);
    let found = CrossValidated::choose(&data, &folds).unwrap();
    assert!(found.penalty.get() >= RELATIVE_PENALTIES[2] * data.mean_square(), "{:?}", found.penalty);
    assert!((found.log_loss - 2.0_f64.ln()).abs() < 0.01, "{}", found.log_loss);
}

#[test]
fn each_fold_is_predicted_by_a_fit_of_the_others() {
    let (rows, groups) = informative(1.0);
    let data = comparisons(&rows);
    let found = CrossValidated::of(&data, &Folds::grouped(&groups, 5).unwrap(), (penalty(0.1), &[])).unwrap();
    for fold in 0..5 {
        let is_mine = |i: &usize| (i / 2) % 5 == fold;
        let seen: Vec<_> = (0..120).filter(|i| !is_mine(i)).map(|i| rows[i].clone()).collect();
        let fit = LinearBradleyTerry::fit(&comparisons(&seen), penalty(0.1));
        for i in (0..120).filter(is_mine) {
            let z: f64 = rows[i].0.iter().zip(&fit.weights).map(|(d, w)| d * w).sum();
            assert!((z - found.log_odds[i]).abs() < 1e-7);
        }
    }
    let undecided: Vec<_> = rows.iter().map(|(d, _)| (d.clone(), 0.5)).collect();
    let data = comparisons(&undecided);
    let found = CrossValidated::of(&data, &Folds::grouped(&groups, 5).unwrap(), (penalty(0.1), &[])).unwrap();
    assert_eq!(found.accuracy(&data), None);
    let few = Folds::grouped(&groups[..10], 5).unwrap();
    assert!(CrossValidated::choose(&data, &few).unwrap_err().to_string().starts_with("10 pairs were put into folds"));
}

#[test]
fn a_penalty_is_above_zero() {
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Penalty::new(wrong).unwrap_err().to_string().contains("expected a finite number above 0"));
    }
}
