//! Arithmetic on log-probabilities. Everything accepts −∞ (a probability of zero).

/// Values that differ by no more than this are tied: `1 − 0.8` is not `0.2` in f64.
pub const TIE_TOLERANCE: f64 = 1e-12;

/// The probabilities of log-probabilities.
pub fn exponentials(log_probabilities: &[f64]) -> Vec<f64> {
    log_probabilities.iter().map(|l| l.exp()).collect()
}

/// `½ Σ |p − q|` of two distributions given as log-probabilities; 0 to 1.
///
/// # Panics
/// If the lengths differ.
pub fn total_variation(log_p: &[f64], log_q: &[f64]) -> f64 {
    assert_eq!(log_p.len(), log_q.len(), "two distributions over the same actions");
    let differences = log_p.iter().zip(log_q).map(|(p, q)| (p.exp() - q.exp()).abs());
    differences.sum::<f64>() / 2.0
}

/// `KL(p ‖ q)` in nats, of two distributions given as log-probabilities, as a sum of terms none
/// of which is negative (so tiny divergences keep their relative precision).
///
/// # Panics
/// If the lengths differ.
pub fn divergence(log_p: &[f64], log_q: &[f64]) -> f64 {
    assert_eq!(log_p.len(), log_q.len(), "two distributions over the same actions");
    log_p.iter().zip(log_q).map(|(&p, &q)| divergence_term(p, q)).sum()
}

/// `p log(p/q) − p + q`, at least 0. Summed over two normalised distributions the last two parts
/// cancel, and what is left is KL(p ‖ q) without the cancellation of its usual form.
pub(crate) fn divergence_term(log_p: f64, log_q: f64) -> f64 {
    let q = log_q.exp();
    if log_p == f64::NEG_INFINITY {
        return q;
    }
    let d = log_p - log_q;
    if d > 1.0 {
        // q may have underflowed here while log_q still says how far away it is.
        return log_p.exp() * (d - 1.0) + q;
    }
    // q · (e^d (d − 1) + 1), with its Taylor series where that would cancel.
    if d.abs() < 1e-3 {
        return q * d * d * (0.5 + d * (1.0 / 3.0 + d * (0.125 + d / 30.0)));
    }
    q * (d * d.exp() - d.exp_m1())
}

/// Below this temperature the log-space form of a gap may overflow; its direct form does not.
pub(crate) const LOG_SPACE_TEMPERATURE_MIN: f64 = 1e-100;

/// `p log(p/q)`, zero where p is: the usual form, of either sign.
pub(crate) fn plain_divergence_term(log_p: f64, log_q: f64) -> f64 {
    if log_p == f64::NEG_INFINITY { 0.0 } else { log_p.exp() * (log_p - log_q) }
}

/// Subtracts log Σ exp from every entry. At least one entry must be finite.
pub(crate) fn normalise_log(logits: &mut [f64]) {
    let largest = maximum(logits);
    let sum: f64 = logits.iter().map(|l| (l - largest).exp()).sum();
    let log_sum = sum.ln();
    for logit in logits.iter_mut() {
        // Two subtractions: the first is exact where it matters, near the largest.
        *logit = (*logit - largest) - log_sum;
    }
}

/// `log Σ weight · exp(exponent)`, for exponents of at most 0 (one of them 0) and weights that sum
/// to 1. Keeps its relative precision where all exponents are small (a high temperature), which
/// matters because the result is multiplied with the temperature.
pub(crate) fn log_mean_exp(exponents: &[f64], log_weights: &[f64]) -> f64 {
    let pairs = || exponents.iter().zip(log_weights);
    let shortfall: f64 = pairs().map(|(exponent, log_weight)| log_weight.exp() * exponent.exp_m1()).sum();
    if shortfall > -0.5 {
        return shortfall.ln_1p();
    }
    pairs().map(|(exponent, log_weight)| (exponent + log_weight).exp()).sum::<f64>().ln()
}

/// The largest entry.
pub(crate) fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The smallest entry.
pub(crate) fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// `Σ a·b`.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight independent sums, so that the compiler may use vector registers (it must not
    // reorder a single sum by itself).
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `M v` for a row-major square matrix.
pub(crate) fn product(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}
