//! One scale for all: Bradley–Terry scores, as Elo points.

use super::rate;

const ITERATIONS_MAX: usize = 500;

/// Centred Elo points of the maximum-likelihood fit by the MM algorithm (Hunter 2004). Every pair has one virtual tie
/// beside its `weight` comparisons, so that a policy that never lost has a finite score.
pub(super) fn elo(policies: usize, rates: &[f64], weight: f64) -> Vec<f64> {
    let strengths = strengths(policies, rates, weight);
    let logs: Vec<f64> = strengths.iter().map(|strength| strength.ln()).collect();
    let mean = logs.iter().sum::<f64>() / policies as f64;
    logs.iter().map(|log| (log - mean) * 400.0 / std::f64::consts::LN_10).collect()
}

/// `p(i ≻ j)` that the fit would have.
pub(super) fn fitted(policies: usize, rates: &[f64]) -> Vec<f64> {
    let strengths = strengths(policies, rates, f64::INFINITY);
    super::pairs(policies).map(|(i, j)| strengths[i] / (strengths[i] + strengths[j])).collect()
}

fn strengths(policies: usize, rates: &[f64], weight: f64) -> Vec<f64> {
    // A share of virtual ties that keeps the rates away from 0 and 1.
    let tie = if weight.is_finite() { 1.0 / (weight + 1.0) } else { 1e-3 };
    let wins: Vec<f64> = (0..policies)
        .map(|i| (0..policies).filter(|j| *j != i).map(|j| (1.0 - tie) * rate(policies, rates, i, j) + 0.5 * tie).sum())
        .collect();
    let mut strengths = vec![1.0_f64; policies];
    for _ in 0..ITERATIONS_MAX {
        let mut moved: f64 = 0.0;
        for i in 0..policies {
            let denominator: f64 = (0..policies).filter(|j| *j != i).map(|j| 1.0 / (strengths[i] + strengths[j])).sum();
            let next = wins[i] / denominator;
            moved = moved.max((next / strengths[i]).ln().abs());
            strengths[i] = next;
        }
        let mean = strengths.iter().map(|strength| strength.ln()).sum::<f64>() / policies as f64;
        for strength in &mut strengths {
            *strength /= mean.exp();
        }
        if moved < 1e-9 {
            break;
        }
    }
    strengths
}
